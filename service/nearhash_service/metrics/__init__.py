"""What the server counts, and how it is told: prometheus_client in each worker, gathered by the supervisor."""

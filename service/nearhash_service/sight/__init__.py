"""What can be seen of calls from outside: logs, traces, and what observes a call for both and for the metrics."""

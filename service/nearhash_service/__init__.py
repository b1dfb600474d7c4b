"""The NearHash server and its command line."""

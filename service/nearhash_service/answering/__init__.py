"""The answers themselves: both services, and the view of the lists that they answer from."""

"""Load on a running server: how many lookups it answers, how late, and beside what."""

"""The processes of a server: the supervisor, its workers, and those that build."""

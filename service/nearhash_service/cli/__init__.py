"""The command line: it speaks the same messages as every other client, to a server or to one in its own process."""

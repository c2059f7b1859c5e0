"""What `make run` needs on a machine that has only Python: the servers, started, supervised and stopped together."""

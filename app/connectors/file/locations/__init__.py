"""Where a file stands: in an archive or on a server. Whatever reads it gets a local file and its mark."""

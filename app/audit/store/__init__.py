"""Where the log is kept: one contract, SQLite and PostgreSQL."""

"""Kind `sql`: PostgreSQL and SQLite as sources, read only."""

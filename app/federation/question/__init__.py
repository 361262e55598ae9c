"""What is asked: the query, bound to schemas, and where its answer goes on."""

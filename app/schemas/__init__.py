"""The shared schemas: what a record is, when it is valid, and what is derived from that. No I/O, no web, no store."""

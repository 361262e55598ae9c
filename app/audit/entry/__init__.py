"""Entries of the log: members, canonical bytes, search terms, commitments. Pure."""

"""Checking a whole log: from its store, or as static files."""

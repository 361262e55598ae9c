"""Auditors' reads: search, summary, incidents, tiles."""

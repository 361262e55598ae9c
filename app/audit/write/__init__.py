"""Appending: from a record to a durable entry, checkpoints, witnesses."""

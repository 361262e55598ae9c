"""A connector and a mapping make a dataset: reading, mapping, choosing, keeping."""

"""CQL2 (OGC 21-065r2) as text and JSON, parsed to the tree."""

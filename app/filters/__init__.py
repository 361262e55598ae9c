"""Conditions on records: the tree, its evaluation, types, and the two texts of CQL2."""

"""Auditors' and operators' pages; not built yet."""

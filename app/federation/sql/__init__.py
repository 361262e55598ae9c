"""Callers' SQL: the guard (what may be said), the binding to granted columns, the filters for sources, the worker process."""

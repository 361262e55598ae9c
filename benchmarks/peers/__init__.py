"""Peers that have to be installed first; each script starts its own and ends it."""

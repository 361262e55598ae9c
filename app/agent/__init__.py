"""The carrier on an agency's own machine: pushes files and results of queries into the inbox at the gateway, on a schedule."""

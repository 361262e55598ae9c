"""Erasing details and tags: requests, legal holds, carrying it out."""

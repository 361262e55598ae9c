"""The catalog room: agencies, connectors and their revisions, codes, quarantine, uploads, datasets."""

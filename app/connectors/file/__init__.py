"""Kind `file`: CSV, sheets and JSON files in an agency's own folder."""

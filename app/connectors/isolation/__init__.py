"""Reading files of agencies, and databases in bulk, in processes of their own, under limits."""

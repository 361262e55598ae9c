"""Reading files of agencies in processes of their own, under limits."""

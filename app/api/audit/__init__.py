"""What was exchanged: the log, its search, people concerned, incidents."""

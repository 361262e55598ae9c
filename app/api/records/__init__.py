"""Questions over records: lists, look-ups, aggregates, matches, SQL, jobs."""

"""Running a plan: sources, bulkheads, merging, pages, whole answers."""

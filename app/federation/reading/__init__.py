"""Running a plan: sources, places, merging, pages, whole answers."""

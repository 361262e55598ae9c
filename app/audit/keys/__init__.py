"""Keys of the log: signing, subjects, details; files that must survive a power cut."""

"""Who may have what: agreements, purposes, access, erasures."""

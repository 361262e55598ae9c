"""Simpul: an inter-agency data-integration gateway."""

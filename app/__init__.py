"""Simpul: an inter-agency data-integration gateway."""

import gc

# What an import makes stays: looking for garbage in it every 700 objects would cost a sixth of the start.
gc.set_threshold(50_000, 20, 100)

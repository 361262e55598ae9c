"""Proposals of a manifest for what stands at a source: from names, values and code lists, each with a score and its reasons.

A proposal is never used by itself: a steward sends it as a manifest, checks and publishes it.
"""

"""Benchmarks: ratios against named peers in the same run; nothing here is a timed test."""

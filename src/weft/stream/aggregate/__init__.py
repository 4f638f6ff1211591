"""Aggregates: what a window makes of its events, one file per kind, each over many windows and keys at once."""

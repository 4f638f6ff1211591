"""Aggregates: what a window makes of its events, one file per kind, each over whole columns of many windows and keys at once."""

"""Other stream engines, each in an environment of its own: the same windows over the same file.

Each program reads a Parquet file (`time_us`, `key`, `value`; up to a second out of order), answers count, sum and max for each
key and minute, and prints one line of JSON: how long it took, without its own start and imports, and what came out, so that
whoever compares speeds can see that the answers are the same.
"""

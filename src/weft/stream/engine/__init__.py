"""The embedded engine: answers queries over batches of the log. Pure: no clock, no files, no network."""

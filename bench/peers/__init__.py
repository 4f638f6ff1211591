"""What others do for the same job, as small as it can be written."""

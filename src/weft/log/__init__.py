"""The durable log.

Knows: topics, partitions, offsets, groups, lag; what "acknowledged" means.
Offers: the port `Log` and its adapters, one folder or file each.
Speaks: to core alone. Rooms above append to the log and follow it; they never call each other.
"""

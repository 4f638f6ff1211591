"""What processes share for a short while: counters, small values, and word of a change.

Knows: keys, windows, times to live, channels; nothing here is the only copy of anything.
Offers: the port `Cache`, its adapters `memory` and `redis`, and `Circuit`, which keeps a cache that is away from costing time.
Speaks: to core alone. Where the cache is away its callers go on with what they know themselves.
"""

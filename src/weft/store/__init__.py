"""The event store: what was taken in, ready to be asked.

Knows: queries, aggregations, flushing, retention, erasure.
Offers: the port `EventStore`, the question types, the worker that fills a store from the log, and the adapters.
Speaks: to core alone; the batches it stores are handed in by the composition root.
"""

"""The words every room speaks.

Knows: what an event, a batch, a time, an error, a worker and an adapter are. Nothing of files, sockets or frameworks.
Offers: Event, Batch, LogBatch, ids, Clock, errors, Worker, the adapter catalogue, the event type catalogue, the verdict.
Speaks: to nobody; every other room stands on this one.
"""

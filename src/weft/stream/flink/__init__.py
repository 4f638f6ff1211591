"""Flink: the same queries as one statement set of plain Flink SQL over Kafka, for more than one machine.

Knows: how Weft's messages, watermarks, windows and aggregates are said in SQL, and what Flink cannot say.
Offers: the text of the statements, and a client that hands them to a SQL gateway.
Speaks: to a SQL gateway's REST interface; tables name the brokers, which only Flink speaks to.
"""

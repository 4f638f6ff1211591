"""The doors through which events come in, and the one way from a checked event to the log.

Knows: the formats events arrive in (JSON, NDJSON, CloudEvents, WebSocket frames), what makes an event acceptable, this host.
Offers: hot routes for `/events` and `/events/batch`, routers for `/ws` and the event type catalogue, the host source, checks.
Speaks: to the log through its port, to the api room for manners and to auth for who may write. It never reads events back.
"""

"""What every router shares.

Knows: HTTP and WebSocket manners: errors, limits, paging, headers, health, metrics, log lines.
Offers: the edge (the outermost ASGI application), hot routes, the error table, the WebSocket kit.
Speaks: to core alone. It is handed an `Authenticator`; who that is, it does not know.
"""

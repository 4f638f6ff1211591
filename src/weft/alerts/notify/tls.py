"""How encrypted connections are checked: by the machine's certificates, read once."""

import ssl
from functools import cache


@cache
def tls_context() -> ssl.SSLContext:
    """One for all channels: reading the certificates takes as long as sending several messages."""
    return ssl.create_default_context()

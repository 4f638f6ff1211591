"""Database servers as peers, each started with a folder of its own on a loopback port."""

"""The expression language: its own small grammar, a typed tree, and what can be done with one."""

"""Weft: the data plane of a laboratory or a fleet of devices."""

__version__: str


def __getattr__(name: str) -> str:
    """`__version__`, asked of the installed package by whoever needs it: the question costs a command line its start."""
    if name == "__version__":
        from importlib.metadata import version

        return version("weft")
    raise AttributeError(f"module 'weft' has no attribute '{name}'")

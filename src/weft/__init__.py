"""Weft: the data plane of a laboratory or a fleet of devices."""

from importlib.metadata import version

__version__ = version("weft")

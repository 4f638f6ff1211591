"""Custom aggregates: functions over the numbers of a window that other packages bring.

A package names a class in the entry point group `weft.aggregate`; its name there is how expressions call it. Windows and keys
are ours, the class says what is kept of one key in one window. What it answers must not depend on the order of the values.
"""

import re
from abc import ABC, abstractmethod
from functools import cache
from importlib.metadata import EntryPoint
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from weft.core.adapters import adapter_schemes
from weft.core.errors import Unsupported

PORT: Final = "aggregate"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,63}", re.ASCII)


class CustomAggregate(ABC):
    """What is kept of the values of one key in one window. A new one has seen nothing."""

    sentence: ClassVar[str]
    """What it says about the values, for completions and the manual: `The geometric mean.`"""
    phrase: ClassVar[str]
    """The same as part of a sentence, `{0}` stands for what it takes: `the geometric mean of {0}`."""

    @abstractmethod
    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Take in values, all finite; at least one."""

    @abstractmethod
    def merge(self, other: "CustomAggregate") -> None:
        """Take in all that another one of this class has seen, which goes on afterwards as it was."""

    @abstractmethod
    def value(self) -> float | None:
        """The answer; None is unknown."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """About what it holds in memory."""

    @abstractmethod
    def save(self) -> bytes:
        """All of it."""

    @classmethod
    @abstractmethod
    def load(cls, saved: bytes) -> "CustomAggregate":
        """What was saved."""


def find_custom(name: str) -> type[CustomAggregate] | None:
    """The class of a custom aggregate. Raises Unsupported where it is named but cannot be used."""
    return _load(name) if name in _named() else None


@cache
def _named() -> dict[str, EntryPoint]:
    return {name: point for name, point in adapter_schemes(PORT).items() if _NAME.fullmatch(name)}


@cache
def _load(name: str) -> type[CustomAggregate]:
    point = _named()[name]
    try:
        found = point.load()
    except Exception as failure:  # whatever goes wrong inside of a foreign package
        raise Unsupported(f"the aggregate '{name}' of {point.value} cannot be loaded: {failure}") from failure
    if not (isinstance(found, type) and issubclass(found, CustomAggregate)):
        raise Unsupported(f"the aggregate '{name}' of {point.value} is no weft.stream.custom.CustomAggregate")
    return found

"""A door's decoder with default settings and a clock that stands still."""

from collections.abc import Callable
from typing import Any

import pytest

from weft.ingest.decode import Decoder
from weft.ingest.rules import Rules, read_catalogue
from weft.ingest.settings import IngestSettings
from weft.testing.clock import ManualClock

DecoderOf = Callable[..., Decoder]


@pytest.fixture
def decoder_of(clock: ManualClock) -> DecoderOf:
    """A function that makes a decoder with the given settings."""

    def make(**settings: Any) -> Decoder:
        chosen = IngestSettings(**settings)
        return Decoder(Rules.of(chosen, read_catalogue(chosen)), clock)

    return make


@pytest.fixture
def decoder(decoder_of: DecoderOf) -> Decoder:
    return decoder_of()

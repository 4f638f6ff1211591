"""Gaps: the windows between the last one that was judged and what is known to be over, in which nothing came."""

from typing import Final

from weft.stream.window import Window

MOST: Final = 1_000
"""Of more windows than this only the newest are judged."""


def windows_without_result(last_end_us: int, over_until_us: int, window: Window) -> list[tuple[int, int]]:
    """Start and end of each window that ends after `last_end_us` and at `over_until_us` at the latest.

    Of sessions there are none where nothing came; instead the silence is cut in pieces as long as the gap.
    """
    slide_us = window.slide_us
    first_us = last_end_us + slide_us if window.kind == "session" else (last_end_us // slide_us + 1) * slide_us
    count = (over_until_us - first_us) // slide_us + 1
    if count > MOST:
        first_us += (count - MOST) * slide_us
    ends = range(first_us, over_until_us + 1, slide_us)
    return [(end_us - window.size_us, end_us) for end_us in ends]

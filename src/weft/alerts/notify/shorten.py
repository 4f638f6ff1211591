"""Texts from outside, made fit for where they go."""


def shortened(text: str, chars: int) -> str:
    """At most so many characters; a text that was cut ends in an ellipsis."""
    return text if len(text) <= chars else f"{text[: max(chars - 1, 0)]}…"


def one_line(text: str, chars: int) -> str:
    """The text without control characters and line breaks, shortened."""
    return shortened(" ".join("".join(char if char.isprintable() else " " for char in text).split()), chars)

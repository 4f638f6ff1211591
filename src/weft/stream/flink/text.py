"""How names, texts and numbers are written in Flink SQL. Every whole number says that it has 64 bits: Flink's own have 32."""

from typing import Final

LARGEST: Final = "1.7976931348623157E308"


def name(word: str) -> str:
    """An identifier."""
    return "`" + word.replace("`", "``") + "`"


def text(value: str) -> str:
    """A text; what is not plain ASCII is written by its code point."""
    if value.isascii() and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return "U&'" + "".join(map(_character, value)) + "'"


def _character(sign: str) -> str:
    if sign == "'":
        return "''"
    if sign == "\\":
        return "\\\\"
    if sign.isascii() and sign.isprintable():
        return sign
    units = sign.encode("utf-16-be")
    return "".join(f"\\{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def integer(value: int) -> str:
    """A 64-bit whole number."""
    return f"CAST({value} AS BIGINT)"


def double(value: float) -> str:
    """A float, exactly."""
    written = repr(float(value))
    return written if "e" in written else f"{written}E0"


def finite(sql: str) -> str:
    """A float, or nothing where it is infinite or not a number. The SQL stands in it twice."""
    return f"CASE WHEN ABS({sql}) <= {LARGEST} THEN {sql} END"


def interval(length_us: int) -> str:
    """A length of time as Flink is shown it, a microsecond as a millisecond (see log_order)."""
    minutes, seconds = divmod(length_us // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"INTERVAL '{days} {hours:02}:{minutes:02}:{seconds:02}' DAY(6) TO SECOND"

"""The page of the expression language: its names, functions and aggregates from their tables, the rules around them."""

from docs.generator.page import cell, header
from weft.stream.expression.functions import AGGREGATES, FUNCTIONS, METRICS
from weft.stream.expression.names import ATTRIBUTES
from weft.stream.expression.parser import MAX_DEPTH, MAX_LENGTH, MAX_NODES

_FORM = """An expression says something about one event (a query's `where`, a filter of a live feed), about a window of
events (a query's `select`, a rule's condition) or about a result (a query's `having`). It is the same language everywhere:

```text
temperature > 30 and source == "lab/oven"
error_rate > 5% and avg(temperature where type == "reading") > 30
"night" in tags or severity in ["high", "critical"]
```

`POST /api/v1/expressions/check` says what a text means, what is wrong with it and at which column, and what could come next.

## How it is written

| | |
|---|---|
| numbers | `30`, `0.05`, `1e6`; `5%` is 0.05; durations are seconds: `500ms`, `30s`, `5m`, `1h`, `7d` |
| texts | in `"` or `'`; `\\\\`, `\\"`, `\\'`, `\\n`, `\\t`, `\\r` and `\\u00e9` stand for signs |
| truths and nothing | `true`, `false`, `null` |
| names | `source` is an attribute of the event, `temperature` is short for `data.temperature`; `metadata.site` |
| other names | in quotes: `data["gyro-x"].rms` |
| arithmetic | `+` `-` `*` `/` `%` |
| comparisons | `==` `!=` `<` `<=` `>` `>=`, which do not chain |
| belonging | `x in [1, 2]`, `x not in ["a", "b"]`, `"night" in tags` |
| logic | `and` `or` `not`, also `&&` `\\|\\|` `!` |

What binds strongest first: the sign, `* / %`, `+ -`, comparisons and `in`, `not`, `and`, `or`. Parentheses go before all."""

_MEANING = """## What it means

- **Unknown is not false.** A value that is missing, null or of another type is unknown, and so is what is worked out from it.
  `and` with something false is false, `or` with something true is true, whatever the other side; elsewhere unknown stays
  unknown. Only what is true is taken: an event of which a condition is unknown does not count, a rule whose condition is
  unknown neither fires nor clears. `is_null(x)` asks.
- **What a field is used with decides its type.** `temperature > 30` reads a number, `state == "open"` a text, `door and x > 1`
  a truth. The same field may be read in different ways. Where nothing decides, as in `a == b`, say it:
  `number(a) == number(b)`.
- **Numbers** are whole (64 bits) or 64-bit floats; arithmetic is on floats. `x / 0`, `x % 0` and what is too large for a
  float are unknown. `%` rounds towards zero: `-7 % 3` is `-1`.
- **Texts** are compared sign by sign by their code points: `"Z" < "a" < "ä"`. `lower` makes one small letter of each letter.
- **Times** (`time`, `received_at`) are seconds since 1970, so that `received_at - time > 5m` says what it seems to.
- An expression has at most {length} characters, {nodes} parts and {depth} levels."""

_WINDOWS = """## Over a window

An aggregate looks at all events of a window, or with `where` at some of them: `avg(temperature where room == "B")`. At the
end of an expression the condition may follow: `count where type == "error"`; it takes everything that comes after it.
Unknown values are left out. Aggregates combine like numbers: `max(t) - min(t) > 5`."""

_RULES = """## In a rule

`threshold` is a name for the rule's threshold. A condition that is a number is compared with it: `error_rate` says
`error_rate > threshold`. A threshold that contradicts the numbers in the condition is refused.

These figures have names of their own, which may have a condition too (`error_rate where source == "shop"`):"""


def render() -> str:
    """The page as Markdown."""
    lines = header("Expressions", "What conditions, aggregates and filters are written in.")
    lines += [_FORM, "", _MEANING.format(length=f"{MAX_LENGTH:,}", nodes=MAX_NODES, depth=MAX_DEPTH), ""]
    lines += ["## Attributes of an event", "", "| name | type | what it is |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {cell(sentence)} |" for name, (kind, sentence) in ATTRIBUTES.items()]
    lines += ["", "## Functions", "", "| function | gives | what it is | for example |", "|---|---|---|---|"]
    lines += [
        f"| `{each.signature}` | {each.gives} | {cell(each.sentence)} | `{cell(each.example)}` |" for each in FUNCTIONS.values()
    ]
    lines += ["", _WINDOWS, "", "| aggregate | gives | what it is | for example |", "|---|---|---|---|"]
    lines += [
        f"| `{each.signature}` | {each.gives} | {cell(each.sentence)} | `{cell(each.example)}` |"
        for each in AGGREGATES.values()
    ]
    lines += ["", _RULES, "", "| name | what it is | short for |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {cell(each.sentence)} | `{cell(each.text)}` |" for each in METRICS.values()]
    return "\n".join(lines) + "\n"

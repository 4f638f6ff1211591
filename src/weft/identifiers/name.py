"""Names as people write them, brought into the one form in which they are kept and compared.

`ark:99999/fk4…`, `ark:/99999/fk4…`, `https://anywhere/ark:99999/fk4…`, `10.5072/fk4…`, `https://doi.org/10.5072/fk4…`,
`hdl:21.T12345/fk4…`: each is a scheme, a base name, and perhaps a suffix of components (`/page1`) and variants (`.v2`).
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from weft.core.errors import Malformed

Scheme = Literal["ark", "doi", "handle"]

MAX_CHARS: Final = 1024
LABEL_OF: Final[dict[Scheme, str]] = {"ark": "ark:", "doi": "doi:", "handle": "hdl:"}

_LABELLED: Final = re.compile(r"(?:^|/)(?P<label>ark|doi|hdl|handle):/?(?P<rest>.*)$", re.IGNORECASE | re.DOTALL)
_AT_RESOLVER: Final = re.compile(
    r"^https?://(?P<host>(?:dx\.)?doi\.org|hdl\.handle\.net)/(?P<rest>.*)$", re.IGNORECASE | re.DOTALL
)
_SCHEME_OF: Final[dict[str, Scheme]] = {
    "ark": "ark",
    "doi": "doi",
    "doi.org": "doi",
    "dx.doi.org": "doi",
    "hdl": "handle",
    "handle": "handle",
    "hdl.handle.net": "handle",
}
_BARE_ARK: Final = re.compile(r"[0-9][0-9bcdfghjkmnpqrstvwxz]{4,8}/", re.IGNORECASE)
_BARE_DOI: Final = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]+)*/")
# Hyphens say nothing in an ARK; word processors make the others of the one on the keyboard.
_HYPHENS: Final = re.compile(r"-|%C2%AD|%E2%80%9[0-5]|%E2%88%92|%EF%B9%98|%EF%B9%A3|%EF%BC%8D")
_PERCENT: Final = re.compile(r"%[0-9a-fA-F]{2}")
_MARKS: Final = re.compile(r"([/.])")
_NAAN: Final = re.compile(r"[0-9a-z]{5,16}")
_PREFIX: Final = re.compile(r"[0-9a-z]+(?:\.[0-9a-z]+)*")
_PLAIN: Final = "=~*+@_$:;()<>,!"
_TEXT: Final = re.compile(rf"(?:[0-9A-Za-z\-{re.escape(_PLAIN)}]|%[0-9A-F]{{2}})+")
_CALLED: Final = {"ark": "ARK; one is ark:, five digits, a slash, letters and digits", "doi": "DOI", "handle": "Handle"}


class Step(NamedTuple):
    """One part of a suffix: `/` for a component or `.` for a variant, its text as it was given, and as it is compared."""

    mark: str
    given: str
    text: str


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A name that was read: `base` is labelled (`ark:99999/fk4…`), `steps` is the suffix in the order it was given."""

    scheme: Scheme
    base: str
    steps: tuple[Step, ...] = ()

    @property
    def canonical(self) -> str:
        """The one form of everything that means the same: components, then variants sorted and each once."""
        components = "".join(f"/{step.text}" for step in self.steps if step.mark == "/")
        variants = sorted({step.text for step in self.steps if step.mark == "."})
        return self.base + components + "".join(f".{variant}" for variant in variants)

    def candidates(self) -> Iterator[tuple[str, str]]:
        """The names that may be registered for this, most specific first, each with the suffix that is left over for it."""
        seen = {self.canonical}
        yield self.canonical, ""
        for place, step in enumerate(self.steps):
            if step.mark == "." and (name := f"{self.base}.{step.text}") not in seen:
                seen.add(name)
                yield name, _text_of(self.steps[:place] + self.steps[place + 1 :])
        if self.base not in seen:
            yield self.base, _text_of(self.steps)


def read_name(text: str) -> Name:
    """The name a text holds, without resolver, query and label's spelling. Raises Malformed."""
    text = text.strip()
    if len(text) > MAX_CHARS:
        raise Malformed(f"a name has at most {MAX_CHARS} characters; this one has {len(text)}", limit=MAX_CHARS)
    spelled = quote(text.partition("?")[0], safe=f"/.%{_PLAIN}", errors="replace")
    scheme, rest = _split_label(_PERCENT.sub(lambda found: found[0].upper(), spelled))
    prefix, _, name = rest.lstrip("/").partition("/")
    base, steps = _split_suffix(name)
    if scheme == "ark":
        prefix = _HYPHENS.sub("", prefix).lower()
        base, steps = _HYPHENS.sub("", base), tuple(step._replace(text=_HYPHENS.sub("", step.text)) for step in steps)
    else:  # no DOI and no Handle tells upper from lower case
        prefix, base = prefix.lower(), base.lower()
        steps = tuple(step._replace(text=step.text.lower()) for step in steps)
    readable = (_NAAN if scheme == "ark" else _PREFIX).fullmatch(prefix) is not None
    if not readable or not all(_TEXT.fullmatch(part) for part in (base, *(step.text for step in steps))):
        raise Malformed(f"'{LABEL_OF[scheme]}{rest[:80]}' is no {_CALLED[scheme]}")
    return Name(scheme=scheme, base=f"{LABEL_OF[scheme]}{prefix}/{base}", steps=steps)


def _split_label(text: str) -> tuple[Scheme, str]:
    found = _AT_RESOLVER.match(text)
    if found is not None:
        return _SCHEME_OF[found["host"].lower()], found["rest"]
    found = _LABELLED.search(text)
    if found is not None:
        return _SCHEME_OF[found["label"].lower()], found["rest"]
    if _BARE_DOI.match(text):
        return "doi", text
    if _BARE_ARK.match(text):
        return "ark", text
    raise Malformed(f"'{text[:80]}' is no ARK, DOI or Handle; write it as ark:99999/…, doi:10.5072/… or hdl:21.T12345/…")


def _split_suffix(name: str) -> tuple[str, tuple[Step, ...]]:
    """The base and its suffix. Of marks in a row the first one counts, and one at the end says nothing."""
    base, *rest = _MARKS.split(name)
    steps: list[Step] = []
    mark = ""
    for sign, part in zip(rest[::2], rest[1::2], strict=True):
        mark = mark or sign
        if part:
            steps.append(Step(mark, part, part))
            mark = ""
    return base, tuple(steps)


def _text_of(steps: Sequence[Step]) -> str:
    return "".join(step.mark + step.given for step in steps)

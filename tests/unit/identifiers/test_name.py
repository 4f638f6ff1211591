"""Names: all writings of one name lead to the same thing, and nothing that is written can do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core.errors import Malformed
from weft.identifiers.name import read_name

SAME = (
    "ark:13030/xf93gt2q",
    "ark:/13030/xf93gt2q",
    "ARK:/13030/xf93gt2q",
    "Ark:13030/xf93gt2q",
    "13030/xf93gt2q",
    "https://n2t.net/ark:13030/xf93gt2q",
    "https://example.org/some/where/ark:/13030/xf93gt2q?info",
    "ark:13030/xf93-gt2q",
    "ark:13030/xf\u201093\u2013gt2\u2014q",
    "ark:13-030/xf93gt2q",
    "ark:13030/xf93gt2q/",
    "ark:13030/xf93gt2q.",
    " ark:13030/xf93gt2q ",
    "ark:13030/xf93gt2q??",
)


@pytest.mark.parametrize("text", SAME)
def test_every_writing_of_an_ark_is_the_same_name(text: str) -> None:
    assert read_name(text).canonical == "ark:13030/xf93gt2q"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("ark:13030/xf93gt2q/c3/s5.v7.xsl", "ark:13030/xf93gt2q/c3/s5.v7.xsl"),
        ("ark:13030/xf93gt2q/c3/s5.xsl.v7", "ark:13030/xf93gt2q/c3/s5.v7.xsl"),
        ("ark:13030/xf93gt2q.v7.v7", "ark:13030/xf93gt2q.v7"),
        ("ark:13030/xf93gt2q//c3./", "ark:13030/xf93gt2q/c3"),
        ("ark:13030/xf93%2fgt2q", "ark:13030/xf93%2Fgt2q"),
        ("ark:1303B/XF", "ark:1303b/XF"),
        ("doi:10.5072/FK4-Abc", "doi:10.5072/fk4-abc"),
        ("https://doi.org/10.5072/FK4-ABC", "doi:10.5072/fk4-abc"),
        ("10.5072/fk4-abc", "doi:10.5072/fk4-abc"),
        ("hdl:21.T12345/FK4", "hdl:21.t12345/fk4"),
        ("https://hdl.handle.net/21.T12345/fk4", "hdl:21.t12345/fk4"),
    ],
)
def test_the_canonical_form(text: str, canonical: str) -> None:
    assert read_name(text).canonical == canonical
    assert read_name(canonical).canonical == canonical


def test_a_suffix_is_looked_up_as_a_whole_then_as_a_version_then_left_over() -> None:
    assert list(read_name("ark:99999/fk4x/scan-1.tif.v2").candidates()) == [
        ("ark:99999/fk4x/scan1.tif.v2", ""),
        ("ark:99999/fk4x.tif", "/scan-1.v2"),
        ("ark:99999/fk4x.v2", "/scan-1.tif"),
        ("ark:99999/fk4x", "/scan-1.tif.v2"),
    ]


@pytest.mark.parametrize(
    "text", ["", "ark:", "ark:/", "ark:12345", "ark:12345/", "ark:x/y", "nothing", "ark:12345/a%zz", "doi:/x", "a" * 1025]
)
def test_what_is_no_name_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(Malformed):
        read_name(text)


@given(st.text(max_size=200) | st.builds(lambda rest: f"ark:12345/{rest}", st.text(max_size=200)))
def test_no_text_makes_reading_fail_otherwise_and_nothing_climbs(text: str) -> None:
    try:
        name = read_name(text)
    except Malformed:
        return
    assert name.canonical.isascii()
    assert name.canonical.isprintable()
    for _, suffix in name.candidates():
        assert "//" not in suffix
        assert ".." not in suffix

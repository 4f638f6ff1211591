"""The grammar: what is read, how strongly signs bind, and what a person is told about a text that is wrong."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core.errors import Invalid
from weft.stream.expression.parser import MAX_DEPTH, MAX_LENGTH, MAX_NODES, parse
from weft.stream.expression.tokens import KEYWORDS
from weft.stream.expression.tree import (
    Arithmetic,
    Call,
    Comparison,
    Listing,
    Logical,
    Membership,
    Name,
    Negative,
    Node,
    Not,
    Null,
    Number,
    Text,
    Truth,
    walk,
)
from weft.stream.expression.write import write

PLACE = {"column": 1, "length": 1}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a or b and not c", "a or b and not c"),
        ("(a or b) and c", "(a or b) and c"),
        ("a||b&&!c", "a or b and not c"),
        ("A AND NOT B", "A and not B"),
        ("a+b*c", "a + b * c"),
        ("(a+b)*c", "(a + b) * c"),
        ("a-(b-c)", "a - (b - c)"),
        ("a-b-c", "a - b - c"),
        ("-a*-b", "-a * -b"),
        ("+a", "a"),
        ("not a == b", "not a == b"),
        ("(not a) == b", "(not a) == b"),
        ("a + 1 > b * 2", "a + 1 > b * 2"),
        ("a in [1, -2]", "a in [1, -2]"),
        ("a not in ['x']", 'not a in ["x"]'),
        ("'night' in tags", '"night" in tags'),
        ('data["gyro-x"].rms > .5', 'data["gyro-x"].rms > .5'),
        ("data.in == data.and", "data.in == data.and"),
        ("x > 5%", "x > 5%"),
        ("x % 5", "x % 5"),
        ("x %5", "x % 5"),
        ("5%3", "5 % 3"),
        ("5% - 3", "5% - 3"),
        ("count where a == 1", "count(where a == 1)"),
        ("count(where a == 1)", "count(where a == 1)"),
        ("avg(x) where a == 1 and b == 2", "avg(x where a == 1 and b == 2)"),
        ("avg(x where a == 1) > 3", "avg(x where a == 1) > 3"),
        ("avg(abs(x) where a == 1)", "avg(abs(x) where a == 1)"),
        ("ratio(count where a == 1, count)", "ratio(count(where a == 1), count)"),
        ("p99.9(latency) > 5m", "p99.9(latency) > 5m"),
        ("p50 (latency)", "p50(latency)"),
        (r'"a\"b\\c\n" == x', r'"a\"b\\c\u000a" == x'),
        ("'it\\'s' == x", '"it\'s" == x'),
        ("température > 30", "température > 30"),
        ("  a\n\t> 1 ", "a > 1"),
    ],
)
def test_a_text_is_read_as_it_is_meant(text: str, canonical: str) -> None:
    assert write(parse(text)) == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30", 30),
        ("0.25", 0.25),
        ("5%", 0.05),
        ("2.3%", 0.023),
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("1.5h", 5400.0),
        ("7d", 604800),
        ("1e3", 1000.0),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), float(2**63)),
    ],
)
def test_numbers_have_units(text: str, value: float) -> None:
    node = parse(text)
    assert isinstance(node, Number)
    assert (node.value, type(node.value)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "empty"),
        ("temperature >", 14, "met the end"),
        ("temperature > > 3", 15, "met '>'"),
        ("temperature = 3", 13, "write =="),
        ("a <> b", 3, "write !="),
        ("a & b", 3, "write and"),
        ("a ≥ 3", 3, "write >="),
        ("“a” == b", 1, 'write "'),
        ("a == 'b", 6, "never ends"),
        ("a $ b", 3, "means nothing"),
        ("1 < a < 3", 7, "do not chain"),
        ("avg(x) where a == 1 > 3", 21, "put the condition of the aggregate inside"),
        ("(a", 3, "expected ')'"),
        ("a)", 2, "closes nothing"),
        ("a b", 3, "met 'b'"),
        ("avg(x,)", 7, "met ')'"),
        ("avg(x where a where b)", 15, "met 'where'"),
        ("avg(x where a) where b", 16, "two conditions"),
        ("a.b where c", 5, "only an aggregate"),
        ("data.f(x)", 1, "no function"),
        ("data.!", 6, "name of a field"),
        ("data[x]", 6, "in quotes"),
        ("a in []", 6, "empty list"),
        ("5x > 1", 2, "no unit"),
        ("5M > 1", 2, "did you mean m?"),
        ("1e999 > x", 1, "too large"),
        ("1" * 41 + " > x", 1, "too long"),
        ("'\\q' == x", 2, "stands for nothing"),
        ("'\\u0000' == x", 2, "stands for nothing"),
        ("a == 'x\x00'", 8, "no character"),
        ("a == '\ud800'", 7, "no character"),
        ("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH, 33, "levels deep"),
        ("not " * 40 + "a", 1, "levels deep"),
        ("-" * 40 + "a", 1, "levels deep"),
        ("a+" * 40 + "a", 1, "levels deep"),
        ("a in [" + "1," * MAX_NODES + "1]", 401, "parts"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "characters"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text: str, column: int, says: str) -> None:
    with pytest.raises(Invalid) as wrong:
        parse(text)
    assert says in wrong.value.message
    assert wrong.value.message.endswith(f"(column {column})")
    assert wrong.value.details["column"] == column
    assert wrong.value.details["length"] >= 0
    assert wrong.value.details["expression"] == text[:MAX_LENGTH]


def test_every_node_knows_where_it_stands() -> None:
    text = 'not (a + 5% > 3) and avg( x where lower(source)  == "b" ) in [1, 2]'
    found = {text[node.column - 1 : node.column - 1 + node.length] for _, node in walk(parse(text))}
    assert {"a + 5% > 3", "5%", 'avg( x where lower(source)  == "b" )', "lower(source)", "[1, 2]", '"b"', text} <= found


words = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True).filter(lambda word: word not in KEYWORDS)
literal_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)
names = st.builds(
    lambda first, rest: Name(path=(first, *rest), **PLACE), words, st.lists(st.one_of(words, literal_texts), max_size=2)
)
leaves = st.one_of(
    names,
    st.sampled_from(["0", "7", "2.5", "5%", "30s", "1e-3"]).map(parse),
    literal_texts.map(lambda text: Text(value=text, **PLACE)),
    st.booleans().map(lambda value: Truth(value=value, **PLACE)),
    st.just(Null(**PLACE)),
)


def branches(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(lambda part: Negative(operand=part, **PLACE), inner),
        st.builds(lambda part: Not(operand=part, **PLACE), inner),
        st.builds(lambda sign, a, b: Arithmetic(sign=sign, left=a, right=b, **PLACE), st.sampled_from("+-*/%"), inner, inner),
        st.builds(
            lambda sign, a, b: Comparison(sign=sign, left=a, right=b, **PLACE), st.sampled_from(["==", "<="]), inner, inner
        ),
        st.builds(lambda item, items: Membership(item=item, group=Listing(items=items, **PLACE), **PLACE), inner, some),
        st.builds(lambda item, group: Membership(item=item, group=group, **PLACE), inner, names),
        st.builds(
            lambda word, terms: Logical(word=word, terms=tuple(terms), **PLACE),
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        st.builds(lambda name, some: Call(function=name, arguments=some, **PLACE), words, some),
        st.builds(lambda name, where: Call(function=name, arguments=(), where=where, **PLACE), words, inner),
        st.builds(lambda some, where: Call(function="p99.9", arguments=some, where=where, **PLACE), some, inner),
    )


@given(st.recursive(leaves, branches, max_leaves=12))
def test_a_written_tree_is_read_as_the_same_tree(tree: Node) -> None:
    assert parse(write(tree)) == tree


def test_the_largest_expressions_are_read_at_once() -> None:
    started = time.process_time()
    parse(" and ".join(["data.temperature > 30"] * 49))
    assert time.process_time() - started < 0.1

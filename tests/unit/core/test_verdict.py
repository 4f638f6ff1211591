"""The verdict: unknown must never look like fine, and a broken check must not hide the others."""

from weft.core.verdict import CheckRegister, Finding, Level, conclude

NOW_US = 1_780_000_000_000_000


def finding(code: str, level: Level, why: str = "something") -> Finding:
    return Finding(code=code, level=level, why=why)


def test_nothing_checked_is_unknown() -> None:
    assert conclude([], NOW_US).level is Level.UNKNOWN


def test_the_worst_finding_decides_and_speaks() -> None:
    verdict = conclude(
        [finding("a", Level.FINE), finding("b", Level.ACT, "The disk is full in 2 h."), finding("c", Level.LOOK)], NOW_US
    )
    assert verdict.level is Level.ACT
    assert verdict.sentence == "Act now: The disk is full in 2 h."
    assert [f.code for f in verdict.findings] == ["b", "c", "a"]


def test_one_unknown_among_fine_ones_is_not_fine() -> None:
    assert conclude([finding("a", Level.FINE), finding("b", Level.UNKNOWN)], NOW_US).level is Level.UNKNOWN


async def test_a_check_that_fails_is_unknown_and_the_others_still_count() -> None:
    register = CheckRegister()

    async def broken() -> Finding:
        raise OSError("no such disk")

    async def fine() -> Finding:
        return finding("fine", Level.FINE)

    register.add("broken", broken)
    register.add("fine", fine)
    verdict = await register.verdict(NOW_US)
    assert {f.code: f.level for f in verdict.findings} == {"broken": Level.UNKNOWN, "fine": Level.FINE}
    assert "no such disk" in verdict.findings[0].why


async def test_since_is_when_the_level_was_first_seen() -> None:
    register = CheckRegister()
    level = Level.FINE

    async def changing() -> Finding:
        return finding("c", level)

    register.add("c", changing)
    first = await register.verdict(NOW_US)
    second = await register.verdict(NOW_US + 60)
    level = Level.ACT
    third = await register.verdict(NOW_US + 120)
    assert [v.findings[0].since_us for v in (first, second, third)] == [NOW_US, NOW_US, NOW_US + 120]

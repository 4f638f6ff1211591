"""Remembered credentials: bounded, short-lived, and forgotten when something is revoked."""

from weft.auth.proof import Proof
from weft.auth.remembered import Remembered
from weft.core.principal import Principal
from weft.core.times import SECOND_US
from weft.testing.clock import ManualClock


def proof(name: str = "ada", session_id: str | None = None, expires_at_us: int | None = None) -> Proof:
    principal = Principal(kind="user", id=name, name=name)
    return Proof(principal=principal, method="token", subject_id=name, session_id=session_id, expires_at_us=expires_at_us)


def make(clock: ManualClock, entries: int = 4, keep_s: float = 10) -> Remembered:
    return Remembered(entries=entries, keep_s=keep_s, clock=clock)


def test_a_proof_is_remembered_for_its_time_and_asked_anew_once_in_the_second_half() -> None:
    clock = ManualClock()
    remembered = make(clock)
    held = proof()
    remembered.remember("token", held, remembered.era)
    assert remembered.find("token") == (held, False)
    clock.advance(5)
    assert remembered.find("token") == (held, True)
    assert remembered.find("token") == (held, False)
    clock.advance(5)
    assert remembered.find("token") is None
    assert len(remembered) == 0


def test_a_proof_never_outlives_its_credential_whatever_the_clock_does() -> None:
    clock = ManualClock()
    remembered = make(clock)
    remembered.remember("token", proof(expires_at_us=clock.now_us() + 3 * SECOND_US), remembered.era)
    clock.jump(2)
    assert remembered.find("token") is not None
    clock.jump(1)
    assert remembered.find("token") is None


def test_memory_is_bounded_and_the_oldest_makes_room() -> None:
    remembered = make(ManualClock(), entries=4)
    for number in range(100):
        remembered.remember(f"token {number}", proof(), remembered.era)
    assert len(remembered) == 4
    assert remembered.find("token 99") is not None
    assert remembered.find("token 95") is None


def test_what_was_read_before_a_revocation_is_not_remembered_after_it() -> None:
    remembered = make(ManualClock())
    era = remembered.era
    remembered.forget_user("ada")
    remembered.remember("token", proof(), era)
    assert remembered.find("token") is None


def test_only_what_was_revoked_is_forgotten() -> None:
    remembered = make(ManualClock())
    remembered.remember("a", proof("ada", "s1"), remembered.era)
    remembered.remember("b", proof("ada", "s2"), remembered.era)
    remembered.remember("c", proof("bob", "s3"), remembered.era)
    remembered.forget_session("s1")
    assert [remembered.find(text) is not None for text in "abc"] == [False, True, True]
    remembered.forget_user("ada")
    assert [remembered.find(text) is not None for text in "abc"] == [False, False, True]
    remembered.forget_key("bob")
    assert remembered.find("c") is None


def test_zero_seconds_mean_that_nothing_is_remembered() -> None:
    remembered = make(ManualClock(), keep_s=0)
    remembered.remember("token", proof(), remembered.era)
    assert remembered.find("token") is None

"""Credentials that were verified a moment ago, so that a busy door does not ask the database for every event.

Only successes are remembered, in a bounded number and for a short time. What is revoked in this process is forgotten at
once; what another process revokes, after at most the time to live.
"""

from dataclasses import dataclass
from typing import Final

from weft.auth.proof import Proof
from weft.core.clock import Clock

_FOREVER_US: Final = 2**63 - 1


@dataclass(slots=True)
class _Entry:
    proof: Proof
    until_s: float
    expires_at_us: int


class Remembered:
    """Proofs by credential."""

    def __init__(self, *, entries: int, keep_s: float, clock: Clock) -> None:
        self._entries = entries
        self._keep_s = keep_s
        self._clock = clock
        self._proofs: dict[str, _Entry] = {}
        self._era = 0

    @property
    def era(self) -> int:
        """Grows with every revocation. What was read from the database in an older era must not be remembered."""
        return self._era

    def find(self, credential: str) -> Proof | None:
        """The proof of a credential that was verified a moment ago and has not expired since."""
        entry = self._proofs.get(credential)
        if entry is None:
            return None
        if entry.until_s > self._clock.steady_s() and entry.expires_at_us > self._clock.now_us():
            return entry.proof
        del self._proofs[credential]
        return None

    def remember(self, credential: str, proof: Proof, era: int) -> None:
        """Keep a proof that was read in `era`; the oldest one makes room."""
        if era != self._era or self._keep_s <= 0:
            return
        self._proofs.pop(credential, None)
        while len(self._proofs) >= self._entries:
            del self._proofs[next(iter(self._proofs))]
        expires_at_us = _FOREVER_US if proof.expires_at_us is None else proof.expires_at_us
        self._proofs[credential] = _Entry(proof, self._clock.steady_s() + self._keep_s, expires_at_us)

    def forget_user(self, user_id: str) -> None:
        """An account was changed: everything that stands for it must be asked again."""
        self._forget([text for text, entry in self._proofs.items() if entry.proof.subject_id == user_id])

    def forget_session(self, session_id: str) -> None:
        """A session ended."""
        self._forget([text for text, entry in self._proofs.items() if entry.proof.session_id == session_id])

    def forget_key(self, key_id: str) -> None:
        """An API key was revoked."""
        self._forget([text for text, entry in self._proofs.items() if entry.proof.principal.id == key_id])

    def _forget(self, credentials: list[str]) -> None:
        self._era += 1
        for credential in credentials:
            del self._proofs[credential]

    def __len__(self) -> int:
        return len(self._proofs)

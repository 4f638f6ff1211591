"""Credentials that were verified a moment ago, so that a busy door does not ask the database for every event.

Only successes are remembered, in a bounded number and for a short time. What is revoked in this process is forgotten at
once; what another process revokes, as soon as the word comes (see `revocation`), and after the time to live without it.
"""

from dataclasses import dataclass
from typing import Final

from weft.auth.proof import Proof
from weft.core.clock import Clock

_FOREVER_US: Final = 2**63 - 1


@dataclass(slots=True)
class Memory:
    """A remembered proof. In the second half of its life it should be asked anew, by one caller, while it still serves."""

    proof: Proof
    ages_at_s: float
    until_s: float
    expires_at_us: int


class Remembered:
    """Proofs by credential."""

    def __init__(self, *, entries: int, keep_s: float, clock: Clock) -> None:
        self._entries = entries
        self._keep_s = keep_s
        self._clock = clock
        self._proofs: dict[str, Memory] = {}
        self._era = 0

    @property
    def era(self) -> int:
        """Grows with every revocation. What was read from the database in an older era must not be remembered."""
        return self._era

    def find(self, credential: str) -> tuple[Proof, bool] | None:
        """The proof of a credential that was verified a moment ago and has not expired since, and whether to ask anew.

        That is said to one caller only; whoever hears it asks, while the others go on with what is remembered.
        """
        memory = self._proofs.get(credential)
        if memory is None:
            return None
        now_s = self._clock.steady_s()
        if memory.until_s <= now_s or memory.expires_at_us <= self._clock.now_us():
            del self._proofs[credential]
            return None
        if memory.ages_at_s <= now_s:
            memory.ages_at_s = memory.until_s
            return memory.proof, True
        return memory.proof, False

    def remember(self, credential: str, proof: Proof, era: int) -> None:
        """Keep a proof that was read in `era`; the oldest one makes room."""
        if era != self._era or self._keep_s <= 0:
            return
        self._proofs.pop(credential, None)
        while len(self._proofs) >= self._entries:
            del self._proofs[next(iter(self._proofs))]
        expires_at_us = _FOREVER_US if proof.expires_at_us is None else proof.expires_at_us
        now_s = self._clock.steady_s()
        self._proofs[credential] = Memory(proof, now_s + self._keep_s / 2, now_s + self._keep_s, expires_at_us)

    def forget(self, credential: str) -> None:
        """A credential turned out not to hold any more."""
        self._proofs.pop(credential, None)

    def forget_user(self, user_id: str) -> None:
        """An account was changed: everything that stands for it must be asked again."""
        self._forget([text for text, entry in self._proofs.items() if entry.proof.subject_id == user_id])

    def forget_session(self, session_id: str) -> None:
        """A session ended."""
        self._forget([text for text, entry in self._proofs.items() if entry.proof.session_id == session_id])

    def forget_key(self, key_id: str) -> None:
        """An API key was revoked."""
        self._forget([text for text, entry in self._proofs.items() if entry.proof.principal.id == key_id])

    def forget_all(self) -> None:
        """Word of a revocation may have been missed."""
        self._forget(list(self._proofs))

    def _forget(self, credentials: list[str]) -> None:
        self._era += 1
        for credential in credentials:
            del self._proofs[credential]

    def __len__(self) -> int:
        return len(self._proofs)

"""The ledger: where every offset of a partition went, so that nothing can vanish unnoticed.

For each partition, always: `position` = stored + repeats + expired + ticks + skipped. Skipped are offsets the log did not hand
in: erased there, trimmed, damaged, or set aside as dead letters. Of the stored, some are erased or retired again later.
"""

from dataclasses import dataclass, replace

from weft.core.position import TopicPartition
from weft.store.query import TopicCount


@dataclass(slots=True)
class Account:
    """The counts of one partition."""

    position: int = 0
    stored: int = 0
    repeats: int = 0
    expired: int = 0
    ticks: int = 0
    skipped: int = 0
    erased: int = 0
    retired: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every offset is in one of the counts."""
        return self.position == self.stored + self.repeats + self.expired + self.ticks + self.skipped


def account_of(count: TopicCount) -> Account:
    """The account that a count was made of."""
    return Account(
        position=count.position,
        stored=count.stored_total,
        repeats=count.repeats_total,
        expired=count.expired_total,
        ticks=count.ticks_total,
        skipped=count.skipped_total,
        erased=count.erased_total,
        retired=count.retired_total,
    )


Ledger = dict[TopicPartition, Account]


def copy_ledger(ledger: Ledger) -> Ledger:
    """A copy that later events do not change."""
    return {place: replace(account) for place, account in ledger.items()}

"""How streams and queues of one log are called."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Everything begins with the prefix, so several logs can share a virtual host."""

    prefix: str

    @property
    def ledger(self) -> str:
        """The stream of what all know together."""
        return f"{self.prefix}.ledger"

    def partition(self, partition: int) -> str:
        """The stream of a partition."""
        return f"{self.prefix}.log.{partition}"

    def owner(self, partition: int) -> str:
        """Taken by the one connection that may append to a partition."""
        return f"{self.prefix}.owner.{partition}"

    def group(self, group: str) -> str:
        """The queue of tokens that say who of a group reads which partition."""
        return f"{self.prefix}.group.{group}"

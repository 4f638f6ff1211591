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

    @property
    def identity(self) -> str:
        """The stream whose first message names the log."""
        return f"{self.prefix}.identity"

    def partition(self, partition: int) -> str:
        """The stream of a partition."""
        return f"{self.prefix}.log.{partition}"

    def owner(self, partition: int) -> str:
        """Taken by the one connection that may append to a partition."""
        return f"{self.prefix}.owner.{partition}"

    def group(self, group: str) -> str:
        """The empty queue whose consumers are the members of a group."""
        return f"{self.prefix}.group.{group}"

    def lease(self, group: str, partition: int) -> str:
        """Taken by the one connection that reads a partition for a group."""
        return f"{self.prefix}.group.{group}.{partition}"

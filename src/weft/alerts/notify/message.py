"""Message: what leaves through a channel in one piece, complete and unchanging, so that sending it again says the same."""

from collections import Counter

import msgspec

from weft.alerts.notify.notification import Notification


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Notifications that go out together, and for each the words the channel's template made of it.

    `key` is the idempotency key: the other side may see it again, and then it means what it meant before. `attempt` counts
    from 1 and is the only thing that changes.
    """

    key: str
    channel: str
    at_us: int
    notifications: tuple[Notification, ...]
    texts: tuple[dict[str, str], ...] = ()
    attempt: int = 1

    @property
    def is_over(self) -> bool:
        """Whether all of it is about alerts that are gone."""
        return all(notification.is_over for notification in self.notifications)

    @property
    def topic(self) -> str:
        """What it is about: messages with the same topic belong to one conversation."""
        first = self.notifications[0]
        alone = all(notification.fingerprint == first.fingerprint for notification in self.notifications)
        return first.fingerprint if alone else first.group_key or first.fingerprint

    def headline(self, field: str) -> str:
        """One line for all of it: the template's own for a single notification, a count of what there is for many."""
        if len(self.notifications) == 1:
            return " ".join(self.texts[0][field].split())
        states = Counter(notification.state for notification in self.notifications)
        rules = dict.fromkeys(notification.rule_name for notification in self.notifications)
        counted = ", ".join(f"{number} {state}" for state, number in states.items())
        return f"[{counted}] {', '.join(rules)}"

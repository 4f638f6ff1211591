"""The trial of a channel: a message that says it is a test."""

from weft.alerts.notify.compose import texts_of
from weft.alerts.notify.message import Message
from weft.alerts.notify.notification import Notification, key_of
from weft.alerts.notify.tables import ChannelRow
from weft.core.ids import new_id


def trial_message(channel: ChannelRow, *, by: str, now_us: int) -> Message:
    """A message in the channel's own words about an alert that does not exist."""
    notification = Notification(
        fingerprint=new_id(now_us),
        transition=0,
        state="test",
        rule_id="test",
        rule_name=f"Test of channel {channel.name}",
        rule_version=0,
        level="info",
        summary="This is a test. Nothing has happened.",
        description=f"{by[:128]} asked for it.",
        labels={"channel": channel.name},
        since_us=now_us,
        at_us=now_us,
    )
    return Message(
        key=key_of(notification, channel.id),
        channel=channel.name,
        at_us=now_us,
        notifications=(notification,),
        texts=(texts_of(channel, notification),),
    )

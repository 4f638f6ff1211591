"""What is kept about rules and alerts: what was asked, in which versions; how every alert stands; and what happened to it.

A transition and everything that follows from it (the alert as it is shown, notifications, the event for the log, how far the
results were judged) are written in one transaction.
"""

from sqlalchemy import BigInteger, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from weft.db.base import Base, Id, TimeUs


class RuleRow(Base):
    """A rule as it is now. `definition` is JSON; `meaning` changes only where alerts would mean something else."""

    __tablename__ = "alert_rules"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    version: Mapped[int]
    enabled: Mapped[bool]
    owner: Mapped[str] = mapped_column(String(128))
    definition: Mapped[str] = mapped_column(Text)
    meaning: Mapped[str] = mapped_column(String(64))
    created_at_us: Mapped[TimeUs]
    updated_at_us: Mapped[TimeUs]


class RuleVersionRow(Base):
    """One version of a rule, kept after the rule is gone: alerts say which version raised them."""

    __tablename__ = "alert_rule_versions"

    rule_id: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    definition: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(256))
    made_at_us: Mapped[TimeUs]


class StateRow(Base):
    """How one rule stands for one key, where that is more than nothing. `state` is JSON of an AlertState, `key` of the values.

    `meaning` is that of the rule it was judged by. `due_us` is when its time brings something: an escalation, a reminder, the
    end of an acknowledgement.
    """

    __tablename__ = "alert_states"

    fingerprint: Mapped[str] = mapped_column(String(32), primary_key=True)
    rule_id: Mapped[Id] = mapped_column(index=True)
    meaning: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), index=True)
    state: Mapped[str] = mapped_column(Text)
    due_us: Mapped[TimeUs | None] = mapped_column(index=True)


class AlertRow(Base):
    """One episode of one rule and key, from pending to its end, as it is shown. `evidence` is JSON: why."""

    __tablename__ = "alerts"
    __table_args__ = (Index("ix_alerts_status_started_at_us", "status", "started_at_us"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(32), index=True)
    rule_id: Mapped[Id] = mapped_column(index=True)
    rule_name: Mapped[str] = mapped_column(String(128))
    rule_version: Mapped[int]
    key: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    level: Mapped[str] = mapped_column(String(16))
    summary: Mapped[str] = mapped_column(Text)
    started_at_us: Mapped[TimeUs] = mapped_column(index=True)
    fired_at_us: Mapped[TimeUs | None]
    ended_at_us: Mapped[TimeUs | None]
    ended_by: Mapped[str | None] = mapped_column(String(256))
    acknowledged_at_us: Mapped[TimeUs | None]
    acknowledged_by: Mapped[str | None] = mapped_column(String(256))
    acknowledged_until_us: Mapped[TimeUs | None]
    acknowledged_comment: Mapped[str | None] = mapped_column(Text)
    silenced_by: Mapped[str | None] = mapped_column(String(64))
    inhibited_by: Mapped[str | None] = mapped_column(String(64))
    flapping: Mapped[bool] = mapped_column(default=False, server_default=false())
    step: Mapped[int]
    revision: Mapped[int]
    shadow: Mapped[bool] = mapped_column(default=False, server_default=false())
    evidence: Mapped[str] = mapped_column(Text)
    updated_at_us: Mapped[TimeUs]


class TransitionRow(Base):
    """One thing that happened to an alert, as JSON. The numbers of a fingerprint have no gap."""

    __tablename__ = "alert_transitions"

    fingerprint: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    alert_id: Mapped[Id] = mapped_column(index=True)
    change: Mapped[str] = mapped_column(String(16))
    at_us: Mapped[TimeUs] = mapped_column(index=True)
    transition: Mapped[str] = mapped_column(Text)


class AnnouncementRow(Base):
    """A transition that does not stand in the topic `alerts` yet, as the event it becomes. Gone once it does."""

    __tablename__ = "alert_announcements"

    fingerprint: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    made_at_us: Mapped[TimeUs] = mapped_column(index=True)
    event_id: Mapped[str] = mapped_column(String(32))
    row: Mapped[str] = mapped_column(Text)


class SilenceRow(Base):
    """Nobody is told of what it matches for a while. `matchers` is JSON."""

    __tablename__ = "alert_silences"

    id: Mapped[Id] = mapped_column(primary_key=True)
    matchers: Mapped[str] = mapped_column(Text)
    starts_at_us: Mapped[TimeUs]
    ends_at_us: Mapped[TimeUs] = mapped_column(index=True)
    comment: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(256))
    created_at_us: Mapped[TimeUs]
    updated_at_us: Mapped[TimeUs]


class JudgedRow(Base):
    """How far the results of one topic and partition are judged."""

    __tablename__ = "alert_positions"

    topic: Mapped[str] = mapped_column(String(128), primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)


class WatchedRow(Base):
    """Up to where a rule's windows are known to be over and to have been looked at; what was missing among them was judged."""

    __tablename__ = "alert_horizons"

    rule_id: Mapped[Id] = mapped_column(primary_key=True)
    until_us: Mapped[TimeUs]


class JudgeRow(Base):
    """What there is one of: `log_identity`, whose positions these are."""

    __tablename__ = "alert_judge"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(256))

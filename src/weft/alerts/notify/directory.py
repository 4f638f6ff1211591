"""The directory of channels: stored, their secrets under the installation's cipher, shown masked, opened when needed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.catalogue import KINDS, find_class, open_channel, secret_names
from weft.alerts.notify.port import Channel, Outgoing
from weft.alerts.notify.tables import ChannelRow
from weft.alerts.notify.template import check_template
from weft.auth.secrets import MASK, Cipher
from weft.auth.witness import Action, Change, Deed, Witness, difference, nobody
from weft.core.clock import Clock
from weft.core.errors import Conflict, Invalid, NotFound, TooLarge
from weft.core.ids import new_id
from weft.db.database import Database

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,127}")
_MAX_BYTES: Final = 16 * 1024
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_TEXTS: Final = msgspec.json.Decoder(dict[str, str])


class ChannelPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel is to be. Where a secret in `settings` is the mask, the stored one is meant; null means none."""

    name: str
    kind: str
    settings: dict[str, Any]
    enabled: bool = True
    template: dict[str, str] = {}
    messages_per_minute: int | None = None


class Directory:
    """The channels of one installation."""

    def __init__(
        self, database: Database, *, cipher: Cipher, outgoing: Outgoing, clock: Clock, witness: Witness = nobody
    ) -> None:
        self._witness = witness
        self._database = database
        self._cipher = cipher
        self._outgoing = outgoing
        self._clock = clock

    async def create(self, plan: ChannelPlan) -> ChannelRow:
        """A new channel. Raises Invalid, naming the field, and Conflict where the name is taken."""
        now_us = self._clock.now_us()
        row = ChannelRow(id=new_id(now_us), kind=plan.kind, created_at_us=now_us)
        async with self._database.writing() as session:
            await self._fill(session, row, plan, {})
            session.add(row)
            await self._tell(session, Action.CREATE, row.id, difference({}, self._shown(row)))
        return row

    async def replace(self, channel: str, plan: ChannelPlan) -> ChannelRow:
        """Another plan for a channel; its kind stays. Raises NotFound, Invalid, Conflict."""
        async with self._database.writing() as session:
            row = await _get(session, channel)
            if plan.kind != row.kind:
                raise Invalid(f"a channel's kind stays, and '{row.name}' is of the kind {row.kind}", field="kind")
            before, secrets = self._shown(row), self._secrets(row)
            await self._fill(session, row, plan, self._options(row))
            renewed = difference(secrets, self._secrets(row))
            changes = difference(before, self._shown(row)) | {f"settings.{name}": Change(MASK, MASK) for name in renewed}
            await self._tell(session, Action.UPDATE, row.id, changes)
        return row

    async def get(self, channel: str) -> ChannelRow:
        """A channel by its id or name. Raises NotFound."""
        async with self._database.reading() as session:
            return await _get(session, channel)

    async def list_all(self, *, kind: str | None = None, skip: int = 0, limit: int = 1000) -> tuple[Sequence[ChannelRow], int]:
        """A page of channels by name, and how many there are; of one kind or of all."""
        chosen = select(ChannelRow) if kind is None else select(ChannelRow).where(ChannelRow.kind == kind)
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
            rows = await session.scalars(chosen.order_by(ChannelRow.name).offset(skip).limit(limit))
            return rows.all(), total or 0

    async def remove(self, channel: str) -> None:
        """Forget a channel. What waits for it ends as refused. Raises NotFound."""
        async with self._database.writing() as session:
            row = await _get(session, channel)
            await session.delete(row)
            await self._tell(session, Action.DELETE, row.id, difference(self._shown(row), {}))

    def plan_of(self, row: ChannelRow) -> ChannelPlan:
        """A channel as it may be shown: each secret is only said to be there."""
        return ChannelPlan(
            name=row.name,
            kind=row.kind,
            settings=_OBJECT.decode(row.settings),
            enabled=row.enabled,
            template=_TEXTS.decode(row.template),
            messages_per_minute=row.messages_per_minute,
        )

    def open(self, row: ChannelRow) -> Channel:
        """The channel itself. Raises Invalid, Unsupported, and Corrupt where its secrets cannot be read."""
        return open_channel(row.kind, self._options(row), self._outgoing)

    def secrets_of(self, row: ChannelRow) -> Sequence[str]:
        """Every secret of a channel, so that it can be kept out of what is shown."""
        return [str(value) for value in self._secrets(row).values()]

    async def renew_secrets(self) -> None:
        """Put every secret under the newest key. Raises Corrupt where a key is missing."""
        async with self._database.writing() as session:
            for row in await session.scalars(select(ChannelRow).where(ChannelRow.secrets.is_not(None))):
                row.secrets = self._cipher.rotate(row.secrets or "")

    async def _fill(self, session: AsyncSession, row: ChannelRow, plan: ChannelPlan, stored: Mapping[str, Any]) -> None:
        _check_name(plan.name)
        taken = select(ChannelRow.id).where(ChannelRow.name == plan.name, ChannelRow.id != row.id)
        if await session.scalar(taken) is not None:
            raise Conflict(f"a channel is called '{plan.name}' already")
        secret = secret_names(plan.kind)
        options = {name: value for name, value in plan.settings.items() if value is not None}
        kept = {name for name in secret & options.keys() if options[name] == MASK}
        options |= {name: _stored(stored, name) for name in kept}
        opened = open_channel(plan.kind, options, self._outgoing)
        opened.check()
        if kept and opened.destination != open_channel(plan.kind, dict(stored), self._outgoing).destination:
            name = min(kept)
            raise Invalid(
                f"this channel now sends to {opened.destination}; give settings.{name} again, it was meant for another place",
                field=f"settings.{name}",
            )
        _check_templates(plan)
        row.name, row.enabled, row.messages_per_minute = plan.name, plan.enabled, plan.messages_per_minute
        row.template = msgspec.json.encode(plan.template).decode()
        row.settings = _packed({name: MASK if name in secret else value for name, value in options.items()})
        secrets = {name: value for name, value in options.items() if name in secret}
        row.secrets = self._cipher.encrypt(_packed(secrets)) if secrets else None
        row.updated_at_us = self._clock.now_us()

    async def _tell(self, session: AsyncSession, action: Action, channel_id: str, changes: Mapping[str, Change]) -> None:
        if changes:
            await self._witness(session, Deed(action=action, entity_type="channel", entity_id=channel_id, changes=changes))

    def _shown(self, row: ChannelRow) -> dict[str, Any]:
        plan = msgspec.structs.asdict(self.plan_of(row))
        return {**{f"settings.{name}": value for name, value in plan.pop("settings").items()}, **plan}

    def _options(self, row: ChannelRow) -> dict[str, Any]:
        return {**_OBJECT.decode(row.settings), **self._secrets(row)}

    def _secrets(self, row: ChannelRow) -> dict[str, Any]:
        return _OBJECT.decode(self._cipher.decrypt(row.secrets)) if row.secrets else {}


async def _get(session: AsyncSession, channel: str) -> ChannelRow:
    row = await session.scalar(select(ChannelRow).where((ChannelRow.id == channel) | (ChannelRow.name == channel)))
    if row is None:
        raise NotFound(f"there is no channel '{channel[:64]}'")
    return row


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(
            "a channel's name has up to 128 letters, digits, spaces and . _ @ -, and begins with one of the first two",
            field="name",
        )
    if name in KINDS:
        raise Invalid(f"'{name}' is a kind of channels; a rule that names it means every channel of that kind", field="name")


def _check_templates(plan: ChannelPlan) -> None:
    known = find_class(plan.kind).template
    for field, text in plan.template.items():
        if field not in known:
            listing = ", ".join(known) or "none"
            raise Invalid(
                f"the template of {plan.kind} has no field '{field[:32]}'; it has: {listing}", field=f"template.{field[:32]}"
            )
        check_template(text, field=f"template.{field}")


def _stored(stored: Mapping[str, Any], name: str) -> Any:
    if name not in stored:
        raise Invalid(f"settings.{name} is '{MASK}', which means the stored one, and none is stored", field=f"settings.{name}")
    return stored[name]


def _packed(options: Mapping[str, Any]) -> str:
    packed = msgspec.json.encode(options).decode()
    if len(packed) > _MAX_BYTES:
        raise TooLarge(f"the settings have {len(packed)} bytes; at most {_MAX_BYTES} are kept", limit=_MAX_BYTES, unit="bytes")
    return packed

"""Notices: what people are told inside the program. Each belongs to one person, and nobody else sees it."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.clock import Clock
from weft.core.errors import NotAllowed, NotFound
from weft.core.ids import new_ids
from weft.db.database import Database
from weft.inventory.tables import NoticeRow


def post(
    session: AsyncSession, recipients: Iterable[str], *, kind: str, title: str, message: str, link: str, now_us: int
) -> None:
    """Tell people something, in the unit of work that makes it true."""
    people = sorted(set(recipients))
    for recipient, notice_id in zip(people, new_ids(len(people), now_us), strict=True):
        session.add(
            NoticeRow(
                id=notice_id,
                recipient_id=recipient,
                type=kind,
                title=title,
                message=message,
                link=link,
                read=False,
                created_at_us=now_us,
            )
        )


class Notices:
    """The notices of everybody."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_open(self, recipient_id: str, *, skip: int, limit: int) -> Sequence[NoticeRow]:
        """What was not dismissed: unread ones first, of each the newest first."""
        asked = select(NoticeRow).where(NoticeRow.recipient_id == recipient_id, NoticeRow.dismissed_at_us.is_(None))
        ordered = asked.order_by(NoticeRow.read, NoticeRow.created_at_us.desc(), NoticeRow.id.desc())
        async with self._database.reading() as session:
            return (await session.scalars(ordered.offset(skip).limit(limit))).all()

    async def count_unread(self, recipient_id: str) -> int:
        """How many are neither read nor dismissed."""
        unread = (NoticeRow.recipient_id == recipient_id, NoticeRow.dismissed_at_us.is_(None), NoticeRow.read.is_(False))
        async with self._database.reading() as session:
            return await session.scalar(select(func.count()).select_from(NoticeRow).where(*unread)) or 0

    async def mark_read(self, notice_id: str, recipient_id: str) -> NoticeRow:
        """It was read. Raises NotFound, and NotAllowed for somebody else's."""
        async with self._database.writing() as session:
            row = await _own(session, notice_id, recipient_id)
            row.read = True
        return row

    async def dismiss(self, notice_id: str, recipient_id: str) -> NoticeRow:
        """It need not be shown any more. Raises as `mark_read` does."""
        async with self._database.writing() as session:
            row = await _own(session, notice_id, recipient_id)
            row.dismissed_at_us = row.dismissed_at_us or self._clock.now_us()
        return row

    async def mark_all_read(self, recipient_id: str) -> None:
        """All of one person's were read."""
        async with self._database.writing() as session:
            unread = update(NoticeRow).where(NoticeRow.recipient_id == recipient_id, NoticeRow.read.is_(False))
            await session.execute(unread.values(read=True))


async def _own(session: AsyncSession, notice_id: str, recipient_id: str) -> NoticeRow:
    row = await session.get(NoticeRow, notice_id)
    if row is None:
        raise NotFound(f"there is no notification '{notice_id}'", code="Notification not found")
    if row.recipient_id != recipient_id:
        raise NotAllowed("this notification is somebody else's", code="Not your notification")
    return row

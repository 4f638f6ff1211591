"""identifiers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "identifiers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("scheme", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("target_kind", sa.String(length=32), nullable=False),
        sa.Column("target_id", sa.String(length=255), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("version_of_id", sa.String(length=36), nullable=True),
        sa.Column("successor_id", sa.String(length=36), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identifiers")),
        sa.UniqueConstraint("name", name=op.f("uq_identifiers_name")),
        sa.UniqueConstraint("scheme", "target_kind", "target_id", name=op.f("uq_identifiers_scheme_target_kind_target_id")),
    )
    with op.batch_alter_table("identifiers", schema=None) as batch_op:
        batch_op.create_index("ix_identifiers_state_created_at_us", ["state", "created_at_us"], unique=False)
        batch_op.create_index("ix_identifiers_target_kind_target_id", ["target_kind", "target_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_identifiers_version_of_id"), ["version_of_id"], unique=False)

    op.create_table(
        "identifier_registrations",
        sa.Column("identifier_id", sa.String(length=36), nullable=False),
        sa.Column("scheme", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("next_at_us", sa.BigInteger(), nullable=False),
        sa.Column("waiting_since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("identifier_id", name=op.f("pk_identifier_registrations")),
    )
    with op.batch_alter_table("identifier_registrations", schema=None) as batch_op:
        batch_op.create_index("ix_identifier_registrations_state_next_at_us", ["state", "next_at_us"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("identifier_registrations", schema=None) as batch_op:
        batch_op.drop_index("ix_identifier_registrations_state_next_at_us")

    op.drop_table("identifier_registrations")
    with op.batch_alter_table("identifiers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identifiers_version_of_id"))
        batch_op.drop_index("ix_identifiers_target_kind_target_id")
        batch_op.drop_index("ix_identifiers_state_created_at_us")

    op.drop_table("identifiers")

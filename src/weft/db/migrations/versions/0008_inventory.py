"""inventory."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "groups",
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name_key", name=op.f("uq_groups_name_key")),
    )
    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_groups_created_at_us_id"), ["created_at_us", "id"], unique=False)

    op.create_table(
        "projects",
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name_key", name=op.f("uq_projects_name_key")),
    )
    with op.batch_alter_table("projects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_projects_created_at_us_id"), ["created_at_us", "id"], unique=False)

    op.create_table(
        "service_accounts",
        sa.Column("domain", sa.String(length=255), nullable=True),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_accounts")),
        sa.UniqueConstraint("name_key", name=op.f("uq_service_accounts_name_key")),
    )
    with op.batch_alter_table("service_accounts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_service_accounts_created_at_us_id"), ["created_at_us", "id"], unique=False)

    op.create_table(
        "storage_locations",
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("base_path", sa.String(length=1024), nullable=False),
        sa.Column("connection_config", sa.Text(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_locations")),
        sa.UniqueConstraint("name_key", name=op.f("uq_storage_locations_name_key")),
    )
    with op.batch_alter_table("storage_locations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_storage_locations_created_at_us_id"), ["created_at_us", "id"], unique=False)

    op.create_table(
        "group_memberships",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_memberships_group_id_groups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_group_memberships_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_memberships")),
    )
    with op.batch_alter_table("group_memberships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_group_memberships_user_id"), ["user_id"], unique=False)

    op.create_table(
        "instrument_requests",
        sa.Column("requester_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("location", sa.String(length=255), nullable=False),
        sa.Column("harvest_frequency", sa.String(length=255), nullable=False),
        sa.Column("justification", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("admin_notes", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["requester_id"], ["users.id"], name=op.f("fk_instrument_requests_requester_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instrument_requests")),
    )
    with op.batch_alter_table("instrument_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instrument_requests_created_at_us_id"), ["created_at_us", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_instrument_requests_requester_id"), ["requester_id"], unique=False)

    op.create_table(
        "instruments",
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("location", sa.String(length=255), nullable=True),
        sa.Column("pid", sa.String(length=255), nullable=True),
        sa.Column("cifs_host", sa.String(length=255), nullable=False),
        sa.Column("cifs_port", sa.Integer(), nullable=False),
        sa.Column("cifs_share", sa.String(length=255), nullable=False),
        sa.Column("cifs_base_path", sa.String(length=1024), nullable=True),
        sa.Column("service_account_id", sa.String(length=36), nullable=True),
        sa.Column("transfer_adapter", sa.String(length=16), nullable=False),
        sa.Column("transfer_config", sa.Text(), nullable=True),
        sa.Column("last_harvested_at_us", sa.BigInteger(), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["service_account_id"], ["service_accounts.id"], name=op.f("fk_instruments_service_account_id_service_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instruments")),
        sa.UniqueConstraint("name_key", name=op.f("uq_instruments_name_key")),
    )
    with op.batch_alter_table("instruments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instruments_created_at_us_id"), ["created_at_us", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_instruments_service_account_id"), ["service_account_id"], unique=False)

    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recipient_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("link", sa.String(length=255), nullable=True),
        sa.Column("read", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("dismissed_at_us", sa.BigInteger(), nullable=True),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["recipient_id"], ["users.id"], name=op.f("fk_notices_recipient_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notices_recipient_id_created_at_us"), ["recipient_id", "created_at_us"], unique=False
        )

    op.create_table(
        "project_memberships",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("member_type", sa.String(length=16), nullable=False),
        sa.Column("member_id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_memberships_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_memberships")),
        sa.UniqueConstraint(
            "project_id", "member_type", "member_id", name=op.f("uq_project_memberships_project_id_member_type_member_id")
        ),
    )
    with op.batch_alter_table("project_memberships", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_project_memberships_member_type_member_id"), ["member_type", "member_id"], unique=False
        )

    op.create_table(
        "harvest_schedules",
        sa.Column("instrument_id", sa.String(length=36), nullable=False),
        sa.Column("default_storage_location_id", sa.String(length=36), nullable=False),
        sa.Column("cron_expression", sa.String(length=128), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("prefect_deployment_id", sa.String(length=64), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["default_storage_location_id"],
            ["storage_locations.id"],
            name=op.f("fk_harvest_schedules_default_storage_location_id_storage_locations"),
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_harvest_schedules_instrument_id_instruments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_harvest_schedules")),
    )
    with op.batch_alter_table("harvest_schedules", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_harvest_schedules_created_at_us_id"), ["created_at_us", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_harvest_schedules_default_storage_location_id"), ["default_storage_location_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_harvest_schedules_instrument_id"), ["instrument_id"], unique=False)

    op.create_table(
        "hook_configs",
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("implementation", sa.String(length=16), nullable=False),
        sa.Column("builtin_name", sa.String(length=64), nullable=True),
        sa.Column("script_path", sa.String(length=1024), nullable=True),
        sa.Column("webhook_url", sa.String(length=2048), nullable=True),
        sa.Column("config", sa.Text(), nullable=True),
        sa.Column("instrument_id", sa.String(length=36), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["instrument_id"], ["instruments.id"], name=op.f("fk_hook_configs_instrument_id_instruments")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_configs")),
        sa.UniqueConstraint("name_key", name=op.f("uq_hook_configs_name_key")),
    )
    with op.batch_alter_table("hook_configs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hook_configs_created_at_us_id"), ["created_at_us", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_hook_configs_instrument_id"), ["instrument_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("hook_configs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_hook_configs_instrument_id"))
        batch_op.drop_index(batch_op.f("ix_hook_configs_created_at_us_id"))

    op.drop_table("hook_configs")
    with op.batch_alter_table("harvest_schedules", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_harvest_schedules_instrument_id"))
        batch_op.drop_index(batch_op.f("ix_harvest_schedules_default_storage_location_id"))
        batch_op.drop_index(batch_op.f("ix_harvest_schedules_created_at_us_id"))

    op.drop_table("harvest_schedules")
    with op.batch_alter_table("project_memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_project_memberships_member_type_member_id"))

    op.drop_table("project_memberships")
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notices_recipient_id_created_at_us"))

    op.drop_table("notices")
    with op.batch_alter_table("instruments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instruments_service_account_id"))
        batch_op.drop_index(batch_op.f("ix_instruments_created_at_us_id"))

    op.drop_table("instruments")
    with op.batch_alter_table("instrument_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instrument_requests_requester_id"))
        batch_op.drop_index(batch_op.f("ix_instrument_requests_created_at_us_id"))

    op.drop_table("instrument_requests")
    with op.batch_alter_table("group_memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_group_memberships_user_id"))

    op.drop_table("group_memberships")
    with op.batch_alter_table("storage_locations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_storage_locations_created_at_us_id"))

    op.drop_table("storage_locations")
    with op.batch_alter_table("service_accounts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_service_accounts_created_at_us_id"))

    op.drop_table("service_accounts")
    with op.batch_alter_table("projects", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_projects_created_at_us_id"))

    op.drop_table("projects")
    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_groups_created_at_us_id"))

    op.drop_table("groups")

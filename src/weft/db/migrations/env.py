"""How Alembic reaches the database: through the connection `weft.db.migrate` hands over."""

from alembic import context

from weft.db.base import Base


def run() -> None:
    """Run the steps asked for inside the transaction that is already open."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        compare_server_default=True,
    )
    context.run_migrations()


run()

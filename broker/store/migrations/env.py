"""Alembic's entry: runs on the connection that ``broker.store.schema`` hands over."""

from __future__ import annotations

from alembic import context

from broker.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()

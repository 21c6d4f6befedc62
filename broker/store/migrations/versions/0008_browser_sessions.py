"""People who are signed in to the pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SEARCHED = ("user_id", "subject_digest", "index_digest", "expires_at")


def upgrade() -> None:
    op.create_table(
        "browser_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("handle", sa.String(length=36), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("provider", sa.String(length=2048), nullable=True),
        sa.Column("subject_digest", sa.String(length=64), nullable=True),
        sa.Column("index_digest", sa.String(length=64), nullable=True),
        sa.Column("sealed_identity", sa.LargeBinary(), nullable=True),
        sa.Column("amr", sa.String(length=256), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=False),
        sa.Column("mfa_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("source_ip", sa.String(length=64), nullable=False),
        sa.Column("user_agent", sa.String(length=512), nullable=False),
        sa.CheckConstraint("(user_id IS NULL) <> (provider IS NULL)", name=op.f("ck_browser_sessions_one_person")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_browser_sessions_account_accounts")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["entities.id"], name=op.f("fk_browser_sessions_user_id_entities"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_browser_sessions")),
        sa.UniqueConstraint("handle", name=op.f("uq_browser_sessions_handle")),
    )
    for column in _SEARCHED:
        op.create_index(f"ix_browser_sessions_{column}", "browser_sessions", [column])
    op.create_index("ix_browser_sessions_account_created_at", "browser_sessions", ["account", "created_at"])


def downgrade() -> None:
    op.drop_table("browser_sessions")

"""People on the pages: their sessions, what they began, passkeys, recovery codes, favourite roles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
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
    _create_others()


def _create_others() -> None:
    op.create_table(
        "tickets",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_tickets_account_accounts")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tickets")),
    )
    op.create_index("ix_tickets_expires_at", "tickets", ["expires_at"])
    op.create_table(
        "passkeys",
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["entities.id"], name=op.f("fk_passkeys_user_id_entities"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_passkeys")),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])
    op.create_table(
        "recovery_codes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["entities.id"], name=op.f("fk_recovery_codes_user_id_entities"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_recovery_codes")),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"])
    op.create_table(
        "favourite_roles",
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("role_arn", sa.String(length=2048), nullable=False),
        sa.Column("favourite", sa.Boolean(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person", "role_arn", name=op.f("pk_favourite_roles")),
    )


def downgrade() -> None:
    for table in ("favourite_roles", "recovery_codes", "passkeys", "tickets", "browser_sessions"):
        op.drop_table(table)

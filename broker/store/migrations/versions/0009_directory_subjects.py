"""Who came from a directory and may have sessions, and when they were last looked up there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "directory_subjects",
        sa.Column("provider", sa.String(length=2048), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("dn", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider"],
            ["identity_providers.arn"],
            name=op.f("fk_directory_subjects_provider_identity_providers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider", "subject", name=op.f("pk_directory_subjects")),
    )
    op.create_table(
        "directory_syncs",
        sa.Column("provider", sa.String(length=2048), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider"],
            ["identity_providers.arn"],
            name=op.f("fk_directory_syncs_provider_identity_providers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_directory_syncs")),
    )


def downgrade() -> None:
    op.drop_table("directory_syncs")
    op.drop_table("directory_subjects")

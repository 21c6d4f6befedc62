"""SAML metadata that is fetched: when it was looked at, and of what was warned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saml_metadata_checks",
        sa.Column("provider", sa.String(length=2048), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.String(length=1000), nullable=False),
        sa.Column("warned", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider"],
            ["identity_providers.arn"],
            name=op.f("fk_saml_metadata_checks_provider_identity_providers"),
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_saml_metadata_checks")),
    )


def downgrade() -> None:
    op.drop_table("saml_metadata_checks")

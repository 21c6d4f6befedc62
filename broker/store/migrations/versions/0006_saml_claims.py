"""Redeemed assertions, and providers by their issuers: several SAML providers may have one entity id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assertion_claims",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assertion_claims")),
    )
    op.create_index("ix_assertion_claims_expires_at", "assertion_claims", ["expires_at"])
    op.create_index("ix_identity_providers_account_issuer", "identity_providers", ["account", "issuer"])


def downgrade() -> None:
    op.drop_index("ix_identity_providers_account_issuer", "identity_providers")
    op.drop_table("assertion_claims")

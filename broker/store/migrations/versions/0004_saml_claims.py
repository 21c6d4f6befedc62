"""Redeemed assertions, and SAML providers: an entity id may be an issuer too, and several providers may have it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
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
    with op.batch_alter_table("identity_providers") as providers:
        providers.drop_constraint("uq_identity_providers_account_issuer", type_="unique")
    op.create_index("ix_identity_providers_account_issuer", "identity_providers", ["account", "issuer"])


def downgrade() -> None:
    op.drop_index("ix_identity_providers_account_issuer", "identity_providers")
    with op.batch_alter_table("identity_providers") as providers:
        providers.create_unique_constraint("uq_identity_providers_account_issuer", ["account", "issuer"])
    op.drop_table("assertion_claims")

"""Groups, policy versions, instance profiles, passwords, usage and reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "password_attempts",
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_password_attempts")),
    )
    op.create_table(
        "usages",
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=128), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "service", "action", name=op.f("pk_usages")),
    )
    op.create_table(
        "password_policies",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_password_policies_account_accounts")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_password_policies")),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=2048), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_reports_account_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["entities.id"], name=op.f("fk_group_members_group_id_entities"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["entities.id"], name=op.f("fk_group_members_user_id_entities"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_members")),
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"], unique=False)
    op.create_table(
        "instance_profiles",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("role_id", sa.String(length=32), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_instance_profiles_account_accounts")),
        sa.ForeignKeyConstraint(["role_id"], ["entities.id"], name=op.f("fk_instance_profiles_role_id_entities")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_profiles")),
        sa.UniqueConstraint("account", "name_key", name=op.f("uq_instance_profiles_account_name_key")),
        sa.UniqueConstraint("arn", name=op.f("uq_instance_profiles_arn")),
    )
    op.create_index("ix_instance_profiles_role_id", "instance_profiles", ["role_id"], unique=False)
    op.create_table(
        "login_profiles",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("password_hash", sa.String(length=512), nullable=False),
        sa.Column("reset_required", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["entities.id"], name=op.f("fk_login_profiles_user_id_entities"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_login_profiles")),
    )
    op.create_table(
        "policy_versions",
        sa.Column("policy_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["managed_policies.id"],
            name=op.f("fk_policy_versions_policy_id_managed_policies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("policy_id", "version", name=op.f("pk_policy_versions")),
    )
    op.create_table(
        "old_passwords",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", sa.String(length=512), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["login_profiles.user_id"],
            name=op.f("fk_old_passwords_user_id_login_profiles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "replaced_at", "password_hash", name=op.f("pk_old_passwords")),
    )
    op.create_index("ix_entities_permissions_boundary", "entities", ["permissions_boundary", "account"], unique=False)
    op.create_index("ix_access_keys_user_id", "access_keys", ["user_id"], unique=False)
    op.create_index("ix_mfa_devices_user_id", "mfa_devices", ["user_id"], unique=False)
    op.create_index("ix_policy_attachments_policy_arn", "policy_attachments", ["policy_arn"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_entities_permissions_boundary", table_name="entities")
    op.drop_index("ix_policy_attachments_policy_arn", table_name="policy_attachments")
    op.drop_index("ix_mfa_devices_user_id", table_name="mfa_devices")
    op.drop_index("ix_access_keys_user_id", table_name="access_keys")
    op.drop_table("old_passwords")
    op.drop_table("policy_versions")
    op.drop_table("login_profiles")
    op.drop_index("ix_instance_profiles_role_id", table_name="instance_profiles")
    op.drop_table("instance_profiles")
    op.drop_index("ix_group_members_user_id", table_name="group_members")
    op.drop_table("group_members")
    op.drop_table("reports")
    op.drop_table("password_policies")
    op.drop_table("usages")
    op.drop_table("password_attempts")

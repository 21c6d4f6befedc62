"""The schema: nothing in it is particular to one database. Changes go through ``migrations/``."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Times are whole seconds since the epoch, UTC. ``declared``: the configuration file made it and may remove it.

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""One row, raised by every change to anything below but the audit record: what caches are checked against."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("alias", String(63), nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
)

entities = Table(
    "entities",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(8), CheckConstraint("kind IN ('user', 'group', 'role')", name="kind"), nullable=False),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("name_key", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("arn", String(2048), nullable=False, unique=True),
    Column("permissions_boundary", String(2048)),
    Column("tags", JSON, nullable=False),
    Column("declared", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("account", "kind", "name_key"),
    Index("ix_entities_permissions_boundary", "permissions_boundary", "account"),
)
"""What policies can be attached to. ``name_key`` is the name in lower case: names are unique without regard to case."""

roles = Table(
    "roles",
    metadata,
    Column("id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("trust_policy", Text, nullable=False),
    Column("max_session_duration", Integer, nullable=False),
    Column("description", String(1000), nullable=False, default=""),
)

managed_policies = Table(
    "managed_policies",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id")),
    Column("name", String(128), nullable=False),
    Column("name_key", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("arn", String(2048), nullable=False, unique=True),
    Column("document", Text, nullable=False),
    Column("description", String(1000), nullable=False, default=""),
    Column("tags", JSON, nullable=False, default=dict),
    Column("default_version", Integer, nullable=False, default=1),
    Column("last_version", Integer, nullable=False, default=1),
    Column("declared", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("account", "name_key"),
)
"""``document`` is that of the default version. Those of ``aws`` (``arn:aws:iam::aws:policy/…``) have no account.
``last_version`` is the highest number ever given: numbers never come again."""

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("policy_id", String(32), ForeignKey("managed_policies.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_group_members_user_id", "user_id"),
)

instance_profiles = Table(
    "instance_profiles",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("name_key", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("arn", String(2048), nullable=False, unique=True),
    Column("role_id", String(32), ForeignKey("entities.id")),
    Column("tags", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("account", "name_key"),
    Index("ix_instance_profiles_role_id", "role_id"),
)
"""Names for a role, which Terraform and consoles ask for; nothing here runs instances."""

inline_policies = Table(
    "inline_policies",
    metadata,
    Column("entity_id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("document", Text, nullable=False),
)

policy_attachments = Table(
    "policy_attachments",
    metadata,
    Column("entity_id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("policy_arn", String(2048), ForeignKey("managed_policies.arn"), primary_key=True),
    Index("ix_policy_attachments_policy_arn", "policy_arn"),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("user_id", String(32), ForeignKey("entities.id", ondelete="CASCADE")),
    Column("status", String(8), CheckConstraint("status IN ('Active', 'Inactive')", name="status"), nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("declared", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_access_keys_user_id", "user_id"),
)
"""Long-term keys; without a user it is the account's root key. Secrets are sealed under the master key."""

identity_providers = Table(
    "identity_providers",
    metadata,
    Column("arn", String(2048), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("name_key", String(2048), nullable=False),
    Column("issuer", String(2048), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("tags", JSON, nullable=False, default=dict),
    Column("declared", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("account", "kind", "name_key"),
    Index("ix_identity_providers_account_issuer", "account", "issuer"),
)
"""``issuer``: an OpenID Connect issuer, or a SAML entity id. ``name_key``: an OpenID Connect provider's issuer; of the
other kinds, which have names, the name in lower case. Several SAML providers may be of one entity id."""

keys = Table(
    "keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("purpose", String(16), nullable=False),
    Column("sealed_material", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active_from", BigInteger, nullable=False),
)
"""The key ring, sealed under the master key. The newest active key signs."""

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(43), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("algorithm", String(5), nullable=False),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("public_jwk", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active_from", BigInteger, nullable=False),
    Index("ix_signing_keys_account", "account"),
)
"""What signs tokens for relying parties; the private halves are sealed under the master key."""

outbound_federation = Table(
    "outbound_federation",
    metadata,
    Column("account", String(12), ForeignKey("accounts.id"), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)
"""The accounts whose principals may have such tokens, or could once."""

mfa_devices = Table(
    "mfa_devices",
    metadata,
    Column("serial_number", String(256), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("user_id", String(32), ForeignKey("entities.id", ondelete="CASCADE")),
    Column("sealed_seed", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failed_at", BigInteger, nullable=False),
    Column("tags", JSON, nullable=False, default=dict),
    Column("enabled_at", BigInteger),
    Column("declared", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_mfa_devices_user_id", "user_id"),
)
"""TOTP devices. ``last_step`` is the time step of the last code that was accepted: no code counts twice. Without
``enabled_at`` the device is nobody's yet; with it and without a user it is the root user's."""

login_profiles = Table(
    "login_profiles",
    metadata,
    Column("user_id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("password_hash", String(512), nullable=False),
    Column("reset_required", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
)
"""Console passwords, as Argon2id hashes."""

old_passwords = Table(
    "old_passwords",
    metadata,
    Column("user_id", String(32), ForeignKey("login_profiles.user_id", ondelete="CASCADE"), primary_key=True),
    Column("replaced_at", BigInteger, primary_key=True),
    Column("password_hash", String(512), primary_key=True),
)
"""Hashes of former passwords, as many as a password policy may forbid to use again (24)."""

password_attempts = Table(
    "password_attempts",
    metadata,
    Column("subject", String(512), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failed_at", BigInteger, nullable=False),
)
"""Wrong passwords in a row, of a user (``user:ID``) and from an address (``address:IP``): each makes the next wait."""

password_policies = Table(
    "password_policies",
    metadata,
    Column("account", String(12), ForeignKey("accounts.id"), primary_key=True),
    Column("settings", JSON, nullable=False),
)

browser_sessions = Table(
    "browser_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("handle", String(36), nullable=False, unique=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("user_id", String(32), ForeignKey("entities.id", ondelete="CASCADE")),
    Column("provider", String(2048)),
    Column("subject_digest", String(64)),
    Column("index_digest", String(64)),
    Column("sealed_identity", LargeBinary),
    Column("amr", String(256), nullable=False),
    Column("authenticated_at", BigInteger, nullable=False),
    Column("mfa_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("source_ip", String(64), nullable=False),
    Column("user_agent", String(512), nullable=False),
    CheckConstraint("(user_id IS NULL) <> (provider IS NULL)", name="one_person"),
    Index("ix_browser_sessions_user_id", "user_id"),
    Index("ix_browser_sessions_subject_digest", "subject_digest"),
    Index("ix_browser_sessions_index_digest", "index_digest"),
    Index("ix_browser_sessions_account_created_at", "account", "created_at"),
    Index("ix_browser_sessions_expires_at", "expires_at"),
)
"""People who are signed in to the pages. ``digest`` is that of the cookie's value, which is nowhere else; ``handle`` is
how lists name the session. A user of ours has ``user_id``, anybody else ``provider`` and a sealed identity; the digests
of subject and session index are there to find sessions by, for single logout."""

tickets = Table(
    "tickets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_tickets_expires_at", "expires_at"),
)
"""What was begun and can be finished once: a sign-in half-way through, a request to a provider, a set-up link.
``digest`` is that of a random value which only the browser, or the link, has."""

passkeys = Table(
    "passkeys",
    metadata,
    Column("credential_id", String(1400), primary_key=True),
    Column("user_id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_passkeys_user_id", "user_id"),
)
"""Security keys and passkeys (WebAuthn) of users of ours."""

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_id", String(32), ForeignKey("entities.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_recovery_codes_user_id", "user_id"),
)
"""Codes for whoever lost the second factor; each is deleted when it is used."""

favourite_roles = Table(
    "favourite_roles",
    metadata,
    Column("person", String(64), primary_key=True),
    Column("role_arn", String(2048), primary_key=True),
    Column("favourite", Boolean, nullable=False),
    Column("used_at", BigInteger),
)
"""What a person marked in the role list, and used last. ``person`` is a digest of who it is."""

usages = Table(
    "usages",
    metadata,
    Column("subject", String(128), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("action", String(128), primary_key=True),
    Column("region", String(64), nullable=False),
    Column("used_at", BigInteger, nullable=False),
)
"""When what was last used: ``subject`` is an access key id, or the unique id of a user or role. Written in the
background, from what the calls of the last seconds were."""

reports = Table(
    "reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(2048), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Credential reports (``id``: ``credentials:ACCOUNT``) and jobs about services last accessed (``id``: the job's)."""

revocations = Table(
    "revocations",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("account", String(12), primary_key=True),
    Column("provider", String(2048), primary_key=True),
    Column("value", String(2048), primary_key=True),
    Column("revoked_at", BigInteger, nullable=False),
)
"""Sessions that are over before their time: one (by access key id), or all of a source identity or external subject."""

assertion_claims = Table(
    "assertion_claims",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("claimed_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_assertion_claims_expires_at", "expires_at"),
)
"""Assertions that were redeemed, until they expire: each counts once. ``id``: a digest of whose, which and for what."""

directory_subjects = Table(
    "directory_subjects",
    metadata,
    Column("provider", String(2048), ForeignKey("identity_providers.arn", ondelete="CASCADE"), primary_key=True),
    Column("subject", String(512), primary_key=True),
    Column("username", Text, nullable=False),
    Column("dn", Text, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
)
"""Who came from a directory and may have sessions: whom to look up there. ``seen_at`` is within an hour of the last
login, ``checked_at`` when the directory last knew the account."""

directory_syncs = Table(
    "directory_syncs",
    metadata,
    Column("provider", String(2048), ForeignKey("identity_providers.arn", ondelete="CASCADE"), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
)
"""When all of a directory were last looked up, so that one worker of all nodes does it."""

audit_events = Table(
    "audit_events",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_time", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
)
"""The audit record, in the order in which it came here: almost that of time. ``record`` is the event as JSON."""

audit_journals = Table(
    "audit_journals",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("taken", BigInteger, nullable=False),
)
"""How far each worker's journal has been taken into ``audit_events``: the number of its last frame there."""

audit_tiles = Table(
    "audit_tiles",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
"""The Merkle tree over the audit record, in tiles of 256 hashes (C2SP tlog-tiles). They outlive the events."""

audit_segments = Table(
    "audit_segments",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("count", SmallInteger, nullable=False),
    Column("sequences", LargeBinary),
    Column("first_time", BigInteger, nullable=False),
    Column("latest_time", BigInteger, nullable=False),
    Index("ix_audit_segments_first_time", "first_time", "number"),
    Index("ix_audit_segments_latest_time", "latest_time", "number"),
)
"""Which events the leaves of a tile are: ``count`` from ``first_sequence`` on, or ``sequences`` (8 bytes each) if there
are gaps. ``first_time`` is the earliest time of an event among them; ``latest_time`` the latest time of any event up to
here, which never falls."""

audit_marks = Table(
    "audit_marks",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("segment", BigInteger, primary_key=True, autoincrement=False),
    Column("marks", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""The index of the audit record: which leaves of a segment have a value. ``key`` is a digest of account, attribute and
value; ``marks`` is a byte for each leaf, or a bit if that is shorter. An epoch is 128 segments: what is written at a
time lies together, though keys are scattered."""

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Signed tree heads (C2SP tlog-checkpoint): one of each minute, and the latest."""

audit_keys = Table(
    "audit_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("algorithm", String(8), nullable=False),
    Column("origin", String(64), nullable=False),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active_from", BigInteger, nullable=False),
)
"""What signs tree heads (Ed25519) and digest files (RSA). Public halves stay: what they signed is verified for ever."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(36), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Who does what one process of all nodes does at a time. Times are milliseconds since the epoch."""

audit_outputs = Table(
    "audit_outputs",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("leaf", BigInteger, nullable=False),
)
"""How far the sealed record has been given to each output, and looked at for alerts: the next leaf."""

audit_prunings = Table(
    "audit_prunings",
    metadata,
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
"""Signed statements that the events before ``leaf`` were deleted because of their age; their hashes are kept."""

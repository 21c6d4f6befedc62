"""What decisions read of the store, kept in memory until the store changes.

Entries are found again by their key as long as the store's revision is the one they were read under, so that a
change is seen by the very next request. The number of entries is bounded: callers choose keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from broker.credentials.long_term import unseal_secret
from broker.domain.role import Role, User
from broker.domain.secret import Secret
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind
from broker.policy.evaluate import PolicySource
from broker.policy.reader import policy_size
from broker.store.access_keys import find_access_key
from broker.store.accounts import find_created_at
from broker.store.engine import Database
from broker.store.entities import Kind
from broker.store.entity_policies import PolicyText
from broker.store.identity_policies import get_identity_policies
from broker.store.identity_providers import ProviderRecord, find_provider, find_provider_by_arn, list_providers
from broker.store.policies import find_policy
from broker.store.roles import find_role, find_roles_naming, list_all_roles
from broker.store.users import find_user

_MAX_ENTRIES = 8_192
_DENY_ALL = '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role with everything that decisions about it need."""

    role: Role
    trust: PolicySource
    identity: tuple[PolicySource, ...]
    boundary: PolicySource | None


@dataclass(frozen=True, slots=True)
class UserView:
    """A user with everything that decisions about it need."""

    user: User
    identity: tuple[PolicySource, ...]
    boundary: PolicySource | None


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy; ``size`` in characters as quotas count them."""

    source: PolicySource
    size: int


@dataclass(frozen=True, slots=True)
class LongTermKey:
    """A long-term access key; ``user`` is None for the account's root key."""

    account: str
    active: bool
    secret: Secret
    user: UserView | None


class Catalog:
    """Cached reads; every method returns None for what does not exist."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        self._database = database
        self._master_key = master_key
        self._cache: tuple[int, dict[tuple[str, ...], object]] = (-1, {})

    def account_created_at(self, account: str) -> int | None:
        """When the account was made, in seconds since the epoch."""
        return self._get(("account", account), lambda connection: find_created_at(connection, account))

    def role(self, arn: str) -> RoleView | None:
        """The role of exactly this ARN."""
        return self._get(("role", arn), lambda connection: _role(connection, arn))

    def all_roles(self) -> tuple[RoleView, ...]:
        """Those of all accounts, by account and name, with their trust policies; decisions of a role's own need
        ``role``."""
        return self._get(("roles",), _all_roles) or ()

    def user(self, user_id: str) -> UserView | None:
        """The user of this unique id."""
        return self._get(("user", user_id), lambda connection: _user(connection, user_id))

    def access_key(self, access_key_id: str) -> LongTermKey | None:
        return self._get(("key", access_key_id), lambda connection: self._access_key(connection, access_key_id))

    def identity_provider(self, account: str, issuer: str) -> ProviderRecord | None:
        """The OpenID Connect provider that ``account`` registered for exactly this issuer."""
        return self._get(("provider", account, issuer), lambda connection: find_provider(connection, account, issuer))

    def provider(self, arn: str) -> ProviderRecord | None:
        """The identity provider of this ARN, of whatever kind."""
        return self._get(("provider-arn", arn), lambda connection: find_provider_by_arn(connection, arn))

    def ldap_providers(self, account: str | None) -> tuple[ProviderRecord, ...]:
        """The directories of an account; those of all accounts if it is None."""
        key = ("ldap", account or "")
        return self._get(key, lambda connection: tuple(list_providers(connection, "ldap", account)) or None) or ()

    def roles_naming(self, account: str, provider_arn: str) -> tuple[str, ...]:
        """The roles of an account whose trust policies name the provider, by their ARNs."""
        key = ("roles-naming", account, provider_arn)
        return self._get(key, lambda connection: tuple(find_roles_naming(connection, account, provider_arn))) or ()

    def managed_policy(self, arn: str) -> ManagedPolicy | None:
        """The managed policy of this ARN, as an identity or session policy."""
        return self._get(("policy", arn), lambda connection: _managed(connection, arn, PolicyKind.IDENTITY))

    def _get(self, key: tuple[str, ...], read: Callable[[Connection], _T | None]) -> _T | None:
        revision = self._database.revision()
        known, entries = self._cache
        if known != revision or len(entries) >= _MAX_ENTRIES:
            entries = {}
            self._cache = (revision, entries)
        if key in entries:
            return entries[key]  # type: ignore[return-value]  # the key's first word decides the type
        with self._database.read() as connection:
            found = read(connection)
        if found is not None:  # what is not there has names without end
            entries[key] = found
        return found

    def _access_key(self, connection: Connection, access_key_id: str) -> LongTermKey | None:
        row = find_access_key(connection, access_key_id)
        if row is None:
            return None
        user = None if row.user_id is None else _user(connection, row.user_id)
        if row.user_id is not None and user is None:
            return None  # without this, a key that lost its user would count as the root key
        secret = unseal_secret(self._master_key, row.id, row.sealed_secret)
        return LongTermKey(row.account, row.active, secret, user)


def _role(connection: Connection, arn: str) -> RoleView | None:
    role = find_role(connection, arn)
    if role is None:
        return None
    identity = _identity(connection, "role", role.role_id, role.name)
    return RoleView(role, _trust(role), identity, _boundary(connection, role.permissions_boundary))


def _all_roles(connection: Connection) -> tuple[RoleView, ...]:
    return tuple(RoleView(role, _trust(role), (), None) for role in list_all_roles(connection))


def _trust(role: Role) -> PolicySource:
    return PolicySource(f"trust policy of {role.arn}", compile_policy(role.trust_policy, PolicyKind.TRUST))


def _user(connection: Connection, user_id: str) -> UserView | None:
    user = find_user(connection, user_id)
    if user is None:
        return None
    identity = _identity(connection, "user", user_id, user.name)
    return UserView(user, identity, _boundary(connection, user.permissions_boundary))


def _identity(connection: Connection, kind: Kind, entity_id: str, name: str) -> tuple[PolicySource, ...]:
    return tuple(map(_source, get_identity_policies(connection, kind, entity_id, name)))


def _source(policy: PolicyText) -> PolicySource:
    return PolicySource(policy.name, compile_policy(policy.document, PolicyKind.IDENTITY))


def _boundary(connection: Connection, arn: str | None) -> PolicySource | None:
    if arn is None:
        return None
    found = _managed(connection, arn, PolicyKind.BOUNDARY)
    return deny_all(arn) if found is None else found.source


def _managed(connection: Connection, arn: str, kind: PolicyKind) -> ManagedPolicy | None:
    document = find_policy(connection, arn)
    if document is None:
        return None
    return ManagedPolicy(PolicySource(arn, compile_policy(document, kind)), policy_size(document))


def deny_all(name: str) -> PolicySource:
    """Stands for a policy that narrows and is gone: what it would have left is unknown, so nothing is."""
    return PolicySource(f"{name} (deleted)", compile_policy(_DENY_ALL, PolicyKind.IDENTITY))

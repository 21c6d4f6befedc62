"""Brings the store to what the configuration file declares: accounts, policies, roles, users, identity providers.

Declared objects are made or brought to the declared state; those that the file declared once and declares no more are
removed, and what it never declared (the root access key) is left alone. Everything is checked before anything is
written, and written in one transaction together with its audit record.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from broker.audit.event import CallRecord, render
from broker.credentials.durations import ROLE_MAXIMUM_SECONDS, ROLE_MINIMUM_MAXIMUM_SECONDS
from broker.credentials.keyids import POLICY_ID, ROLE_ID, USER_ID, account_of, derived_access_key_id, new_unique_id
from broker.credentials.long_term import seal_secret
from broker.credentials.provider_secrets import seal_client_secret
from broker.domain.arn import (
    ACCOUNT_ID,
    mfa_device_arn,
    oidc_provider_arn,
    policy_arn,
    role_arn,
    saml_provider_arn,
    user_arn,
)
from broker.domain.secret import Secret
from broker.errors import BrokerError, ConfigurationError
from broker.iam.ldap_declared import declared_ldap_record
from broker.identifiers import new_uuid
from broker.issuer_urls import check_issuer
from broker.mfa import is_seed, seal_seed
from broker.policy.binding import bind_principals
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.quotas import (
    check_attached_policies,
    check_inline_policies_size,
    check_managed_policy_size,
    check_trust_policy_size,
)
from broker.product_policies import product_policy_arns, put_product_policies
from broker.provider_files import check_authority, check_jwks
from broker.saml_providers import make_saml_record, seal_private_key
from broker.settings import (
    AccessKeyEntry,
    IdentityProviderEntry,
    InlinePolicyEntry,
    LdapProviderEntry,
    OidcProviderEntry,
    PolicyEntry,
    RoleEntry,
    SamlProviderEntry,
    Settings,
    UserEntry,
)
from broker.shared_issuers import careless_trust
from broker.store.access_keys import AccessKeyRow, delete_declared_access_keys, put_access_key
from broker.store.accounts import list_accounts, put_account
from broker.store.audit_events import append_records
from broker.store.engine import Database
from broker.store.entities import (
    delete_declared_entities,
    find_arn,
    find_unique_id,
    put_entity,
)
from broker.store.entity_policies import replace_policies
from broker.store.identity_providers import ProviderRecord, delete_declared_providers, put_provider
from broker.store.mfa_devices import MfaDevice, delete_declared_mfa_devices, put_mfa_device
from broker.store.policies import delete_declared_policies, put_policy
from broker.store.roles import put_role_details

_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_POLICY_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_PROVIDER_NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)
_PATH = re.compile(r"/(?:[!-~]{1,510}/)?")
_SECRET_MINIMUM = 16


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """An access key of the configuration, with its secret read."""

    account: str
    user_name: str
    access_key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeclaredDevice:
    """An MFA device of the configuration, with its seed read."""

    account: str
    user_name: str
    serial_number: str
    seed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Policies:
    """Whose an entity is, and the policies that bind it; ``attached`` and ``boundary`` are ARNs."""

    account: str
    inline: Mapping[str, str]
    attached: tuple[str, ...]
    boundary: str | None


@dataclass(frozen=True, slots=True)
class Declaration:
    """The checked configuration: documents read, names complete."""

    accounts: Mapping[str, str]
    policies: tuple[tuple[PolicyEntry, str, str, str], ...]
    """Entry, account, ARN, document."""
    roles: tuple[tuple[RoleEntry, str, _Policies], ...]
    """Entry, trust policy, the rest."""
    users: tuple[tuple[UserEntry, _Policies], ...]
    keys: tuple[DeclaredKey, ...]
    devices: tuple[DeclaredDevice, ...]
    providers: tuple[ProviderRecord, ...]


def check_configuration(settings: Settings, master_key: bytes, environ: Mapping[str, str] | None = None) -> Declaration:
    """Read and check all that the file declares. Raises ConfigurationError naming the entry."""
    reader = _Reader(settings, master_key, os.environ if environ is None else environ)
    declaration = Declaration(
        reader.accounts,
        tuple(reader.policy(entry) for entry in settings.policy),
        tuple(reader.role(entry) for entry in settings.role),
        tuple(reader.user(entry) for entry in settings.user),
        tuple(key for entry in settings.user for key in reader.keys(entry)),
        tuple(device for entry in settings.user for device in reader.devices(entry)),
        tuple(reader.provider(entry) for entry in settings.identity_provider),
    )
    _refuse_duplicates(declaration)
    return declaration


def _refuse_duplicates(declaration: Declaration) -> None:
    """Of two entries for one object the later would win, silently. Names are the same whatever their case."""
    _unique(
        "[[policy]]", ((f"{account} {entry.name}".lower(), entry.name) for entry, account, *_ in declaration.policies)
    )
    _unique("[[role]]", ((f"{of.account} {entry.name}".lower(), entry.name) for entry, _, of in declaration.roles))
    _unique("[[user]]", ((f"{of.account} {entry.name}".lower(), entry.name) for entry, of in declaration.users))
    _unique(
        "[[user.access_key]]",
        ((key.access_key_id, f"{key.access_key_id} of {key.user_name}") for key in declaration.keys),
    )
    _unique(
        "[[user.mfa_device]]",
        ((device.serial_number, f"{device.serial_number} of {device.user_name}") for device in declaration.devices),
    )
    _unique("[[identity_provider]]", ((_identity(provider), provider.issuer) for provider in declaration.providers))


def _identity(provider: ProviderRecord) -> str:
    """An issuer's URL has its case; names of providers have not."""
    return provider.arn if provider.kind == "oidc" else provider.arn.lower()


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """What is refused within is a mistake of this entry."""
    try:
        yield
    except BrokerError as error:
        raise ConfigurationError(f"{where}: {error.message}") from None


def _unique(where: str, entries: Iterable[tuple[str, str]]) -> None:
    """Refuse two entries of one identity; ``entries`` are pairs of identity and what the file calls it."""
    seen: dict[str, str] = {}
    for identity, shown in entries:
        if identity in seen:
            raise ConfigurationError(f"{where} {shown}: declared twice, before as {seen[identity]}")
        seen[identity] = shown


def apply_configuration(database: Database, declaration: Declaration, master_key: bytes) -> None:
    """Make the store agree with ``declaration``, all of it or nothing."""
    now = datetime.now(UTC)
    moment = int(now.timestamp())
    with database.change() as connection:
        for account, alias in declaration.accounts.items():
            put_account(connection, account, alias, moment)
        product_policies = put_product_policies(connection, moment)
        for policy, account, arn, document in declaration.policies:
            put_policy(
                connection,
                new_id=new_unique_id(POLICY_ID),
                account=account,
                name=policy.name,
                path=policy.path,
                arn=arn,
                document=document,
                declared=True,
                now=moment,
            )
        role_ids = [_put_entity(connection, "role", role, policies, moment) for role, _, policies in declaration.roles]
        users = {
            (policies.account, user.name): _put_entity(connection, "user", user, policies, moment)
            for user, policies in declaration.users
        }
        for key in declaration.keys:
            sealed = seal_secret(master_key, key.access_key_id, key.secret)
            row = AccessKeyRow(key.access_key_id, key.account, users[key.account, key.user_name], True, sealed)
            put_access_key(connection, row, declared=True, now=moment)
        for device in declaration.devices:
            sealed = seal_seed(master_key, device.serial_number, device.seed)
            user_id = users[device.account, device.user_name]
            made = MfaDevice(device.serial_number, device.account, user_id, sealed)
            put_mfa_device(connection, made, declared=True, now=moment)
        for provider in declaration.providers:
            put_provider(connection, provider, declared=True, now=moment)
        removed = _remove(connection, declaration, [*role_ids, *users.values()])
        for role_id, (role, trust, _) in zip(role_ids, declaration.roles, strict=True):
            _put_role_details(connection, role_id, role, trust)
        append_records(connection, [render(_record(declaration, product_policies, removed, now))])


def _remove(connection: Connection, declaration: Declaration, entity_ids: list[str]) -> dict[str, list[str]]:
    """Remove what the file no longer declares; what went, by kind."""
    return {
        "access_key_ids": delete_declared_access_keys(connection, keep=[key.access_key_id for key in declaration.keys]),
        "mfa_devices": delete_declared_mfa_devices(connection, keep=[one.serial_number for one in declaration.devices]),
        "identity_providers": delete_declared_providers(connection, keep=[one.arn for one in declaration.providers]),
        "roles_and_users": delete_declared_entities(connection, keep=entity_ids),
        "policies": delete_declared_policies(connection, keep=[arn for _, _, arn, _ in declaration.policies]),
    }


def _put_role_details(connection: Connection, role_id: str, role: RoleEntry, trust: str) -> None:
    """Once all users and roles are there: trust policies may name any of them, each other too."""
    with _naming(f"[[role]] {role.name}: trust policy"):
        bound = bind_principals(
            trust,
            accounts=list_accounts(connection),
            find_id=partial(find_unique_id, connection),
            find_arn=partial(find_arn, connection),
        )
    put_role_details(
        connection,
        role_id,
        trust_policy=bound,
        max_session_duration=role.max_session_duration,
        description=role.description,
    )


def _put_entity(
    connection: Connection, kind: Literal["role", "user"], entry: RoleEntry | UserEntry, policies: _Policies, now: int
) -> str:
    """The entity's unique id."""
    entity_id = put_entity(
        connection,
        new_id=new_unique_id(ROLE_ID if kind == "role" else USER_ID),
        kind=kind,
        account=policies.account,
        name=entry.name,
        path=entry.path,
        arn=_arn(kind, policies.account, entry),
        permissions_boundary=policies.boundary,
        tags=entry.tags,
        declared=True,
        now=now,
    )
    replace_policies(connection, entity_id, inline=policies.inline, attached=policies.attached)
    return entity_id


def _arn(kind: str, account: str, entry: RoleEntry | UserEntry) -> str:
    return (role_arn if kind == "role" else user_arn)(account, entry.path, entry.name)


def _record(
    declaration: Declaration, product_policies: list[str], removed: Mapping[str, list[str]], now: datetime
) -> CallRecord:
    record = CallRecord(new_uuid(), now, event_source="accredit", event_name="ApplyConfiguration")
    record.read_only = False
    record.parameters = {
        "accounts": list(declaration.accounts),
        "product_policies": product_policies,
        "policies": [arn for _, _, arn, _ in declaration.policies],
        "roles": [_arn("role", policies.account, role) for role, _, policies in declaration.roles],
        "users": [_arn("user", policies.account, user) for user, policies in declaration.users],
        "access_key_ids": [key.access_key_id for key in declaration.keys],
        "mfa_devices": [device.serial_number for device in declaration.devices],
        "identity_providers": [provider.arn for provider in declaration.providers],
        "removed": {kind: names for kind, names in removed.items() if names},
    }
    return record


class _Reader:
    """Turns entries into checked values."""

    def __init__(self, settings: Settings, master_key: bytes, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._master_key = master_key
        self._environ = environ
        self.accounts = {entry.id: entry.alias for entry in settings.account}
        _unique("[[account]]", ((entry.id, entry.id) for entry in settings.account))
        for account in self.accounts:
            if not ACCOUNT_ID.fullmatch(account):
                raise ConfigurationError(f"[[account]] id {account!r}: an account id has 12 digits")
        self._default = next(iter(self.accounts), "")
        self._policy_arns = {
            (self._account(entry.account, entry.name), entry.name): policy_arn(
                self._account(entry.account, entry.name), entry.path, entry.name
            )
            for entry in settings.policy
        }

    def policy(self, entry: PolicyEntry) -> tuple[PolicyEntry, str, str, str]:
        where = f"[[policy]] {entry.name}"
        self._check_name(where, entry.name, entry.path, _POLICY_NAME)
        account = self._account(entry.account, where)
        document = self._document(where, entry.document, entry.document_file, PolicyKind.IDENTITY)
        with _naming(where):
            check_managed_policy_size(document, self._settings.quotas.managed_policy)
        return entry, account, self._policy_arns[account, entry.name], document

    def role(self, entry: RoleEntry) -> tuple[RoleEntry, str, _Policies]:
        where = f"[[role]] {entry.name}"
        self._check_name(where, entry.name, entry.path, _NAME)
        if not ROLE_MINIMUM_MAXIMUM_SECONDS <= entry.max_session_duration <= ROLE_MAXIMUM_SECONDS:
            raise ConfigurationError(f"{where}: max_session_duration must be between 3600 and 43200 seconds")
        trust = self._document(where, entry.trust_policy, entry.trust_policy_file, PolicyKind.TRUST)
        with _naming(f"{where}: trust policy"):
            check_trust_policy_size(trust, self._settings.quotas.trust_policy)
        problem = careless_trust(trust)
        if problem:
            raise ConfigurationError(f"{where}: trust policy: {problem}")
        return entry, trust, self._policies(where, entry)

    def user(self, entry: UserEntry) -> tuple[UserEntry, _Policies]:
        where = f"[[user]] {entry.name}"
        self._check_name(where, entry.name, entry.path, _NAME)
        return entry, self._policies(where, entry)

    def keys(self, entry: UserEntry) -> list[DeclaredKey]:
        where = f"[[user.access_key]] of {entry.name}"
        account = self._account(entry.account, where)
        found = []
        for key in entry.access_key:
            key_id = self._key_id(where, account, entry, key)
            found.append(DeclaredKey(account, entry.name, key_id, self._secret(where, key.secret_file, key.secret_env)))
        return found

    def devices(self, entry: UserEntry) -> list[DeclaredDevice]:
        where = f"[[user.mfa_device]] of {entry.name}"
        account = self._account(entry.account, where)
        found = []
        for device in entry.mfa_device:
            self._check_name(where, device.name, "/", _NAME)
            if bool(device.seed_file) == bool(device.seed_env):
                raise ConfigurationError(f"{where}: give either seed_file or seed_env")
            seed = self._secret(where, device.seed_file, device.seed_env)
            if not is_seed(seed):
                raise ConfigurationError(f"{where}: the seed of {device.name} is not base32 of at least 80 bits")
            found.append(DeclaredDevice(account, entry.name, mfa_device_arn(account, device.name), seed))
        return found

    def provider(self, entry: IdentityProviderEntry) -> ProviderRecord:
        if isinstance(entry, LdapProviderEntry):
            return self._ldap_provider(entry)
        return self._oidc_provider(entry) if isinstance(entry, OidcProviderEntry) else self._saml_provider(entry)

    def _ldap_provider(self, entry: LdapProviderEntry) -> ProviderRecord:
        where = f"[[identity_provider]] {entry.name}"
        account = self._account(entry.account, where)
        self._check_provider_name(where, entry.name)
        authority = self._usable(where, entry.ca_file, check_authority)
        password = None
        if entry.bind_password_file:
            self._check_private(where, entry.bind_password_file)
            password = Secret(self._text(where, entry.bind_password_file).strip("\r\n"))
        with _naming(where):
            return declared_ldap_record(self._master_key, account, entry, authority, password)

    def _saml_provider(self, entry: SamlProviderEntry) -> ProviderRecord:
        where = f"[[identity_provider]] {entry.name}"
        account = self._account(entry.account, where)
        self._check_provider_name(where, entry.name)
        options = msgspec.to_builtins(entry)
        for name in ("kind", "account", "name", "metadata_file", "private_key_files"):
            options.pop(name)
        options["audiences"] = list(entry.audiences) or [self._settings.saml_entity_id(account, entry.name)]
        options["acs_urls"] = list(entry.acs_urls) or [self._settings.saml_acs_url(account, entry.name)]
        metadata = self._text(where, entry.metadata_file)
        with _naming(where):
            options["sealed_private_keys"] = [
                self._sealed_key(where, saml_provider_arn(account, entry.name), file)
                for file in entry.private_key_files
            ]
            return make_saml_record(account, entry.name, metadata, datetime.now(UTC), options)

    def _check_provider_name(self, where: str, name: str) -> None:
        if not _PROVIDER_NAME.fullmatch(name):
            raise ConfigurationError(f"{where}: a provider's name has letters, digits and ._- alone, 128 at most")

    def _sealed_key(self, where: str, arn: str, file: str) -> str:
        self._check_private(where, file)
        return seal_private_key(self._master_key, arn, self._text(where, file))

    def _oidc_provider(self, entry: OidcProviderEntry) -> ProviderRecord:
        where = f"[[identity_provider]] {entry.issuer}"
        account = self._account(entry.account, where)
        if not entry.client_ids:
            raise ConfigurationError(f"{where}: needs at least one of client_ids")
        with _naming(where):
            check_issuer(entry.issuer, allow_http_loopback=self._settings.fetch.allow_http_loopback)
        settings = msgspec.to_builtins(entry)
        for name in ("account", "kind", "jwks_file", "ca_file"):
            settings.pop(name)
        settings["jwks"] = self._usable(where, entry.jwks_file, check_jwks)
        settings["ca"] = self._usable(where, entry.ca_file, check_authority)
        arn = oidc_provider_arn(account, entry.issuer)
        settings["sign_in"] = self._sign_in(where, arn, entry)
        return ProviderRecord(arn, account, "oidc", entry.issuer, settings)

    def _sign_in(self, where: str, arn: str, entry: OidcProviderEntry) -> dict[str, Any] | None:
        """What the record keeps of ``[identity_provider.sign_in]``."""
        found = entry.sign_in
        if found is None:
            return None
        if found.client_id not in entry.client_ids:
            raise ConfigurationError(f"{where}: sign_in.client_id is not among client_ids")
        if "openid" not in found.scopes:
            raise ConfigurationError(f"{where}: sign_in.scopes has no openid")
        sealed = None
        if found.client_secret_file or found.client_secret_env:
            secret = self._secret(where, found.client_secret_file, found.client_secret_env)
            sealed = seal_client_secret(self._master_key, arn, Secret(secret))
        kept = {"client_id": found.client_id, "sealed_secret": sealed, "scopes": list(found.scopes)}
        return {**kept, "title": found.title}

    def _usable(self, where: str, name: str, check: Callable[[str], None]) -> str | None:
        """The text of a provider's file, if there is one."""
        if not name:
            return None
        text = self._text(where, name)
        try:
            check(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {name} {error.message}") from None
        return text

    def _account(self, account: str, where: str) -> str:
        found = account or self._default
        if found not in self.accounts:
            raise ConfigurationError(f"{where}: account {found or '(none)'} is not among [[account]]")
        return found

    def _check_name(self, where: str, name: str, path: str, pattern: re.Pattern[str]) -> None:
        if not pattern.fullmatch(name):
            raise ConfigurationError(
                f"{where}: a name has letters, digits and +=,.@_- alone, 64 (policies: 128) at most"
            )
        if not _PATH.fullmatch(path):
            raise ConfigurationError(f"{where}: path {path!r} must begin and end with /")

    def _document(self, where: str, text: str, file: str, kind: PolicyKind) -> str:
        if bool(text) == bool(file):
            raise ConfigurationError(f"{where}: give the policy either as text or as a file")
        document = text or self._text(where, file)
        with _naming(where):
            parse_policy(document, kind)
        return document

    def _policies(self, where: str, entry: RoleEntry | UserEntry) -> _Policies:
        account = self._account(entry.account, where)
        boundary = entry.permissions_boundary
        inline = {one.name: self._inline(f"{where} inline policy {one.name}", one) for one in entry.inline_policy}
        attached = tuple(dict.fromkeys(self._policy_arn(where, account, name) for name in entry.policies))
        quotas = self._settings.quotas
        holder: Literal["role", "user"] = "role" if isinstance(entry, RoleEntry) else "user"
        with _naming(where):
            limit = quotas.role_inline_policies if holder == "role" else quotas.user_inline_policies
            check_inline_policies_size(holder, entry.name, inline.values(), limit)
            check_attached_policies(holder, len(attached), quotas.attached_policies)
        return _Policies(account, inline, attached, self._policy_arn(where, account, boundary) if boundary else None)

    def _inline(self, where: str, entry: InlinePolicyEntry) -> str:
        return self._document(where, entry.document, entry.document_file, PolicyKind.IDENTITY)

    def _policy_arn(self, where: str, account: str, name: str) -> str:
        arn = name if name.startswith("arn:") else self._policy_arns.get((account, name))
        if arn not in self._policy_arns.values() and arn not in product_policy_arns():
            raise ConfigurationError(f"{where}: policy {name} is not among [[policy]]")
        return str(arn)

    def _key_id(self, where: str, account: str, user: UserEntry, key: AccessKeyEntry) -> str:
        if bool(key.secret_file) == bool(key.secret_env):
            raise ConfigurationError(f"{where}: give either secret_file or secret_env")
        if not key.id:
            handle = f"configured-access-key\x00{account}\x00{user.name}\x00{key.secret_file}\x00{key.secret_env}"
            return derived_access_key_id(account, self._master_key, handle)
        try:
            named = account_of(key.id)
        except BrokerError:
            named = ""
        if named != account or not key.id.startswith("AKIA"):
            raise ConfigurationError(f"{where}: id {key.id} is no access key id of account {account}; leave it out")
        return key.id

    def _secret(self, where: str, file: str, variable: str) -> str:
        if variable:
            secret = self._environ.get(variable, "")
            source = f"environment variable {variable}"
        else:
            self._check_private(where, file)
            secret, source = self._text(where, file), file
        secret = secret.strip()
        if len(secret) < _SECRET_MINIMUM:
            raise ConfigurationError(f"{where}: {source} holds no secret of at least {_SECRET_MINIMUM} characters")
        return secret

    def _check_private(self, where: str, name: str) -> None:
        path = self._settings.file(name)
        if path.exists() and path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{where}: others may read {name}: chmod 600 {path}")

    def _text(self, where: str, name: str) -> str:
        try:
            return self._settings.file(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{where}: {name} cannot be read: {error}") from None

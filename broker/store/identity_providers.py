"""Identity providers, as registered; ``settings`` is what their kind needs, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from broker.store.tables import identity_providers

ProviderKind = Literal["oidc", "saml", "ldap"]


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """A registered provider of an account."""

    arn: str
    account: str
    kind: str
    issuer: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Registration:
    """A provider with what its administrators see besides. ``created_at`` is in seconds since the epoch."""

    record: ProviderRecord
    tags: Mapping[str, str]
    declared: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider in a list; ``valid_until`` (seconds since the epoch) of those whose settings say it."""

    arn: str
    created_at: int
    valid_until: int | None


def put_provider(connection: Connection, record: ProviderRecord, *, declared: bool, now: int) -> None:
    """Register the provider, or bring the one of that ARN or name to this state."""
    values = {"arn": record.arn, "declared": declared, **_settings(record)}
    if not connection.execute(update(identity_providers).where(_taken(record)).values(**values)).rowcount:
        insert_provider(connection, Registration(record, {}, declared, now))


def insert_provider(connection: Connection, registration: Registration) -> None:
    """Register it. The caller has looked that its name is free."""
    record = registration.record
    connection.execute(
        insert(identity_providers).values(
            arn=record.arn,
            account=record.account,
            kind=record.kind,
            tags=dict(registration.tags),
            declared=registration.declared,
            created_at=registration.created_at,
            **_settings(record),
        )
    )


def set_provider_settings(connection: Connection, record: ProviderRecord) -> None:
    """Give the provider of this ARN the record's issuer and settings."""
    connection.execute(update(identity_providers).where(_same(record.arn)).values(**_settings(record)))


def set_provider_tags(connection: Connection, arn: str, tags: Mapping[str, str]) -> None:
    connection.execute(update(identity_providers).where(_same(arn)).values(tags=dict(tags)))


def delete_provider(connection: Connection, arn: str) -> None:
    connection.execute(delete(identity_providers).where(_same(arn)))


def delete_declared_providers(connection: Connection, *, keep: Iterable[str]) -> list[str]:
    """Delete what was declared once and is not among the ARNs ``keep``; the ARNs of what went."""
    table = identity_providers.c
    gone = table.declared & table.arn.not_in(list(keep))
    arns = list(connection.execute(select(table.arn).where(gone).order_by(table.arn)).scalars())
    connection.execute(delete(identity_providers).where(gone))
    return arns


def find_provider(connection: Connection, account: str, issuer: str) -> ProviderRecord | None:
    """The OpenID Connect provider that ``account`` registered for exactly this issuer."""
    found = _find(connection, "oidc", account, issuer)
    return found[0] if found else None


def find_saml_providers(connection: Connection, account: str, entity_id: str) -> list[ProviderRecord]:
    """The SAML providers of ``account`` with exactly this entity id."""
    return _find(connection, "saml", account, entity_id)


def find_provider_by_arn(connection: Connection, arn: str) -> ProviderRecord | None:
    """The provider of this ARN, of whatever kind."""
    row = connection.execute(_select().where(identity_providers.c.arn == arn)).first()
    return None if row is None else ProviderRecord(*row)


def find_registration(connection: Connection, account: str, arn: str) -> Registration | None:
    """The account's provider of exactly this ARN."""
    table = identity_providers.c
    mine = _same(arn) & (table.account == account)
    row = connection.execute(_select().add_columns(table.tags, table.declared, table.created_at).where(mine)).first()
    return None if row is None else Registration(ProviderRecord(*row[:5]), *row[5:])


def is_registered(connection: Connection, record: ProviderRecord) -> bool:
    """Whether the account has a provider of this ARN, or of this kind and name."""
    return connection.execute(select(identity_providers.c.arn).where(_taken(record))).first() is not None


def count_providers(connection: Connection, account: str, kind: ProviderKind) -> int:
    return int(connection.execute(select(func.count()).where(_of_kind(account, kind))).scalar_one())


def list_entries(
    connection: Connection, account: str, kind: ProviderKind, *, after: str = "", limit: int | None = None
) -> list[ProviderEntry]:
    """The account's providers of one kind, by name, from behind the name ``after`` (in lower case)."""
    table = identity_providers.c
    where = _of_kind(account, kind) & (table.name_key > after)
    columns = (table.arn, table.created_at, table.settings["valid_until"].as_integer())
    found = connection.execute(select(*columns).where(where).order_by(table.name_key).limit(limit))
    return [ProviderEntry(*row) for row in found]


def list_account_providers(connection: Connection, account: str) -> list[ProviderRecord]:
    """Those of an account, of all kinds, by kind and name."""
    table = identity_providers.c
    ordered = _select().where(table.account == account).order_by(table.kind.desc(), table.name_key)
    return [ProviderRecord(*row) for row in connection.execute(ordered)]


def list_providers(connection: Connection, kind: ProviderKind, account: str | None = None) -> list[ProviderRecord]:
    """Those of an account; of all accounts if it is None."""
    of_kind = _select().where(identity_providers.c.kind == kind)
    if account is not None:
        of_kind = of_kind.where(identity_providers.c.account == account)
    return [ProviderRecord(*row) for row in connection.execute(of_kind.order_by(identity_providers.c.arn))]


def list_registered_arns(connection: Connection, account: str) -> list[str]:
    """The ARNs of the account's providers, of whatever kind."""
    column = identity_providers.c
    query = select(column.arn).where(column.account == account).order_by(column.arn)
    return list(connection.execute(query).scalars())


def provider_exists(connection: Connection, arn: str) -> bool:
    return connection.execute(select(identity_providers.c.arn).where(_same(arn))).first() is not None


def _settings(record: ProviderRecord) -> dict[str, Any]:
    return {"name_key": _name_key(record), "issuer": record.issuer, "settings": dict(record.settings)}


def _name_key(record: ProviderRecord) -> str:
    return record.issuer if record.kind == "oidc" else record.arn.rpartition("/")[2].lower()


def _taken(record: ProviderRecord) -> ColumnElement[bool]:
    return _same(record.arn) | _named(record.account, record.kind, _name_key(record))


def _same(arn: str) -> ColumnElement[bool]:
    return identity_providers.c.arn == arn


def _of_kind(account: str, kind: str) -> ColumnElement[bool]:
    return (identity_providers.c.account == account) & (identity_providers.c.kind == kind)


def _named(account: str, kind: str, name_key: str) -> ColumnElement[bool]:
    return _of_kind(account, kind) & (identity_providers.c.name_key == name_key)


def _find(connection: Connection, kind: str, account: str, issuer: str) -> list[ProviderRecord]:
    table = identity_providers.c
    wanted = (table.kind == kind) & (table.account == account) & (table.issuer == issuer)
    return [ProviderRecord(*row) for row in connection.execute(_select().where(wanted).order_by(table.arn))]


def _select() -> Any:
    table = identity_providers.c
    return select(table.arn, table.account, table.kind, table.issuer, table.settings)

"""Identity providers, as registered; ``settings`` is what their kind needs, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from broker.store.tables import identity_providers


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """A registered provider of an account."""

    arn: str
    account: str
    kind: str
    issuer: str
    settings: Mapping[str, Any]


def put_provider(connection: Connection, record: ProviderRecord, *, declared: bool, now: int) -> None:
    """Register the provider, or give it these settings."""
    values = {"kind": record.kind, "issuer": record.issuer, "settings": dict(record.settings), "declared": declared}
    if connection.execute(select(identity_providers.c.arn).where(identity_providers.c.arn == record.arn)).first():
        connection.execute(update(identity_providers).where(identity_providers.c.arn == record.arn).values(**values))
    else:
        connection.execute(
            insert(identity_providers).values(arn=record.arn, account=record.account, tags={}, created_at=now, **values)
        )


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


def list_providers(connection: Connection) -> list[ProviderRecord]:
    return [ProviderRecord(*row) for row in connection.execute(_select().order_by(identity_providers.c.arn))]


def _find(connection: Connection, kind: str, account: str, issuer: str) -> list[ProviderRecord]:
    table = identity_providers.c
    wanted = (table.kind == kind) & (table.account == account) & (table.issuer == issuer)
    return [ProviderRecord(*row) for row in connection.execute(_select().where(wanted).order_by(table.arn))]


def _select() -> Any:
    table = identity_providers.c
    return select(table.arn, table.account, table.kind, table.issuer, table.settings)

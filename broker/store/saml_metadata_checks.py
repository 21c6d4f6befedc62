"""When SAML providers' metadata was looked at last, with which outcome, and of which ends was warned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update

from broker.store.tables import saml_metadata_checks

_C = saml_metadata_checks.c


@dataclass(frozen=True, slots=True)
class MetadataCheck:
    """Times are in seconds since the epoch, 0 for never. ``problem``: why the last fetch brought nothing; empty if it
    did. ``warned``: what ends -> the days before its end of which was warned last."""

    provider: str
    checked_at: int = 0
    changed_at: int = 0
    problem: str = ""
    warned: Mapping[str, int] = field(default_factory=dict)


def list_checks(connection: Connection) -> dict[str, MetadataCheck]:
    """All, by the provider's ARN."""
    columns = select(_C.provider, _C.checked_at, _C.changed_at, _C.problem, _C.warned)
    return {row[0]: MetadataCheck(*row) for row in connection.execute(columns)}


def put_check(connection: Connection, check: MetadataCheck) -> None:
    """Within a transaction of ``Database.write``, in which writers take turns."""
    values = {
        "checked_at": check.checked_at,
        "changed_at": check.changed_at,
        "problem": check.problem,
        "warned": dict(check.warned),
    }
    changed = update(saml_metadata_checks).where(_C.provider == check.provider).values(**values)
    if not connection.execute(changed).rowcount:
        connection.execute(insert(saml_metadata_checks).values(provider=check.provider, **values))

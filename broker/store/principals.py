"""Users and roles by their names and ARNs: who a simulation is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from broker.store.tables import entities


@dataclass(frozen=True, slots=True)
class Entity:
    """What users and roles have in common; ``kind`` is ``user`` or ``role``."""

    id: str
    kind: str
    account: str
    name: str
    arn: str
    permissions_boundary: str | None
    tags: Mapping[str, str]


def find_entity(connection: Connection, arn: str) -> Entity | None:
    """The user or role of exactly this ARN (with its path, in its case)."""
    return _find(connection, entities.c.arn == arn)


def find_entity_by_id(connection: Connection, unique_id: str) -> Entity | None:
    """The user or role of this unique id."""
    return _find(connection, entities.c.id == unique_id)


def find_role_by_name(connection: Connection, account: str, name: str) -> Entity | None:
    """The role of this name, as a session's ARN gives it: in its case and without its path."""
    same = (entities.c.account == account) & (entities.c.kind == "role") & (entities.c.name_key == name.lower())
    found = _find(connection, same)
    return found if found is not None and found.name == name else None


def _find(connection: Connection, where: ColumnElement[bool]) -> Entity | None:
    table = entities.c
    columns = (table.id, table.kind, table.account, table.name, table.arn, table.permissions_boundary, table.tags)
    row = connection.execute(select(*columns).where(where)).first()
    return None if row is None else Entity(*row)

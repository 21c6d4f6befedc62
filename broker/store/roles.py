"""Roles."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from broker.domain.role import Role
from broker.store.entities import below, of_kind
from broker.store.tables import entities, roles

_COLUMNS = (
    entities.c.account,
    entities.c.name,
    entities.c.path,
    entities.c.id,
    entities.c.arn,
    roles.c.trust_policy,
    roles.c.max_session_duration,
    entities.c.created_at,
    roles.c.description,
    entities.c.permissions_boundary,
    entities.c.tags,
)
_BY_ARN = select(*_COLUMNS).join_from(entities, roles).where(entities.c.arn == bindparam("value"))
_BY_NAME = (
    select(*_COLUMNS)
    .join_from(entities, roles)
    .where(
        entities.c.account == bindparam("account"),
        entities.c.kind == "role",
        entities.c.name_key == bindparam("name_key"),
    )
)
_BY_ID = select(*_COLUMNS).join_from(entities, roles).where(entities.c.id == bindparam("value"))


def find_role(connection: Connection, arn: str) -> Role | None:
    """The role of exactly this ARN (with its path, in its case)."""
    return _find(connection, _BY_ARN, arn)


def find_role_by_id(connection: Connection, role_id: str) -> Role | None:
    return _find(connection, _BY_ID, role_id)


def find_named_role(connection: Connection, account: str, name: str) -> Role | None:
    """The role of this name, whatever its case and its path."""
    row = connection.execute(_BY_NAME, {"account": account, "name_key": name.lower()}).first()
    return None if row is None else _role(row)


def find_roles_by_id(connection: Connection, role_ids: Iterable[str]) -> list[Role]:
    """Those of a page."""
    wanted = entities.c.id.in_(list(role_ids))
    return [_role(row) for row in connection.execute(select(*_COLUMNS).join_from(entities, roles).where(wanted))]


def find_roles(
    connection: Connection, account: str, *, path_prefix: str = "/", after: str = "", limit: int
) -> list[Role]:
    """At most ``limit``, by name, from behind the name ``after`` (in lower case)."""
    where = of_kind(account, "role") & (entities.c.name_key > after) & below(entities.c.path, path_prefix)
    ordered = select(*_COLUMNS).join_from(entities, roles).where(where).order_by(entities.c.name_key).limit(limit)
    return [_role(row) for row in connection.execute(ordered)]


def find_roles_naming(connection: Connection, account: str, text: str) -> list[str]:
    """The ARNs of the roles whose trust policies hold ``text``, by name."""
    where = of_kind(account, "role") & roles.c.trust_policy.contains(text, autoescape=True)
    ordered = select(entities.c.arn).join_from(entities, roles).where(where).order_by(entities.c.name_key)
    return list(connection.execute(ordered).scalars())


def list_all_roles(connection: Connection) -> list[Role]:
    """Those of all accounts, by account and name."""
    ordered = select(*_COLUMNS).join_from(entities, roles).order_by(entities.c.account, entities.c.name_key)
    return [_role(row) for row in connection.execute(ordered)]


def set_trust_policy(connection: Connection, role_id: str, trust_policy: str) -> None:
    connection.execute(update(roles).where(roles.c.id == role_id).values(trust_policy=trust_policy))


def put_role_details(
    connection: Connection, role_id: str, *, trust_policy: str, max_session_duration: int, description: str
) -> None:
    """Lay down what an entity needs to be a role."""
    values = {
        "trust_policy": trust_policy,
        "max_session_duration": max_session_duration,
        "description": description,
    }
    if connection.execute(select(roles.c.id).where(roles.c.id == role_id)).first() is None:
        connection.execute(insert(roles).values(id=role_id, **values))
    else:
        connection.execute(update(roles).where(roles.c.id == role_id).values(**values))


def _find(connection: Connection, statement: Select[Any], value: str) -> Role | None:
    row = connection.execute(statement, {"value": value}).first()
    return None if row is None else _role(row)


def _role(row: Row[*tuple[Any, ...]]) -> Role:
    account, name, path, role_id, arn, trust, longest, created, description, boundary, tags = row
    return Role(
        account,
        name,
        path,
        role_id,
        arn,
        trust,
        longest,
        datetime.fromtimestamp(created, UTC),
        description,
        boundary,
        tags,
    )

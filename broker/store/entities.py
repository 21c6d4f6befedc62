"""Users, groups and roles: what has a name in an account and can have policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, insert, select, update

from broker.store.tables import entities, instance_profiles

Kind = Literal["user", "group", "role"]

_MAX_NAMED = 1_000
"""Values that one query names; databases have limits."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A user, group or role. ``created_at`` is in seconds since the epoch; ``declared``: accredit.toml made it."""

    id: str
    kind: Kind
    account: str
    name: str
    path: str
    arn: str
    permissions_boundary: str | None
    tags: Mapping[str, str]
    declared: bool
    created_at: int


def find_entity(connection: Connection, arn: str) -> Entity | None:
    """The one of exactly this ARN (with its path, in its case)."""
    return _find(connection, _BY_ARN, arn=arn)


def find_entity_by_id(connection: Connection, unique_id: str) -> Entity | None:
    return _find(connection, _BY_ID, id=unique_id)


def find_entity_by_name(connection: Connection, account: str, kind: Kind, name: str) -> Entity | None:
    """The one of this name, whatever its case and its path."""
    return _find(connection, _BY_NAME, account=account, kind=kind, name_key=name.lower())


def find_role_by_name(connection: Connection, account: str, name: str) -> Entity | None:
    """The role of this name, as a session's ARN gives it: in its case and without its path."""
    found = find_entity_by_name(connection, account, "role", name)
    return found if found is not None and found.name == name else None


def find_unique_id(connection: Connection, arn: str) -> str | None:
    """The unique id of the user or role of exactly this ARN; a group is no principal."""
    same = (entities.c.arn == arn) & (entities.c.kind != "group")
    return connection.execute(select(entities.c.id).where(same)).scalar()


def find_arn(connection: Connection, unique_id: str) -> str | None:
    """The ARN of the one of this unique id."""
    return connection.execute(select(entities.c.arn).where(entities.c.id == unique_id)).scalar()


def find_arns(connection: Connection, unique_ids: Iterable[str]) -> dict[str, str]:
    """The ARNs of those of these unique ids that exist."""
    wanted = list(unique_ids)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _MAX_NAMED):
        some = entities.c.id.in_(wanted[start : start + _MAX_NAMED])
        found |= {row[0]: row[1] for row in connection.execute(select(entities.c.id, entities.c.arn).where(some))}
    return found


def list_entities(
    connection: Connection, account: str, kind: Kind, *, path_prefix: str = "/", after: str = "", limit: int
) -> list[Entity]:
    """At most ``limit``, by name, from behind the name ``after`` (in lower case)."""
    where = of_kind(account, kind) & (entities.c.name_key > after) & below(entities.c.path, path_prefix)
    return [
        Entity(*row)
        for row in connection.execute(select_entities().where(where).order_by(entities.c.name_key).limit(limit))
    ]


def count_entities(connection: Connection, account: str, kind: Kind) -> int:
    return int(connection.execute(select(func.count()).where(of_kind(account, kind))).scalar_one())


def insert_entity(connection: Connection, entity: Entity) -> None:
    """Make it. The caller has looked that its name is free."""
    connection.execute(
        insert(entities).values(
            id=entity.id,
            kind=entity.kind,
            account=entity.account,
            name=entity.name,
            name_key=entity.name.lower(),
            path=entity.path,
            arn=entity.arn,
            permissions_boundary=entity.permissions_boundary,
            tags=dict(entity.tags),
            declared=entity.declared,
            created_at=entity.created_at,
        )
    )


def rename_entity(connection: Connection, unique_id: str, *, name: str, path: str, arn: str) -> None:
    values = {"name": name, "name_key": name.lower(), "path": path, "arn": arn}
    connection.execute(update(entities).where(entities.c.id == unique_id).values(**values))


def set_entity_tags(connection: Connection, unique_id: str, tags: Mapping[str, str]) -> None:
    connection.execute(_SET_TAGS, {"entity": unique_id, "tags": dict(tags)})


def set_permissions_boundary(connection: Connection, unique_id: str, policy_arn: str | None) -> None:
    connection.execute(update(entities).where(entities.c.id == unique_id).values(permissions_boundary=policy_arn))


def delete_entity(connection: Connection, unique_id: str) -> None:
    """Delete it with all that is its own. The caller has looked that nothing forbids it."""
    connection.execute(delete(entities).where(entities.c.id == unique_id))


def put_entity(
    connection: Connection,
    *,
    new_id: str,
    kind: Kind,
    account: str,
    name: str,
    path: str,
    arn: str,
    permissions_boundary: str | None,
    tags: Mapping[str, str],
    declared: bool,
    now: int,
) -> str:
    """Make the entity, or bring the one of that name to this state; its unique id either way."""
    found = find_entity_by_name(connection, account, kind, name)
    if found is None:
        insert_entity(
            connection,
            Entity(new_id, kind, account, name, path, arn, permissions_boundary, dict(tags), declared, now),
        )
        return new_id
    values = {
        "name": name,
        "path": path,
        "arn": arn,
        "permissions_boundary": permissions_boundary,
        "tags": dict(tags),
        "declared": declared,
    }
    connection.execute(update(entities).where(entities.c.id == found.id).values(**values))
    return found.id


def delete_declared_entities(connection: Connection, *, keep: Iterable[str]) -> list[str]:
    """Delete what was declared once and is not among the unique ids ``keep``; the ARNs of what went.

    Their policies' attachments and their access keys go with them; roles leave their instance profiles.
    """
    gone = entities.c.declared & entities.c.id.not_in(list(keep))
    holding = instance_profiles.c.role_id.in_(select(entities.c.id).where(gone))
    connection.execute(update(instance_profiles).where(holding).values(role_id=None))
    arns = list(connection.execute(select(entities.c.arn).where(gone).order_by(entities.c.arn)).scalars())
    connection.execute(delete(entities).where(gone))
    return arns


def of_kind(account: str, kind: Kind) -> ColumnElement[bool]:
    return (entities.c.account == account) & (entities.c.kind == kind)


def below(path: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Paths that begin with ``prefix``, in its case (LIKE would fold it on some databases)."""
    return func.substr(path, 1, len(prefix)) == prefix


def entities_where(connection: Connection, where: ColumnElement[bool], *, limit: int | None = None) -> Sequence[Entity]:
    """Those for which ``where`` holds, by name; at most ``limit``, if it is given."""
    ordered = select_entities().where(where).order_by(entities.c.name_key).limit(limit)
    return [Entity(*row) for row in connection.execute(ordered)]


def _find(connection: Connection, statement: Select[Any], **values: str) -> Entity | None:
    row = connection.execute(statement, values).first()
    return None if row is None else Entity(*row)


def select_entities() -> Select[Any]:
    """Rows that ``Entity(*row)`` takes."""
    table = entities.c
    return select(
        table.id,
        table.kind,
        table.account,
        table.name,
        table.path,
        table.arn,
        table.permissions_boundary,
        table.tags,
        table.declared,
        table.created_at,
    )


# Statements of every call are made once: making one costs more than executing it.
_BY_ARN = select_entities().where(entities.c.arn == bindparam("arn"))
_BY_ID = select_entities().where(entities.c.id == bindparam("id"))
_BY_NAME = select_entities().where(
    entities.c.account == bindparam("account"),
    entities.c.kind == bindparam("kind"),
    entities.c.name_key == bindparam("name_key"),
)
_SET_TAGS = update(entities).where(entities.c.id == bindparam("entity")).values(tags=bindparam("tags"))

"""Whom a request names, in the caller's own account, and whether the caller may do this to it.

What is asked of policies is the object's ARN and its tags, so it is looked up first; whether it exists is told only to
those who may ask. A change then works on the unique id that was authorised: somebody else who got the name meanwhile
is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import Connection

from broker.authorization import Context, authorize, tag_context
from broker.domain.arn import group_arn, role_arn, user_arn
from broker.domain.principal import PrincipalKind
from broker.domain.role import Role
from broker.errors import DeleteConflict, NotFound, Unmodifiable, ValidationFailed
from broker.services import Caller, Services
from broker.store.belongings import find_belonging
from broker.store.entities import Entity, Kind, find_entity_by_id, find_entity_by_name

_T = TypeVar("_T")
ARNS = {"user": user_arn, "group": group_arn, "role": role_arn}
_FIRST = {
    "attached policies": "Cannot delete entity, must detach all policies first.",
    "groups": "Cannot delete entity, must remove users from group first.",
    "users": "Cannot delete entity, must remove users from group first.",
    "instance profiles": "Cannot delete entity, must remove roles from instance profile first.",
}
"""AWS's sentences, where they are not like the others."""
_DECLARED = "It is declared in the configuration file accredit.toml and can be changed there alone."


def account_of_caller(caller: Caller) -> str:
    """The account in which all names of a request are looked up."""
    return caller.authenticated().principal.account


def authorized_entity(
    services: Services, caller: Caller, action: str, kind: Kind, name: str, more: Mapping[str, tuple[str, ...]] = {}
) -> Entity:
    """The user, group or role of this name, to which the caller may do ``action``. Raises AccessDenied, NotFound.

    ``more`` are condition keys of the request besides those of the object's own tags.
    """
    with services.database.read() as connection:
        found = find_entity_by_name(connection, account_of_caller(caller), kind, name)
    _authorize_named(services, caller, action, kind, name, found, more)
    if found is None:
        raise missing(kind, name)
    return found


def read_authorized(
    services: Services,
    caller: Caller,
    action: str,
    kind: Kind,
    name: str,
    read: Callable[[Connection, str], tuple[Entity | Role, _T] | None],
) -> _T:
    """As ``authorized_entity``; ``read`` finds the one of this name in an account, and what else is asked, in one
    moment."""
    with services.database.read() as connection:
        found = read(connection, account_of_caller(caller))
    _authorize_named(services, caller, action, kind, name, found[0] if found else None)
    if found is None:
        raise missing(kind, name)
    return found[1]


def _authorize_named(
    services: Services,
    caller: Caller,
    action: str,
    kind: Kind,
    name: str,
    found: Entity | Role | None,
    more: Mapping[str, tuple[str, ...]] = {},
) -> None:
    arn = ARNS[kind](account_of_caller(caller), "/", name) if found is None else found.arn
    authorize(services, caller, action, arn, {**(entity_context(found) if found else {}), **more})


def entity_context(entity: Entity | Role) -> Context:
    """The condition keys of the object that a request is about."""
    context = resource_tag_context(entity.tags)
    if entity.permissions_boundary is not None:
        context["iam:PermissionsBoundary"] = (entity.permissions_boundary,)
    return context


def resource_tag_context(tags: Mapping[str, str]) -> Context:
    return {**tag_context("aws:ResourceTag", tags), **tag_context("iam:ResourceTag", tags)}


def user_or_caller(caller: Caller, user_name: str | None) -> str:
    """The name that a request gives, or that of the user who calls. Raises ValidationFailed if that is no user."""
    if user_name is not None:
        return user_name
    principal = caller.authenticated().principal
    if principal.kind is not PrincipalKind.USER or principal.user_name is None:
        raise ValidationFailed("Must specify userName when calling with non-User credentials")
    return principal.user_name


def still_there(connection: Connection, entity: Entity) -> Entity:
    """The same entity as it is in this transaction. Raises NotFound if it went meanwhile."""
    found = find_entity_by_id(connection, entity.id)
    if found is None:
        raise missing(entity.kind, entity.name)
    return found


def changeable(connection: Connection, entity: Entity) -> Entity:
    """As ``still_there``, for changes of the entity itself. Raises Unmodifiable if the configuration declares it."""
    found = still_there(connection, entity)
    if found.declared:
        raise declared(f"The {found.kind} {found.name}")
    return found


def check_bare(connection: Connection, entity: Entity) -> None:
    """Raises DeleteConflict if something of the entity's own would go with it."""
    left = find_belonging(connection, entity.kind, entity.id)
    if left is not None:
        raise DeleteConflict(_FIRST.get(left, f"Cannot delete entity, must delete {left} first."))


def declared(what: str) -> Unmodifiable:
    """Why something that the configuration declares is not changed here."""
    return Unmodifiable(f"{what} cannot be changed. {_DECLARED}")


def missing(kind: Kind, name: str) -> NotFound:
    return NotFound(f"The {kind} with name {name} cannot be found.")

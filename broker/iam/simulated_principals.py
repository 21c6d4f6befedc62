"""Who a simulation is about: a user, a group, a role or a role session, with the policies that bind it now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.catalog import deny_all
from broker.domain.arn import assumed_role_arn
from broker.domain.principal import Principal, PrincipalKind
from broker.errors import NotFound, ValidationFailed
from broker.policy.compile import compile_policy
from broker.policy.context import principal_context
from broker.policy.document import PolicyKind
from broker.policy.evaluate import PolicySource
from broker.services import Services
from broker.store.entities import Entity, find_entity, find_role_by_name
from broker.store.identity_policies import get_identity_policies
from broker.store.policies import find_policy

_SESSION_NAME = "simulation"
_NAME = r"[\w+=,.@-]{1,64}"
_IAM = re.compile(rf"arn:aws:iam::([0-9]{{12}}):(user|role)/(?:[!-~]{{1,510}}/)?({_NAME})", re.ASCII)
_SESSION = re.compile(rf"arn:aws:sts::([0-9]{{12}}):assumed-role/({_NAME})/({_NAME})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A principal as a simulation has it.

    ``live``: it is there, and ``policies``, ``boundary`` and ``tags`` are its own. Of a principal that is not, only
    the ARN is known.
    """

    principal: Principal
    live: bool = False
    policies: tuple[PolicySource, ...] = ()
    boundary: PolicySource | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def context(self) -> dict[str, tuple[str, ...]]:
        """The condition keys that follow from who it is. Only a live user's ``aws:userid`` is known; of a group, that
        its members are users of the account."""
        keys = principal_context(self.principal)
        if self.principal.kind is PrincipalKind.USER and self.principal.user_name is None:
            keys.pop("aws:PrincipalArn", None)
        if not self.live or self.principal.user_name is None:
            keys.pop("aws:userid", None)
        return {**keys, **{f"aws:PrincipalTag/{key}": (value,) for key, value in self.tags.items()}}


def named_user(arn: str, parameter: str) -> Simulated:
    """The user of an ARN, of whom nothing else is known. Raises ValidationFailed if it is no user's ARN."""
    found = _IAM.fullmatch(arn)
    if found is None or found[2] != "user":
        raise ValidationFailed(f"{parameter} must be the ARN of an IAM user")
    return Simulated(_user(found[1], arn, found[3], ""))


def named_principal(arn: str, parameter: str) -> Simulated:
    """The user, role or role session of an ARN, of whom nothing else is known. Raises ValidationFailed.

    A role stands for a session of it that is called ``simulation``.
    """
    if found := _SESSION.fullmatch(arn):
        return Simulated(_session(found[1], "", found[2], found[3], ""))
    found = _IAM.fullmatch(arn)
    if found is None:
        raise ValidationFailed(f"{parameter} must be the ARN of a user, a role or a role session")
    if found[2] == "user":
        return Simulated(_user(found[1], arn, found[3], ""))
    return Simulated(_session(found[1], arn, found[3], _SESSION_NAME, ""))


def live_entity(services: Services, account: str, arn: str) -> Simulated:
    """The user, group or role of ``account`` with its policies. Raises NotFound; other accounts' are not found either.

    A group stands for a member of whom nothing else is known, and who is in no other group.
    """
    with services.database.read() as connection:
        entity = find_entity(connection, arn)
    if entity is None or entity.account != account:
        raise NotFound(f"The entity with ARN {arn[:256]} cannot be found.")
    return _loaded(services, entity, _SESSION_NAME)


def find_live_principal(services: Services, account: str, arn: str) -> Simulated | None:
    """As ``live_entity``, a role session too, but no group, which is no principal."""
    entity, session_name = _find(services, arn)
    if entity is None or entity.account != account or entity.kind == "group":
        return None
    return _loaded(services, entity, session_name)


def _find(services: Services, arn: str) -> tuple[Entity | None, str]:
    """Whom the ARN names, and the name of its session."""
    session = _SESSION.fullmatch(arn)
    with services.database.read() as connection:
        if session is None:
            return find_entity(connection, arn), _SESSION_NAME
        return find_role_by_name(connection, session[1], session[2]), session[3]


def _loaded(services: Services, entity: Entity, session_name: str) -> Simulated:
    with services.database.read() as connection:
        texts = get_identity_policies(connection, entity.kind, entity.id, entity.name)
        boundary = entity.permissions_boundary
        limit = find_policy(connection, boundary) if boundary is not None else None
    policies = tuple(PolicySource(one.name, compile_policy(one.document, PolicyKind.IDENTITY)) for one in texts)
    bound = None
    if boundary is not None:
        bound = deny_all(boundary) if limit is None else _boundary(boundary, limit)
    return Simulated(_principal(entity, session_name), True, policies, bound, entity.tags)


def _boundary(arn: str, document: str) -> PolicySource:
    return PolicySource(arn, compile_policy(document, PolicyKind.BOUNDARY))


def _principal(entity: Entity, session_name: str) -> Principal:
    if entity.kind == "user":
        return _user(entity.account, entity.arn, entity.name, entity.id)
    if entity.kind == "group":
        return Principal(PrincipalKind.USER, entity.account, entity.arn, "")
    return _session(entity.account, entity.arn, entity.name, session_name, entity.id)


def _user(account: str, arn: str, name: str, unique_id: str) -> Principal:
    return Principal(PrincipalKind.USER, account, arn, unique_id, user_name=name)


def _session(account: str, role_arn: str, role_name: str, session_name: str, role_id: str) -> Principal:
    """A session of the role; an ARN that is not known is left out, for a session's has no path of the role."""
    arn = assumed_role_arn(account, role_name, session_name)
    unique_id = f"{role_id}:{session_name}" if role_id else ""
    return Principal(
        PrincipalKind.ROLE_SESSION, account, arn, unique_id, role_arn=role_arn or None, role_id=role_id or None
    )

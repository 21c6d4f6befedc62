"""What a changed policy would have decided: the recorded calls are asked again, of the policies as they are now and of
those with one document changed.

So a change, or a version that is not the default yet, can be judged before it counts: how many calls that were allowed
would be denied, and whom that hits. The context of a call is what its event tells: time, address, user agent, region,
MFA, and the principal's tags as they are now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broker.audit.observed import Use, needs_of
from broker.catalog import Catalog, RoleView, UserView
from broker.domain.arn import Arn
from broker.domain.principal import Principal, PrincipalKind
from broker.errors import BrokerError
from broker.policy.compile import CompiledPolicy
from broker.policy.context import principal_context, request_context
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate

_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_ASSUME = frozenset({"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"})


@dataclass(frozen=True, slots=True)
class Change:
    """``name``: of the policy that becomes ``policy``: an ARN, ``user/NAME inline policy POLICY`` or the like; for a
    trust policy ``trust policy of ARN``."""

    name: str
    policy: CompiledPolicy


@dataclass(slots=True)
class Replay:
    """How many recorded decisions were asked again, and which would be others. Keys are principal and action."""

    decisions: int = 0
    concerned: int = 0
    """Of these, decisions that the policy had a part in."""
    unknown: int = 0
    """Of principals that are gone."""
    denied: Counter[tuple[str, str]] = field(default_factory=Counter)
    allowed: Counter[tuple[str, str]] = field(default_factory=Counter)


def replay(catalog: Catalog, events: Iterable[Mapping[str, Any]], change: Change) -> Replay:
    """Ask the decisions of ``events`` again."""
    result = Replay()
    for event in events:
        if event.get("errorCode") not in (None, *_DENIED):
            continue
        for use in needs_of(event):
            _ask(catalog, event, use, change, result)
    return result


def _ask(catalog: Catalog, event: Mapping[str, Any], use: Use, change: Change, result: Replay) -> None:
    asking = _asking(catalog, event)
    if asking is None:
        result.unknown += 1
        return
    principal, view = asking
    account = _account(use.resource, principal.account)
    context = _context(event, principal, view)
    request = AccessRequest(principal, use.action, use.resource, account, context)
    policies = _policies(catalog, view, use)
    result.decisions += 1
    if not _has_part(policies, change.name):
        return
    result.concerned += 1
    before, after = evaluate(request, policies), evaluate(request, _changed(policies, change))
    key = principal.role_arn or principal.arn, use.action
    if before.allowed and not after.allowed:
        result.denied[key] += 1
    elif after.allowed and not before.allowed:
        result.allowed[key] += 1


def _asking(catalog: Catalog, event: Mapping[str, Any]) -> tuple[Principal, UserView | RoleView] | None:
    """Who called, with the policies that bind it now; None if it is gone, or none that policies bind."""
    identity = event.get("userIdentity") or {}
    unique_id, arn, account = (str(identity.get(key) or "") for key in ("principalId", "arn", "accountId"))
    if identity.get("type") == PrincipalKind.USER:
        user = catalog.user(unique_id)
        name = str(identity.get("userName") or "")
        return None if user is None else (Principal(PrincipalKind.USER, account, arn, unique_id, user_name=name), user)
    if identity.get("type") != PrincipalKind.ROLE_SESSION:
        return None
    role_arn = str(((identity.get("sessionContext") or {}).get("sessionIssuer") or {}).get("arn") or "")
    role, role_id = catalog.role(role_arn), unique_id.partition(":")[0]
    if role is None or role.role.role_id != role_id:
        return None
    return Principal(PrincipalKind.ROLE_SESSION, account, arn, unique_id, role_arn=role_arn, role_id=role_id), role


def _policies(catalog: Catalog, view: UserView | RoleView, use: Use) -> PolicySet:
    target = catalog.role(use.resource) if use.action in _ASSUME else None
    trust = None if target is None else target.trust
    return PolicySet(
        identity=view.identity, resource=trust, resource_is_trust=trust is not None, boundary=view.boundary
    )


def _changed(policies: PolicySet, change: Change) -> PolicySet:
    """The same with the document in place of the policy of that name."""
    return PolicySet(
        identity=tuple(_source(one, change) for one in policies.identity),
        resource=None if policies.resource is None else _source(policies.resource, change),
        resource_is_trust=policies.resource_is_trust,
        boundary=None if policies.boundary is None else _source(policies.boundary, change),
    )


def _has_part(policies: PolicySet, name: str) -> bool:
    sources = (*policies.identity, policies.resource, policies.boundary)
    return any(source is not None and source.name == name for source in sources)


def _source(source: PolicySource, change: Change) -> PolicySource:
    return PolicySource(source.name, change.policy) if source.name == change.name else source


def _account(resource: str, own: str) -> str:
    try:
        return Arn.parse(resource).account or own
    except BrokerError:
        return own


def _context(event: Mapping[str, Any], principal: Principal, view: UserView | RoleView) -> dict[str, tuple[str, ...]]:
    moment = datetime.fromisoformat(str(event["eventTime"]))
    context = request_context(moment, event.get("sourceIPAddress"), event.get("userAgent"), True)
    tags = view.user.tags if isinstance(view, UserView) else view.role.tags
    context |= principal_context(principal) | {f"aws:PrincipalTag/{key}": (value,) for key, value in tags.items()}
    if region := event.get("awsRegion"):
        context["aws:RequestedRegion"] = (str(region),)
    session = (event.get("userIdentity") or {}).get("sessionContext") or {}
    if mfa := (session.get("attributes") or {}).get("mfaAuthenticated"):
        context["aws:MultiFactorAuthPresent"] = (str(mfa),)
    if source := session.get("sourceIdentity"):
        context["aws:SourceIdentity"] = (str(source),)
    return context


def told(result: Replay) -> Iterator[str]:
    """The result in sentences."""
    yield f"{result.decisions} recorded decisions, {result.concerned} of them with the policy: asked again"
    yield f"{result.unknown} calls of principals that are gone"
    for word, changed in (("allows become denials", result.denied), ("denials become allows", result.allowed)):
        yield f"{changed.total()} {word}"
        for (principal, action), count in changed.most_common():
            yield f"  {principal}  {action}  {count}"

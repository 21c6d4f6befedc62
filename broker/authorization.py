"""May this caller do this? The condition keys of a call, and the one question every operation asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from broker.callers import load_identity
from broker.domain.session import RoleSession
from broker.errors import AccessDenied
from broker.policy.context import principal_context
from broker.policy.evaluate import AccessRequest, Decision, PolicySet, evaluate
from broker.services import Caller, Identity, Services

Context = dict[str, tuple[str, ...]]

_log = logging.getLogger(__name__)


def authorize(services: Services, caller: Caller, action: str, resource: str) -> Identity:
    """Let the caller's own policies decide, within its own account. Raises AccessDenied."""
    identity = load_identity(services, caller.authenticated())
    context = caller_context(caller, identity)
    request = AccessRequest(identity.principal, action, resource, identity.principal.account, context)
    decision = decide(
        request, PolicySet(identity=identity.policies, boundary=identity.boundary, session=identity.session_policies)
    )
    if not decision.allowed:
        sentence = f"User: {identity.principal.arn} is not authorized to perform: {action} on resource: {resource}"
        raise AccessDenied(f"{sentence} {decision.sentence()}", detail=reason(decision))
    return identity


def decide(request: AccessRequest, policies: PolicySet) -> Decision:
    """Ask the policies. A policy that cannot be evaluated denies, and that is our fault: it is logged."""
    decision = evaluate(request, policies)
    if decision.error is not None:
        _log.error("policy evaluation failed", extra={"action": request.action, "error": decision.error})
    return decision


def reason(decision: Decision) -> str:
    """Why, for the audit record: AWS's sentence, and the statement or the error behind it."""
    if decision.error is not None:
        return f"{decision.sentence()}: {decision.error}"
    if decision.source is None:
        return decision.sentence()
    return f"{decision.sentence()} ({decision.source}, statement {decision.sid or decision.statement_index})"


def caller_context(caller: Caller, identity: Identity) -> Context:
    """The condition keys that describe the caller and the call (IAM User Guide, "global condition context keys")."""
    context = {
        **caller.context(),
        **principal_context(identity.principal),
        **tag_context("aws:PrincipalTag", identity.tags),
    }
    if identity.session is not None:
        context |= _session_context(caller, identity.session)
    return context


def tag_context(prefix: str, tags: Mapping[str, str]) -> Context:
    return {f"{prefix}/{key}": (value,) for key, value in tags.items()}


def request_tag_context(tags: Mapping[str, str], keys: Iterable[str]) -> Context:
    """``aws:RequestTag/…`` and ``aws:TagKeys`` of tags that a request passes."""
    context = tag_context("aws:RequestTag", tags)
    if names := tuple(keys):
        context["aws:TagKeys"] = names
    return context


def _session_context(caller: Caller, session: RoleSession) -> Context:
    """Keys that exist for temporary credentials only."""
    context: Context = dict(session.federation)
    context["aws:TokenIssueTime"] = (f"{session.issued_at.isoformat()[:19]}Z",)
    authenticated = session.mfa_authenticated_at
    context["aws:MultiFactorAuthPresent"] = ("false" if authenticated is None else "true",)
    if authenticated is not None:
        context["aws:MultiFactorAuthAge"] = (str(int((caller.now - authenticated).total_seconds())),)
    if session.source_identity is not None:
        context["aws:SourceIdentity"] = (session.source_identity,)
    if session.provider is not None:
        context["aws:FederatedProvider"] = (session.provider,)
    return context

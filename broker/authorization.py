"""May this caller do this? The condition keys of a call, and the one question every operation asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from msgspec import structs

from broker.authorization_messages import LIMIT_BYTES, encode_message
from broker.callers import load_identity
from broker.domain.moment import iso_seconds
from broker.domain.principal import Principal
from broker.domain.session import Session
from broker.errors import AccessDenied
from broker.policy.context import principal_context
from broker.policy.evaluate import AccessRequest, Decision, PolicySet, PolicySource, PolicyType, evaluate
from broker.policy.explain import Trace, explain
from broker.services import Caller, Identity, Services

Context = dict[str, tuple[str, ...]]

_log = logging.getLogger(__name__)


def authorize(
    services: Services,
    caller: Caller,
    action: str,
    resource: str,
    more: Mapping[str, tuple[str, ...]] | None = None,
    *,
    granted: PolicySource | None = None,
) -> Identity:
    """Let the caller's own policies decide, within its own account; ``more`` are condition keys of the request.

    ``granted`` is what the account allows its users besides. Raises AccessDenied, with AWS's sentence.
    """
    if resource.startswith("arn:") and resource not in caller.record.resources:
        caller.record.resources.append(resource)
    identity = load_identity(services, caller.authenticated())
    context = {**caller_context(caller, identity), **(more or {})}
    request = AccessRequest(identity.principal, action, resource, identity.principal.account, context)
    policies = identity.policy_set()
    more_granted = tuple(source for source in (granted, caller.granted) if source is not None)
    if more_granted:
        policies = structs.replace(policies, identity=(*policies.identity, *more_granted))
    decision = decide(request, policies)
    if not decision.allowed:
        sentence = f"{unauthorized(identity.principal, action, resource)} {decision.sentence()}"
        raise explained(services, caller, sentence, request, policies)
    return identity


def unauthorized(principal: Principal, action: str, resource: str) -> str:
    """The head of AWS's AccessDenied text."""
    return f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}"


def explained(
    services: Services, caller: Caller, sentence: str, request: AccessRequest, policies: PolicySet
) -> AccessDenied:
    """A refusal with its reasons: in the audit record, and sealed for those who may have them decoded."""
    trace = _own_side(explain(request, policies))
    miss = trace.nearest_miss
    detail = reason(trace.decision) + (f"; nearest miss: {miss.sentence()}" if miss is not None else "")
    encoded = encode_message(services.ring, request.resource_account, trace.as_json(LIMIT_BYTES), caller.now)
    return AccessDenied(sentence, detail=detail, encoded=encoded)


def unexplained(services: Services, caller: Caller, sentence: str, account: str, detail: str) -> AccessDenied:
    """A refusal without a policy behind it, as that of a role that does not exist: to the caller it looks alike."""
    explanation: dict[str, object] = {"allowed": False, "explicitDeny": False, "reason": detail}
    return AccessDenied(
        sentence, detail=detail, encoded=encode_message(services.ring, account, explanation, caller.now)
    )


def _own_side(trace: Trace) -> Trace:
    """What the account of the resource may see: of a foreign principal, not the policies of its account."""
    if trace.request.principal.account == trace.request.resource_account:
        return trace
    kept = tuple(policy for policy in trace.policies if policy.type is PolicyType.RESOURCE)
    miss, decision = trace.nearest_miss, trace.decision
    if decision.policy_type is not PolicyType.RESOURCE:
        decision = structs.replace(decision, source=None, statement=None)
    if miss is not None and miss.policy_type is not PolicyType.RESOURCE:
        miss = None
    return replace(trace, policies=kept, decision=decision, nearest_miss=miss)


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
    if caller.mfa_verified:
        context["aws:MultiFactorAuthPresent"] = ("true",)
        context["aws:MultiFactorAuthAge"] = ("0",)
    return context


def tag_context(prefix: str, tags: Mapping[str, str]) -> Context:
    return {f"{prefix}/{key}": (value,) for key, value in tags.items()}


def request_tag_context(tags: Mapping[str, str], keys: Iterable[str]) -> Context:
    """``aws:RequestTag/…`` and ``aws:TagKeys`` of tags that a request passes."""
    context = tag_context("aws:RequestTag", tags)
    if names := tuple(keys):
        context["aws:TagKeys"] = names
    return context


def _session_context(caller: Caller, session: Session) -> Context:
    """Keys that exist for temporary credentials only."""
    context: Context = dict(session.federation)
    context["aws:TokenIssueTime"] = (iso_seconds(session.issued_at),)
    authenticated = session.mfa_authenticated_at
    context["aws:MultiFactorAuthPresent"] = ("false" if authenticated is None else "true",)
    if authenticated is not None:
        context["aws:MultiFactorAuthAge"] = (str(int((caller.now - authenticated).total_seconds())),)
    if session.source_identity is not None:
        context["aws:SourceIdentity"] = (session.source_identity,)
    if session.provider is not None:
        context["aws:FederatedProvider"] = (session.provider,)
    return context

"""Can this identity assume that role, and why not? Our own operation of IAM, described in ``aws/extensions.json``.

It decides as STS does: the trust policy (and for a principal of ours its own policies) is asked once for the main
action and again for ``sts:TagSession`` and ``sts:SetSourceIdentity`` where they are needed. Nothing is issued.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.authorization import authorize, request_tag_context, tag_context
from broker.domain.arn import ACCOUNT_ID, Arn
from broker.domain.arn import role_arn as make_role_arn
from broker.domain.principal import Principal
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import NotFound, ValidationFailed
from broker.iam.context_entries import ContextEntry, parse_context
from broker.iam.context_keys import condition_keys, unique_keys
from broker.iam.external_identities import Attribute, ExternalSubject, subject_of_attributes, subject_of_token
from broker.iam.policy_inputs import compile_input
from broker.iam.saml_identities import subject_of_assertion
from broker.iam.simulated_principals import find_live_principal, named_principal
from broker.iam.simulated_requests import (
    ALLOWED,
    EVERYTHING,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    MAX_MATCHED,
    TRUST_POLICY,
    MatchedStatement,
    decision_word,
    matched_statement,
)
from broker.policy.binding import shown_document
from broker.policy.compile import compile_document
from broker.policy.context import Context, request_context
from broker.policy.decision import PolicyType
from broker.policy.document import Effect, PolicyDocument, PolicyKind, parse_policy
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource
from broker.policy.explain import Trace, explain
from broker.policy.miss import Miss
from broker.policy.trace import PolicyTrace, StatementTrace
from broker.services import Caller, Services
from broker.store.entities import find_entity_by_id

_ACTION = "iam:SimulateTrustPolicy"
_ROLE_NAME = "simulation"
_SEVERITY = (ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY)
_TIME = ("aws:CurrentTime", "aws:EpochTime")

Keys = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class NearestMiss:
    """The smallest change that would have allowed the action; ``sufficient``: nothing else would refuse it then."""

    kind: str
    sentence: str
    sufficient: bool


@dataclass(frozen=True, slots=True)
class TrustResult:
    """The decision on one action that assuming the role takes."""

    eval_action_name: str
    eval_decision: str
    reason: str
    matched_statements: tuple[MatchedStatement, ...]
    missing_context_values: tuple[str, ...]
    nearest_miss: NearestMiss | None


@dataclass(frozen=True, slots=True)
class TrustSimulation:
    """``SimulateTrustPolicyResponse``. ``eval_decision`` is the most restrictive of the results.

    ``evidence_verified`` is None for a principal of AWS's kind, which brings no evidence;
    ``identity_policies_evaluated`` is None for an external identity, which has no policies. If it is False, the
    principal is another account's, and its own policies are taken to allow everything.
    """

    eval_decision: str
    evaluation_results: tuple[TrustResult, ...]
    role_arn: str
    principal_arn: str
    evidence_verified: bool | None
    evidence_problem: str | None
    identity_policies_evaluated: bool | None


@dataclass(frozen=True, slots=True)
class _Role:
    """The role to be assumed: one that is there, or one that would have the document passed."""

    account: str
    arn: str
    trust: PolicySource
    tags: Mapping[str, str]
    shown: PolicyDocument
    """The trust policy as its readers see it, with ARNs where unique ids are stored."""

    def context(self) -> Keys:
        tags = {**tag_context("aws:ResourceTag", self.tags), **tag_context("iam:ResourceTag", self.tags)}
        return {**tags, "aws:ResourceAccount": (self.account,)}


@dataclass(frozen=True, slots=True)
class _Identity:
    """Who would assume it, with ``action``; ``policies`` is everything but the trust policy."""

    action: str
    principal: Principal
    policies: PolicySet
    context: Keys
    tags: Mapping[str, str]
    source_identity: str | None
    session_name: str | None = None
    verified: bool | None = None
    problem: str | None = None
    evaluated: bool | None = None


def simulate_trust_policy(
    services: Services,
    caller: Caller,
    *,
    role_arn: str | None = None,
    trust_policy_document: str | None = None,
    account_id: str | None = None,
    web_identity_token: Secret | None = None,
    saml_assertion: Secret | None = None,
    principal_arn: str | None = None,
    provider_arn: str | None = None,
    attributes: Sequence[Attribute] | None = None,
    context_entries: Sequence[ContextEntry] = (),
    tags: Sequence[Tag] = (),
    source_identity: str | None = None,
    external_id: str | None = None,
    role_session_name: str | None = None,
) -> TrustSimulation:
    """Whether an identity could assume a role (``SimulateTrustPolicy``). Raises ValidationFailed, NotFound,
    MalformedPolicy, MalformedEvidence, AccessDenied.

    1. parameters; 2. the role, and may the caller ask about it? 3. the identity; 4. the condition keys; 5. decisions.
    """
    _check_choice(role_arn, trust_policy_document, account_id)
    _check_identity(web_identity_token, saml_assertion, principal_arn, provider_arn, attributes)
    given = parse_context(context_entries)
    passed = _parse_tags(tags)
    role = _role(services, caller, role_arn, trust_policy_document, account_id)
    own = caller.authenticated().principal.account
    if principal_arn is not None:
        identity = _principal_identity(services, caller, own, principal_arn)
    elif web_identity_token is not None:
        identity = _external_identity(subject_of_token(services, own, web_identity_token.reveal(), caller.now))
    elif saml_assertion is not None:
        text = saml_assertion.reveal()
        identity = _external_identity(subject_of_assertion(services, own, text, provider_arn, caller.now))
    else:
        identity = _external_identity(subject_of_attributes(str(provider_arn), attributes or ()))
    asked = {**identity.tags, **passed}
    named = source_identity if source_identity is not None else identity.source_identity
    session = _session_context(asked, named, external_id, role_session_name or identity.session_name)
    time = {key: value for key, value in request_context(caller.now, None, None, False).items() if key in _TIME}
    context = _context({**time, **identity.context, **session, **role.context()}, given)
    actions = (identity.action, *(["sts:TagSession"] if asked else []), *(["sts:SetSourceIdentity"] if named else []))
    return _answer(role, identity, tuple(_decide(role, identity, action, context) for action in actions))


def _check_choice(role_arn: str | None, document: str | None, account: str | None) -> None:
    if (role_arn is None) == (document is None):
        raise ValidationFailed("Exactly one of RoleArn and TrustPolicyDocument must be given")
    if account is not None and document is None:
        raise ValidationFailed("AccountId is the account of a TrustPolicyDocument; a RoleArn has its own")


def _check_identity(
    token: Secret | None,
    assertion: Secret | None,
    principal: str | None,
    provider: str | None,
    attributes: Sequence[Attribute] | None,
) -> None:
    if sum(one is not None for one in (token, assertion, principal, attributes)) != 1:
        raise ValidationFailed(
            "Exactly one of WebIdentityToken, SAMLAssertion, PrincipalArn and Attributes must be given"
        )
    if assertion is None and (provider is None) != (attributes is None):
        raise ValidationFailed("ProviderArn and Attributes must be given together")


def _parse_tags(tags: Sequence[Tag]) -> dict[str, str]:
    if len({tag.key.lower() for tag in tags}) != len(tags):
        raise ValidationFailed("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return {tag.key: tag.value for tag in tags}


def _role(services: Services, caller: Caller, arn: str | None, document: str | None, account: str | None) -> _Role:
    """2. A role of another account is not found; a document may be simulated as any account's."""
    if arn is None:
        own = authorize(services, caller, _ACTION, "*").principal.account
        owner = account or own
        if not ACCOUNT_ID.fullmatch(owner):
            raise ValidationFailed("AccountId must have twelve digits")
        trust = compile_input(TRUST_POLICY, document or "", PolicyKind.TRUST)
        return _Role(owner, make_role_arn(owner, "/", _ROLE_NAME), trust, {}, trust.policy.document)
    own = authorize(services, caller, _ACTION, arn).principal.account
    view = services.catalog.role(arn) if Arn.parse(arn).account == own else None
    if view is None:
        raise NotFound(f"The role with ARN {arn[:256]} cannot be found.")
    shown = _shown(services, view.trust.policy.document.text)  # principals by their ARNs, as far as they exist
    return _Role(own, arn, PolicySource(TRUST_POLICY, compile_document(shown)), view.role.tags, shown)


def _shown(services: Services, document: str) -> PolicyDocument:
    with services.database.read() as connection:

        def find_arn(unique_id: str) -> str | None:
            entity = find_entity_by_id(connection, unique_id)
            return None if entity is None else entity.arn

        return parse_policy(shown_document(document, find_arn), PolicyKind.TRUST)


def _principal_identity(services: Services, caller: Caller, own: str, arn: str) -> _Identity:
    """3. Of the caller's account with its own policies, for those who may simulate these; else by its ARN alone."""
    named = named_principal(arn, "PrincipalArn")
    if named.principal.account != own:  # nothing of another account is read
        allowed = PolicySet(identity=(EVERYTHING,))
        return _Identity("sts:AssumeRole", named.principal, allowed, named.context(), {}, None, evaluated=False)
    live = find_live_principal(services, own, arn)
    resource = arn if live is None else live.principal.role_arn or live.principal.arn
    authorize(services, caller, "iam:SimulatePrincipalPolicy", resource)  # of a session: on its role
    if live is None:
        raise NotFound(f"The principal {arn[:256]} cannot be found.")
    policies = PolicySet(identity=live.policies, boundary=live.boundary)
    return _Identity("sts:AssumeRole", live.principal, policies, live.context(), {}, None, evaluated=True)


def _external_identity(subject: ExternalSubject) -> _Identity:
    return _Identity(
        subject.action,
        subject.principal,
        PolicySet(),
        subject.context(),
        subject.tags,
        subject.source_identity,
        subject.session_name,
        subject.verified,
        subject.problem,
    )


def _session_context(
    tags: Mapping[str, str], source_identity: str | None, external_id: str | None, session_name: str | None
) -> Keys:
    """4. The keys that the request for a session brings (IAM User Guide, "available keys for AWS STS")."""
    context = request_tag_context(tags, tags)
    named = {
        "sts:SourceIdentity": source_identity,
        "sts:ExternalId": external_id,
        "sts:RoleSessionName": session_name,
    }
    return context | {key: (value,) for key, value in named.items() if value is not None}


def _context(known: Keys, given: Keys) -> Context:
    """Entries of the request replace what is known. Raises ValidationFailed if keys differ in case alone."""
    taken = {key.lower() for key in given}
    try:
        return Context({**{key: values for key, values in known.items() if key.lower() not in taken}, **given})
    except ValueError as error:
        raise ValidationFailed(f"The identity cannot be evaluated: {error}") from None


def _decide(role: _Role, identity: _Identity, action: str, context: Context) -> TrustResult:
    """5. One action, with what STS would keep from the identity: why."""
    request = AccessRequest(identity.principal, action, role.arn, role.account, context)
    own = identity.policies
    policies = PolicySet(own.identity, role.trust, True, own.boundary)
    trace = explain(request, policies)
    if trace.decision.error is not None:
        raise ValidationFailed("The policies could not be evaluated with these values", detail=trace.decision.error)
    missing = (key for key in _asked_keys(trace) if key.lower() not in context.folded)
    return TrustResult(
        action,
        decision_word(trace.decision),
        trace.decision.sentence(),
        _matched(trace, role.shown),
        unique_keys(missing),
        None if trace.nearest_miss is None else _miss(trace.nearest_miss),
    )


def _asked_keys(trace: Trace) -> list[str]:
    """The keys of the statements that are about this identity and action, whatever their conditions say."""
    return [
        key
        for policy in trace.policies
        for one in policy.statements
        if one.principal is not False and one.action and one.resource
        for key in condition_keys(one.statement, variables=one.document.variables)
    ]


def _matched(trace: Trace, shown: PolicyDocument) -> tuple[MatchedStatement, ...]:
    decision = trace.decision
    if not decision.allowed and not decision.explicit_deny:
        return ()
    effect = Effect.ALLOW if decision.allowed else Effect.DENY
    found = [
        _placed(policy, one, shown)
        for policy in trace.policies
        if policy.source != EVERYTHING.name and not (decision.allowed and policy.type is PolicyType.BOUNDARY)
        for one in policy.statements
        if one.statement.effect is effect and one.applies
    ]
    return tuple(found[:MAX_MATCHED])


def _placed(policy: PolicyTrace, trace: StatementTrace, shown: PolicyDocument) -> MatchedStatement:
    if policy.type is PolicyType.RESOURCE:
        return matched_statement(policy.source, shown, shown.statements[trace.statement.index])
    return matched_statement(policy.source, trace.document, trace.statement)


def _miss(miss: Miss) -> NearestMiss:
    return NearestMiss(miss.kind.value, miss.sentence(), miss.sufficient)


def _answer(role: _Role, identity: _Identity, results: tuple[TrustResult, ...]) -> TrustSimulation:
    return TrustSimulation(
        eval_decision=max((result.eval_decision for result in results), key=_SEVERITY.index),
        evaluation_results=results,
        role_arn=role.arn,
        principal_arn=identity.principal.arn,
        evidence_verified=identity.verified,
        evidence_problem=identity.problem,
        identity_policies_evaluated=identity.evaluated,
    )

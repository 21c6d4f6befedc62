"""The policy simulator: what policies would decide, without doing anything (AWS IAM Simulate…Policy).

A result for each action, in the order of ``ActionNames``. A page is as long as its work is bounded: AWS too may answer
fewer results than ``MaxItems`` asks for, with ``IsTruncated`` and ``Marker``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.authorization import authorize
from broker.domain.arn import ACCOUNT_ID, Arn, user_arn
from broker.errors import ValidationFailed
from broker.iam.context_entries import ContextEntry, parse_context
from broker.iam.context_keys import unique_keys
from broker.iam.policy_inputs import compile_input, compile_inputs
from broker.iam.simulated_principals import Simulated, live_entity, named_user
from broker.iam.simulated_requests import (
    ALLOWED,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    MAX_MATCHED,
    RESOURCE_POLICY,
    BoundaryDetail,
    MatchedStatement,
    ResourceResult,
    Scenario,
)
from broker.policy.context import Context
from broker.policy.document import PolicyKind
from broker.policy.evaluate import PolicySet, PolicySource
from broker.services import Caller, Services

MAX_PAIRS = 1_000
"""Actions times resources of one simulation."""
PAGE_CHARACTERS = 4_000_000
"""Characters of the documents times requests evaluated for one page."""

_DEFAULT_ITEMS = 100
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9_.-]+")
_MARKER = re.compile(r"[1-9][0-9]{0,3}")
_SEVERITY = (ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY)


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """IAM ``EvaluationResult``: one action on all the resources. ``eval_resource_name`` is the resource if there is
    one, ``*`` if there are several."""

    eval_action_name: str
    eval_resource_name: str
    eval_decision: str
    matched_statements: tuple[MatchedStatement, ...]
    missing_context_values: tuple[str, ...]
    permissions_boundary_decision_detail: BoundaryDetail | None
    eval_decision_details: Mapping[str, str] | None
    resource_specific_results: tuple[ResourceResult, ...] | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """IAM ``SimulatePolicyResponse``."""

    evaluation_results: tuple[EvaluationResult, ...]
    is_truncated: bool
    marker: str | None


def simulate_custom_policy(
    services: Services,
    caller: Caller,
    *,
    policy_input_list: Sequence[str],
    action_names: Sequence[str],
    permissions_boundary_policy_input_list: Sequence[str] = (),
    resource_arns: Sequence[str] = (),
    resource_policy: str | None = None,
    resource_owner: str | None = None,
    caller_arn: str | None = None,
    context_entries: Sequence[ContextEntry] = (),
    resource_handling_option: str | None = None,
    max_items: int = _DEFAULT_ITEMS,
    marker: str | None = None,
) -> Simulation:
    """What the documents would decide (AWS IAM SimulateCustomPolicy). Raises ValidationFailed, MalformedPolicy.

    ``resource_handling_option`` names combinations of EC2 resources; it is taken and changes nothing.
    """
    account = authorize(services, caller, "iam:SimulateCustomPolicy", "*").principal.account
    if resource_policy is not None and caller_arn is None:
        raise ValidationFailed("CallerArn is required with ResourcePolicy")
    context = parse_context(context_entries)
    simulated = named_user(caller_arn or user_arn(account, "/", "simulation"), "CallerArn")
    policies = PolicySet(
        identity=compile_inputs("PolicyInputList", policy_input_list, PolicyKind.IDENTITY),
        resource=_resource_policy(resource_policy),
        boundary=_boundary(permissions_boundary_policy_input_list),
    )
    known = simulated.context() if caller_arn is not None else {}
    scenario = Scenario(simulated.principal, policies, _overlaid(known, context), _owner(resource_owner))
    return _simulate(scenario, action_names, resource_arns, max_items, marker)


def simulate_principal_policy(
    services: Services,
    caller: Caller,
    *,
    policy_source_arn: str,
    action_names: Sequence[str],
    policy_input_list: Sequence[str] = (),
    permissions_boundary_policy_input_list: Sequence[str] = (),
    resource_arns: Sequence[str] = (),
    resource_policy: str | None = None,
    resource_owner: str | None = None,
    caller_arn: str | None = None,
    context_entries: Sequence[ContextEntry] = (),
    resource_handling_option: str | None = None,
    max_items: int = _DEFAULT_ITEMS,
    marker: str | None = None,
) -> Simulation:
    """What the policies of a user or role of the caller's account would decide, with the documents passed added (AWS
    IAM SimulatePrincipalPolicy). Raises NotFound, ValidationFailed, MalformedPolicy.

    A boundary that is passed replaces the attached one. ``resource_handling_option`` changes nothing.
    """
    account = authorize(services, caller, "iam:SimulatePrincipalPolicy", policy_source_arn).principal.account
    context = parse_context(context_entries)
    added = compile_inputs("PolicyInputList", policy_input_list, PolicyKind.IDENTITY)
    boundary = _boundary(permissions_boundary_policy_input_list)
    resource = _resource_policy(resource_policy)
    source = live_entity(services, account, policy_source_arn)
    if resource is not None and caller_arn is None and source.principal.user_name is None:
        raise ValidationFailed("CallerArn is required with ResourcePolicy unless PolicySourceArn is a user's ARN")
    asking = _asking(source, caller_arn)
    policies = PolicySet(
        identity=(*source.policies, *added), resource=resource, boundary=boundary if boundary else source.boundary
    )
    scenario = Scenario(asking.principal, policies, _overlaid(asking.context(), context), _owner(resource_owner))
    return _simulate(scenario, action_names, resource_arns, max_items, marker)


def _asking(source: Simulated, caller_arn: str | None) -> Simulated:
    """Who asks: the source itself, or the user ``caller_arn`` as if it had the source's policies."""
    if caller_arn is None:
        return source
    named = named_user(caller_arn, "CallerArn")
    return source if caller_arn == source.principal.arn else named


def _boundary(documents: Sequence[str]) -> PolicySource | None:
    if len(documents) > 1:
        raise ValidationFailed("PermissionsBoundaryPolicyInputList must not have more than one policy")
    return next(iter(compile_inputs("PermissionsBoundaryPolicyInputList", documents, PolicyKind.BOUNDARY)), None)


def _resource_policy(document: str | None) -> PolicySource | None:
    return None if document is None else compile_input(RESOURCE_POLICY, document, PolicyKind.RESOURCE)


def _owner(text: str | None) -> str | None:
    """The account of ``ResourceOwner``: its id, or the ARN of its root."""
    if text is None:
        return None
    account = text.removeprefix("arn:aws:iam::").removesuffix(":root")
    if not ACCOUNT_ID.fullmatch(account) or text not in (account, f"arn:aws:iam::{account}:root"):
        raise ValidationFailed("ResourceOwner must be an account id or the ARN of an account's root")
    return account


def _overlaid(known: Mapping[str, tuple[str, ...]], given: Mapping[str, tuple[str, ...]]) -> Context:
    """What the caller of the simulation says, over what follows from the principal."""
    taken = {key.lower() for key in given}
    return Context({**{key: value for key, value in known.items() if key.lower() not in taken}, **given})


def _simulate(
    scenario: Scenario, actions: Sequence[str], resource_arns: Sequence[str], max_items: int, marker: str | None
) -> Simulation:
    """One page, of ``max_items`` actions or of as many as the budget of a page has room for."""
    resources = tuple(resource_arns) or ("*",)
    _check(actions, resources)
    start = _start(marker, len(actions))
    room = PAGE_CHARACTERS // (len(resources) * max(scenario.size, 1))
    if room < 1:
        raise ValidationFailed("The policies are too large to be simulated with so many resources")
    end = min(start + min(max_items, room), len(actions))
    results = tuple(
        _merged(action, tuple(scenario.ask(action, resource) for resource in resources))
        for action in actions[start:end]
    )
    return Simulation(results, end < len(actions), str(end) if end < len(actions) else None)


def _check(actions: Sequence[str], resources: Sequence[str]) -> None:
    if not actions:
        raise ValidationFailed("ActionNames must name at least one action")
    if len(actions) * len(resources) > MAX_PAIRS:
        raise ValidationFailed(f"ActionNames times ResourceArns must not exceed {MAX_PAIRS}")
    for number, action in enumerate(actions, start=1):
        if not _ACTION.fullmatch(action):
            raise ValidationFailed(f"ActionNames.{number} is not of the form service:name, without wildcards")
    for resource in resources:
        if resource != "*":
            Arn.parse(resource)


def _start(marker: str | None, count: int) -> int:
    if marker is None:
        return 0
    if not _MARKER.fullmatch(marker) or int(marker) >= count:
        raise ValidationFailed("Marker is not one that this simulation answered")
    return int(marker)


def _merged(action: str, results: tuple[ResourceResult, ...]) -> EvaluationResult:
    """The most restrictive of the resources' decisions, with all that they name."""
    first = results[0]
    decision = max((result.eval_resource_decision for result in results), key=_SEVERITY.index)
    deciding = (result for result in results if result.eval_resource_decision == decision)
    matched = dict.fromkeys(one for result in deciding for one in result.matched_statements)
    boundaries = [result.permissions_boundary_decision_detail for result in results]
    everything = len(results) == 1 and first.eval_resource_name == "*"
    return EvaluationResult(
        eval_action_name=action,
        eval_resource_name=first.eval_resource_name if len(results) == 1 else "*",
        eval_decision=decision,
        matched_statements=tuple(matched)[:MAX_MATCHED],
        missing_context_values=unique_keys(key for result in results for key in result.missing_context_values),
        permissions_boundary_decision_detail=_all(boundaries),
        eval_decision_details=_strictest(results),
        resource_specific_results=None if everything else results,
    )


def _all(details: Sequence[BoundaryDetail | None]) -> BoundaryDetail | None:
    known = [detail.allowed_by_permissions_boundary for detail in details if detail is not None]
    return BoundaryDetail(all(known)) if known else None


def _strictest(results: Sequence[ResourceResult]) -> Mapping[str, str] | None:
    """The most restrictive decision for each type of policy."""
    known = [result.eval_decision_details for result in results if result.eval_decision_details is not None]
    names = dict.fromkeys(name for details in known for name in details)
    worst = {name: max((one[name] for one in known if name in one), key=_SEVERITY.index) for name in names}
    return worst if known else None

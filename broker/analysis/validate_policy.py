"""The linter for callers: what is wrong, dangerous or superfluous in a policy that they send.

Access Analyzer API Reference, "ValidatePolicy".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from broker.authorization import authorize
from broker.errors import ValidationFailed
from broker.policy.document import PolicyKind
from broker.policy.lint import Finding, Location, guess_kind, lint
from broker.services import Caller, Services

_TRUST = "AWS::IAM::AssumeRolePolicyDocument"
_TOKEN = re.compile(r"([1-9][0-9]{0,5})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """Access Analyzer ``ValidatePolicyFinding``."""

    finding_type: str
    issue_code: str
    finding_details: str
    learn_more_link: str
    locations: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class PolicyFindings:
    """Access Analyzer ``ValidatePolicyResponse``: one page."""

    findings: tuple[PolicyFinding, ...]
    next_token: str | None = None


def validate_policy(
    services: Services,
    caller: Caller,
    *,
    policy_document: str,
    policy_type: str,
    validate_policy_resource_type: str | None = None,
    locale: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> PolicyFindings:
    """What to change in a policy, the gravest first (Access Analyzer ValidatePolicy).

    The policy counts as one of the caller's account. Findings are in English whatever the ``locale``; without
    ``max_results`` they are all on one page. Raises AccessDenied, and ValidationFailed for policies of organizations
    and for a token of another request.
    """
    identity = authorize(services, caller, "access-analyzer:ValidatePolicy", "*")
    kind = _kind(policy_document, policy_type, validate_policy_resource_type)
    if max_results is not None and max_results < 1:
        raise ValidationFailed("maxResults must be at least 1.")
    mark = _mark(policy_document, policy_type, validate_policy_resource_type or "")
    start = _start(next_token, mark)
    findings = lint(policy_document, kind, identity.principal.account)
    end = len(findings) if max_results is None else min(start + max_results, len(findings))
    following = f"{end}-{mark}" if end < len(findings) else None
    return PolicyFindings(tuple(map(_finding, findings[start:end])), following)


def _kind(document: str, policy_type: str, resource_type: str | None) -> PolicyKind:
    if policy_type not in ("IDENTITY_POLICY", "RESOURCE_POLICY"):
        raise ValidationFailed(f"The policyType {policy_type} is not supported: there are no organizations here.")
    if policy_type == "IDENTITY_POLICY":
        if resource_type is not None:
            raise ValidationFailed("validatePolicyResourceType is for the policyType RESOURCE_POLICY alone.")
        return PolicyKind.IDENTITY
    if resource_type is None:  # trust policies too are resource policies
        return PolicyKind.TRUST if guess_kind(document) is PolicyKind.TRUST else PolicyKind.RESOURCE
    return PolicyKind.TRUST if resource_type == _TRUST else PolicyKind.RESOURCE


def _mark(*of: str) -> str:
    """Ties a page to its request: a token of another policy would skip findings unseen."""
    return hashlib.sha256("\0".join(of).encode()).hexdigest()[:32]


def _start(next_token: str | None, mark: str) -> int:
    if next_token is None:
        return 0
    found = _TOKEN.fullmatch(next_token)
    if found is None or found[2] != mark:
        raise ValidationFailed("The nextToken is not one that was given for this policy.")
    return int(found[1])


def _finding(finding: Finding) -> PolicyFinding:
    return PolicyFinding(finding.type, finding.code, finding.details, finding.learn_more, finding.locations)

"""The linter: what is wrong, dangerous or superfluous in a policy, in Access Analyzer's words.

``RULES`` is the list of all findings, a code each; ``docs/policy-lint.md`` has a row for every one. Codes are Access
Analyzer's ("IAM policy validation check reference") where it has the same check.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from broker.errors import MalformedPolicy
from broker.policy.document import PolicyKind
from broker.policy.lint import conditions, federation, names, principals, statements
from broker.policy.lint.findings import (
    DOCUMENTATION,
    Finding,
    FindingType,
    Location,
    Places,
    finding_as_json,
)
from broker.policy.lint.source import Hit, Source, Spot, load
from broker.policy.reader import read

__all__ = ["RULES", "Finding", "FindingType", "Location", "Rule", "finding_as_json", "guess_kind", "lint"]

MOST_FINDINGS = 50
"""Findings of one code that are reported for one document; the others follow when these are gone."""

_ERROR, _SECURITY = FindingType.ERROR, FindingType.SECURITY_WARNING
_WARNING, _SUGGESTION = FindingType.WARNING, FindingType.SUGGESTION
_MALFORMED = "MALFORMED_POLICY"
_PLACE = re.compile(r" at line ([0-9]+), column ([0-9]+)$")


@dataclass(frozen=True, slots=True)
class Rule:
    """One check: its type, its code, and the function that finds what breaks it."""

    type: FindingType
    code: str
    find: Callable[[Source], Iterator[Hit]]


RULES = (
    Rule(_ERROR, "INVALID_ACTION", names.unknown_action),
    Rule(_ERROR, "ACTION_MATCHES_NOTHING", names.action_matches_nothing),
    Rule(_ERROR, "INVALID_GLOBAL_CONDITION_KEY", names.unknown_global_key),
    Rule(_ERROR, "INVALID_SERVICE_CONDITION_KEY", names.unknown_service_key),
    Rule(_ERROR, "INVALID_CONDITION_KEY_FORMAT", names.key_without_prefix),
    Rule(_ERROR, "TYPE_MISMATCH", conditions.type_mismatch),
    Rule(_ERROR, "VARIABLE_UNSUPPORTED_IN_VERSION", names.variable_in_old_version),
    Rule(_SECURITY, "WILDCARD_PRINCIPAL", principals.wildcard_principal),
    Rule(_SECURITY, "ALLOW_WITH_NOT_PRINCIPAL", principals.allow_with_not_principal),
    Rule(_SECURITY, "MISSING_EXTERNAL_ID", principals.missing_external_id),
    Rule(_SECURITY, "SHARED_ISSUER_WITHOUT_SUBJECT", federation.shared_issuer_without_subject),
    Rule(_SECURITY, "SUBJECT_WILDCARD_CROSSES_ORGANISATIONS", federation.subject_crosses_customers),
    Rule(_SECURITY, "FORALLVALUES_WITH_SINGLE_VALUED_KEY", conditions.for_all_values_single),
    Rule(_SECURITY, "FORALLVALUES_WITHOUT_NULL_GUARD", conditions.for_all_values_unguarded),
    Rule(_SECURITY, "MFA_BOOL_MISSES_ACCESS_KEYS", conditions.mfa_bool),
    Rule(_SECURITY, "MFA_IF_EXISTS_WITH_ALLOW", conditions.mfa_if_exists),
    Rule(_SECURITY, "SOURCE_IP_EVERYWHERE", conditions.source_ip_everywhere),
    Rule(_SECURITY, "FULL_ADMINISTRATOR", statements.full_administrator),
    Rule(_SECURITY, "ALLOW_WITH_NOT_ACTION", statements.allow_with_not_action),
    Rule(_SECURITY, "ALLOW_WITH_NOT_RESOURCE", statements.allow_with_not_resource),
    Rule(_SECURITY, "PASS_ROLE_WITH_STAR_IN_RESOURCE", statements.pass_any_role),
    Rule(_WARNING, "MISSING_VERSION", statements.missing_version),
    Rule(_WARNING, "MISSING_AUDIENCE_CONDITION", federation.missing_audience),
    Rule(_WARNING, "TAG_CONDITION_WITHOUT_TAG_SESSION", federation.tags_without_tag_session),
    Rule(_WARNING, "DANGLING_PRINCIPAL_ID", principals.dangling_principal),
    Rule(_WARNING, "DENY_WITH_NOT_PRINCIPAL", principals.deny_with_not_principal),
    Rule(_WARNING, "UNREACHABLE_STATEMENT", statements.unreachable),
    Rule(_WARNING, "WILDCARD_WITHOUT_LIKE_OPERATOR", conditions.wildcard_without_like),
    Rule(_WARNING, "EMPTY_CONDITION_VALUE", conditions.empty_value),
    Rule(_WARNING, "PRIVATE_IP_ADDRESS", conditions.private_source_ip),
    Rule(_SUGGESTION, "SUBJECT_WILDCARD_COVERS_ORGANISATION", federation.subject_covers_organisation),
    Rule(_SUGGESTION, "LIKE_WITHOUT_WILDCARD", conditions.like_without_wildcard),
    Rule(_SUGGESTION, "EMPTY_OBJECT_CONDITION", conditions.empty_condition),
    Rule(_SUGGESTION, "REDUNDANT_STATEMENT", statements.redundant_statement),
    Rule(_SUGGESTION, "REDUNDANT_ACTION", names.redundant_action),
    Rule(_SUGGESTION, "REDUNDANT_RESOURCE", names.redundant_resource),
    Rule(_SUGGESTION, "REDUNDANT_PRINCIPAL", names.redundant_principal),
    Rule(_SUGGESTION, "REDUNDANT_CONDITION_VALUE", conditions.redundant_value),
)
"""Every check of a policy that follows the grammar; one that does not is MALFORMED_POLICY alone."""


def lint(text: str, kind: PolicyKind, account: str | None = None) -> tuple[Finding, ...]:
    """What to change in a policy, the gravest first, then in the order of the text.

    ``account`` is the account that the policy belongs to; without it no account is foreign. Raises nothing: a text
    that is no policy has one finding, an ERROR that says where it goes wrong.
    """
    try:
        source = load(text, kind, account)
    except MalformedPolicy as error:
        return (_malformed(text, error),)
    found = [
        _finding(rule, details, tuple(map(source.location, spots)))
        for rule in RULES
        for details, spots in islice(rule.find(source), MOST_FINDINGS)
    ]
    order = list(FindingType)
    return tuple(sorted(found, key=lambda each: (order.index(each.type), each.locations[0].span.start.offset)))


def guess_kind(text: str) -> PolicyKind:
    """What a policy looks like: TRUST if it names principals alone, RESOURCE if resources too, else IDENTITY."""
    try:
        members = dict(Spot(read(text), ()).members())
    except MalformedPolicy:
        return PolicyKind.IDENTITY
    written = members["Statement"].each() if "Statement" in members else ()
    elements = {name.removeprefix("Not") for spot in written for name, _ in spot.members()}
    if "Principal" not in elements:
        return PolicyKind.IDENTITY
    return PolicyKind.RESOURCE if "Resource" in elements else PolicyKind.TRUST


def _finding(rule: Rule, details: str, locations: tuple[Location, ...]) -> Finding:
    return Finding(rule.type, rule.code, details, _link(rule.code), locations)


def _malformed(text: str, error: MalformedPolicy) -> Finding:
    places = Places(text)
    found = _PLACE.search(error.message)
    offset = places.offset(int(found[1]), int(found[2])) if found else 0
    location = Location((), places.span(offset, offset))
    return Finding(_ERROR, _MALFORMED, f"{error.message}.", _link(_MALFORMED), (location,))


def _link(code: str) -> str:
    return f"{DOCUMENTATION}#{code.lower()}"

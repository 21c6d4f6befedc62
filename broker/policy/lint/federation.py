"""Rules about trust in OpenID Connect issuers: whose tokens are let in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from broker.policy.catalogue import shared_issuer
from broker.policy.document import PolicyKind
from broker.policy.lint.narrowing import first_wildcard, narrows
from broker.policy.lint.source import Hit, PlacedStatement, Source, Spot, grants, shown

_PROVIDER = re.compile(r"arn:[^:]+:iam::[0-9]*:oidc-provider/(.+)")
_AUDIENCES = ("aud", "oaud", "azp", "app_id", "client_id")
# What the subjects of GitHub, GitLab, Terraform, Buildkite and CircleCI begin with, whoever the customer is.
_SAME_FOR_ALL = ("repo:", "project_path:", "organization:", "org/")
# `repo:octo-org/`, `organization:acme:`, `org/ID/`: a subject up to the end of the customer's name.
_CUSTOMER = re.compile(r"(?:\w+:|org/)[^:/]+[:/]")
_DEEPER = re.compile(r"[:/]")
_TAGS = "aws:requesttag/"


def shared_issuer_without_subject(source: Source) -> Iterator[Hit]:
    for placed in _web_identity(source):
        for spot, issuer in _issuers(placed):
            claims = shared_issuer(issuer)
            if claims is not None and not _narrowed(placed, issuer, claims):
                wanted = "sub" if "sub" in claims else min(claims)
                yield (
                    f"{shown(issuer)} gives tokens to many customers, and each can choose the audience; add a "
                    f"condition on {issuer[:256]}:{wanted} whose values name yours before their first wildcard.",
                    (spot,),
                )


def missing_audience(source: Source) -> Iterator[Hit]:
    for placed in _web_identity(source):
        demanded = {condition.key for condition in placed.conditions if condition.demands_key}
        for spot, issuer in _issuers(placed):
            if not any(f"{issuer}:{claim}".lower() in demanded for claim in _AUDIENCES):
                yield (
                    f"Tokens that {shown(issuer)} made for any client of the provider are taken; add the condition "
                    f"StringEquals on {issuer[:256]}:aud with the audience that is meant for this role.",
                    (spot,),
                )


def subject_crosses_customers(source: Source) -> Iterator[Hit]:
    for spot, value, start in _subject_patterns(source):
        found = _CUSTOMER.match(value)
        if found is None or found.end() > start:
            yield (
                f"The wildcard of {shown(value)} stands inside or before the organisation's name, so others match "
                "too; write the whole name and its separator first, as in repo:octo-org/octo-repo:*.",
                (spot,),
            )


def subject_covers_organisation(source: Source) -> Iterator[Hit]:
    for spot, value, start in _subject_patterns(source):
        found = _CUSTOMER.match(value)
        if found and found.end() <= start and found[0].endswith("/") and not _DEEPER.search(value, found.end(), start):
            yield (
                f"{shown(value)} lets in every repository of the organisation; name the repository, "
                "and the branch or environment if you can.",
                (spot,),
            )


def tags_without_tag_session(source: Source) -> Iterator[Hit]:
    if source.kind is not PolicyKind.TRUST:
        return
    allows = [placed for placed in source.statements if placed.allows]
    if any(grants(placed, "sts:tagsession") for placed in allows):
        return
    for placed in allows:
        for condition in placed.conditions:
            if condition.key.startswith(_TAGS) and condition.demands_key:
                yield (
                    f"{shown(condition.condition.key)} asks for a session tag, but no statement allows "
                    "sts:TagSession, so no call with tags can succeed; add sts:TagSession to the actions.",
                    (condition.spot,),
                )


def _web_identity(source: Source) -> Iterator[PlacedStatement]:
    if source.kind is PolicyKind.TRUST:
        for placed in source.statements:
            if placed.allows and grants(placed, "sts:assumerolewithwebidentity"):
                yield placed


def _issuers(placed: PlacedStatement) -> Iterator[tuple[Spot, str]]:
    """The issuers that a statement trusts: those of OIDC providers, and those that are named without an ARN."""
    for name, spot in placed.principals:
        found = _PROVIDER.fullmatch(spot.text)
        if name == "Federated" and (found or not spot.text.startswith("arn:")):
            yield spot, found[1] if found else spot.text


def _narrowed(placed: PlacedStatement, issuer: str, claims: frozenset[str]) -> bool:
    keys = [f"{issuer}:{claim}".lower() for claim in claims]
    return any(narrows(condition, _open) for key in keys for condition in placed.by_key.get(key, ()))


def _open(operator: str, value: str) -> bool:
    """Whether the value names nobody before its first wildcard."""
    start = first_wildcard(operator, value)
    return start is not None and any(prefix.startswith(value[:start]) for prefix in _SAME_FOR_ALL)


def _subject_patterns(source: Source) -> Iterator[tuple[Spot, str, int]]:
    """Values with wildcards for the subject of a shared issuer, with the first wildcard's place.

    Left out are those beside which another claim says whose token it is.
    """
    for placed in _web_identity(source):
        said: dict[str, bool] = {}
        for condition in placed.conditions:
            issuer, _, claim = condition.key.rpartition(":")
            if claim != "sub" or condition.condition.operator != "StringLike":
                continue
            if issuer not in said:
                said[issuer] = _without_subject(placed, issuer)
            for spot in () if said[issuer] else condition.values:
                start = first_wildcard("StringLike", spot.text)
                if start is not None:
                    yield spot, spot.text, start


def _without_subject(placed: PlacedStatement, issuer: str) -> bool:
    """Whether it is known whose token it is without a look at the subject."""
    claims = shared_issuer(issuer)
    return claims is None or _narrowed(placed, issuer, claims - {"sub"})

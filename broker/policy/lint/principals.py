"""Rules about who is named: everybody, nobody any more, or a stranger's whole account."""

from __future__ import annotations

import re
from collections.abc import Iterator

from broker.policy.document import PolicyKind
from broker.policy.lint.narrowing import narrows_caller
from broker.policy.lint.source import Hit, Source, grants, shown
from broker.policy.principals import make_principals

_UNIQUE_ID = re.compile(r"A(?:ID|RO)A[A-Z0-9]+")
_ORGANISATION = frozenset({"aws:principalorgid", "aws:principalorgpaths"})


def wildcard_principal(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        if not placed.allows or placed.statement.not_principal or any(map(narrows_caller, placed.conditions)):
            continue
        for name, spot in placed.principals:
            if (name, spot.text) == ("AWS", "*"):
                yield (
                    "The principal * is everybody in every account; name principals, or add a condition on "
                    "aws:PrincipalOrgID, aws:PrincipalArn or another key that the caller cannot choose.",
                    (spot,),
                )


def allow_with_not_principal(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        if placed.allows and placed.statement.not_principal:
            yield (
                "Allow with NotPrincipal lets in everybody else there is, anonymous callers included; "
                "name who may with Principal.",
                (placed.element("Principal"),),
            )


def deny_with_not_principal(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        if not placed.allows and placed.statement.not_principal:
            yield (
                "Deny with NotPrincipal spares only those whose account, role and session are all listed; "
                'write Principal "*" with the condition ArnNotEquals on aws:PrincipalArn.',
                (placed.element("Principal"),),
            )


def dangling_principal(source: Source) -> Iterator[Hit]:
    for placed in source.statements:
        for name, spot in placed.principals:
            if name == "AWS" and _UNIQUE_ID.fullmatch(spot.text):
                what = "user" if spot.text.startswith("AIDA") else "role"
                yield (
                    f"{shown(spot.text)} is the id of a {what} that was deleted; one made again under the same name "
                    "has another id: write the ARN, or remove the id.",
                    (spot,),
                )


def missing_external_id(source: Source) -> Iterator[Hit]:
    if source.kind is not PolicyKind.TRUST or source.account is None:
        return
    for placed in source.statements:
        keys = {condition.key for condition in placed.conditions if condition.demands_key}
        if not placed.allows or keys & (_ORGANISATION | {"sts:externalid"}) or not grants(placed, "sts:assumerole"):
            continue
        for name, spot in placed.principals:
            accounts = make_principals({"AWS": (spot.text,)}).accounts if name == "AWS" else frozenset()
            if accounts - {source.account}:
                yield (
                    f"The account {shown(spot.text)} is not yours and may act for others; add the condition "
                    "StringEquals on sts:ExternalId with a value agreed for you alone.",
                    (spot,),
                )

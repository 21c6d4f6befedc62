"""Issuers that everybody can get tokens of, and the claims that tell one customer's tokens from another's.

Whoever trusts such an issuer with a condition on the audience alone trusts all of its customers: the audience is
chosen by whoever asks for the token. AWS refuses such trust policies for some of these issuers; so do we for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from broker.policy.conditions import Condition, Quantifier
from broker.policy.document import Effect, PolicyKind, Statement, parse_policy

NARROWING_CLAIMS: Mapping[str, frozenset[str]] = {
    "token.actions.githubusercontent.com": frozenset(
        {
            "sub",
            "repository",
            "repository_id",
            "repository_owner",
            "repository_owner_id",
            "job_workflow_ref",
            "enterprise",
            "enterprise_id",
        }
    ),
    "gitlab.com": frozenset({"sub", "project_path", "project_id", "namespace_path", "namespace_id"}),
    "app.terraform.io": frozenset(
        {
            "sub",
            "terraform_organization_id",
            "terraform_organization_name",
            "terraform_project_id",
            "terraform_workspace_id",
        }
    ),
    "accounts.google.com": frozenset({"sub", "email", "hd"}),
    "agent.buildkite.com": frozenset({"sub", "organization_slug", "organization_id", "pipeline_id"}),
    "login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0": frozenset({"sub", "oid"}),
}
"""Issuer -> claims of which one must be asked for.

An issuer that names its customer (CircleCI's ``/org/ID``, Microsoft's ``/TENANT``, GitHub's ``/ENTERPRISE``) is not
shared and not listed; Microsoft's above is the tenant of all personal accounts.
"""

_PROVIDER = re.compile(r"arn:[^:]+:iam::[0-9]*:oidc-provider/(.+)")
_POSITIVE = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "NumericEquals"})
_WILDCARD = re.compile(r"[*?]|\$\{")
_VARIABLE = re.compile(r"\$\{")
_SAME_FOR_ALL = ("repo:", "project_path:", "organization:")
"""What every subject of GitHub, GitLab, Terraform and Buildkite begins with."""


def careless_trust(trust_policy: str) -> str | None:
    """What is wrong with a trust policy that lets in every customer of a shared issuer; None if nothing is."""
    for statement in parse_policy(trust_policy, PolicyKind.TRUST).statements:
        if statement.effect is not Effect.ALLOW or statement.principals is None:
            continue
        for provider in sorted(statement.principals.providers):
            problem = _problem(statement, provider)
            if problem:
                return problem
    return None


def _problem(statement: Statement, provider: str) -> str | None:
    found = _PROVIDER.fullmatch(provider)
    issuer = found[1] if found else provider
    claims = NARROWING_CLAIMS.get(issuer.rstrip("/").lower())
    if claims is None:
        return None
    keys = {f"{issuer}:{claim}".lower() for claim in claims}
    if any(_narrows(condition, keys) for condition in statement.conditions):
        return None
    wanted = " or ".join(sorted(f"{issuer}:{claim}" for claim in claims))
    return (
        f"statement {statement.index + 1} trusts every customer of {issuer}: it needs a condition on {wanted}, "
        "with values that name somebody before their first wildcard"
    )


def _narrows(condition: Condition, keys: set[str]) -> bool:
    """Whether it must hold, for a key that is there, with values none of which everybody can have."""
    return (
        condition.key.lower() in keys
        and condition.operator in _POSITIVE
        and not condition.if_exists
        and condition.quantifier is not Quantifier.ALL
        and bool(condition.values)
        and not any(_open(condition, value) for value in condition.values)
    )


def _open(condition: Condition, value: str) -> bool:
    """Whether the value names nobody before its first wildcard; equality takes ``*`` literally, but no variable."""
    wild = (_WILDCARD if condition.operator == "StringLike" else _VARIABLE).search(value)
    return wild is not None and any(prefix.startswith(value[: wild.start()]) for prefix in _SAME_FOR_ALL)

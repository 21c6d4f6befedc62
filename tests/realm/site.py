"""The objects that the live tests use, as an administrator would write them into ``accredit.toml``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from realm.server import ACCOUNT
from realm.token_issuer import AUDIENCE

OTHER_ACCOUNT = "210987654321"
SUBJECT = "job:example/app:main"
EXTERNAL_ID = "ticket-4711"
SESSION_TAG_ACTIONS = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
WEB_ACTIONS = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]


def role_arn(name: str, account: str = ACCOUNT, path: str = "/") -> str:
    return f"arn:aws:iam::{account}:role{path}{name}"


def user_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


def allow(action: object, resource: object = "*", **more: object) -> dict[str, Any]:
    """A statement of an identity policy."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal: Mapping[str, object], action: object = "sts:AssumeRole", **condition: Any) -> dict[str, Any]:
    """A statement of a trust policy; ``condition`` is operator -> key -> values."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": action}
    return statement | ({"Condition": condition} if condition else {})


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def role(
    name: str,
    *trusted: Mapping[str, Any],
    may: Iterable[Mapping[str, Any]] = (),
    account: str = ACCOUNT,
    tags: Mapping[str, str] | None = None,
    **fields: object,
) -> str:
    """``[[role]]``"""
    lines = ["[[role]]", f'name = "{name}"', f'account = "{account}"', f"trust_policy = '{policy(*trusted)}'"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    if tags:
        lines.append("tags = { " + ", ".join(f'"{key}" = "{value}"' for key, value in tags.items()) + " }")
    return "\n".join(lines) + _inline("role", may)


def user(name: str, *, may: Iterable[Mapping[str, Any]] = (), secret_file: str = "") -> str:
    """``[[user]]``"""
    text = f'[[user]]\nname = "{name}"' + _inline("user", may)
    return text + (f'[[user.access_key]]\nsecret_file = "{secret_file}"\n' if secret_file else "")


def _inline(kind: str, may: Iterable[Mapping[str, Any]]) -> str:
    statements = list(may)
    if not statements:
        return "\n"
    return f"\n[[{kind}.inline_policy]]\nname = \"own\"\ndocument = '{policy(*statements)}'\n"


def identity_provider(issuer: str, *client_ids: str) -> str:
    """``[[identity_provider]]``"""
    return f'[[identity_provider]]\nissuer = "{issuer}"\nclient_ids = {json.dumps(client_ids or [AUDIENCE])}\n'


def federated(issuer: str, **condition: Any) -> dict[str, Any]:
    """Trust in everybody whom ``issuer`` vouches for, or those of the condition."""
    host = issuer.partition("://")[2]
    return trust({"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"}, WEB_ACTIONS, **condition)


def standard_site(issuer: str) -> str:
    """Who may do what at the broker that most tests share."""
    host = issuer.partition("://")[2]
    account = {"AWS": ACCOUNT}
    return "\n".join(
        (
            f'[[account]]\nid = "{OTHER_ACCOUNT}"\n',
            identity_provider(issuer, AUDIENCE, "second-audience"),
            f"[[policy]]\nname = \"assume-nothing\"\ndocument = '{policy(allow('sts:GetAccessKeyInfo'))}'\n",
            f"[[policy]]\nname = \"assume-all\"\ndocument = '{policy(allow('sts:*'))}'\n",
            f'[[policy]]\nname = "foreign"\naccount = "{OTHER_ACCOUNT}"\ndocument = \'{policy(allow("sts:*"))}\'\n',
            user("ci", may=[allow("sts:*")], secret_file="ci.secret"),
            user("nobody", secret_file="nobody.secret"),
            user("tagless", may=[allow("sts:AssumeRole")], secret_file="tagless.secret"),
            # reached with a token
            role("web", federated(issuer), may=[allow("sts:*")], max_session_duration=7_200),
            role("web-main", federated(issuer, StringEquals={f"{host}:sub": SUBJECT, f"{host}:aud": AUDIENCE})),
            role(
                "web-plain",
                trust({"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"}, "sts:AssumeRoleWithWebIdentity"),
            ),
            role(
                "web-claims",
                federated(issuer, **{"ForAnyValue:StringEquals": {f"{host}:realm_access.roles": "deployer"}}),
            ),
            # reached with credentials
            role("auditor", trust(account, SESSION_TAG_ACTIONS), may=[allow("sts:*")], max_session_duration=43_200),
            role("second", trust(account, SESSION_TAG_ACTIONS), may=[allow("sts:*")]),
            role("third", trust(account, SESSION_TAG_ACTIONS)),
            role("plain", trust(account)),
            role("named", trust({"AWS": user_arn("nobody")}, SESSION_TAG_ACTIONS)),
            role("guarded", trust(account, StringEquals={"sts:ExternalId": EXTERNAL_ID})),
            role("closed", trust({"AWS": "arn:aws:iam::444455556666:role/nowhere"})),
            role("in-team", trust(account), path="/team/"),
            role(
                "tagged",
                trust(account, SESSION_TAG_ACTIONS),
                may=[allow("sts:*", Condition={"StringEquals": {"aws:PrincipalTag/Team": "blue"}})],
                tags={"Team": "red", "Kept": "yes"},
            ),
            role("only-blue", trust(account, SESSION_TAG_ACTIONS, StringEquals={"aws:PrincipalTag/Team": "blue"})),
            role("only-alice", trust(account, SESSION_TAG_ACTIONS, StringEquals={"aws:SourceIdentity": "alice"})),
            role("elsewhere", trust(account, SESSION_TAG_ACTIONS), account=OTHER_ACCOUNT),
        )
    )

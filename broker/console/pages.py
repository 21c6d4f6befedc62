"""The pages: lists, objects, and one address that does what a form asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, request

from broker.aws.errors import wire_error
from broker.console.kinds import KINDS, POLICY, Kind
from broker.console.objects import details
from broker.console.operations import command, listed, perform, users_alone
from broker.errors import BrokerError, NotFound
from broker.web.site import Site, own_path
from providers.errors import ProviderError

PATH = "/console"
_PAGE = 50
_FORM = ("csrf_token", "operation", "next", "title")
_LONGEST = 200_000


def console_pages(site: Site) -> Blueprint:
    pages = site.pages("console", PATH)

    pages.before_request(partial(users_alone, site))

    @pages.get("")
    def console() -> Response:
        return site.redirect(f"{PATH}/users")

    @pages.get("/<key>")
    def objects(key: str) -> Response:
        return _list_page(site, _kind(key))

    @pages.get("/<key>/new")
    def new(key: str) -> Response:
        kind = _kind(key)
        account = site.signed_in().person.account
        values = {field.name: field.value.replace("ACCOUNT", account) for field in kind.fields}
        return site.render("console/new.html", section=PATH, kind=kind, kinds=KINDS, values=values)

    @pages.get("/<key>/object")
    def one(key: str) -> Response:
        kind, name = _kind(key), request.args.get("name", "")[:2_048]
        return _object_page(site, kind, name)

    @pages.get("/<key>/document")
    def document(key: str) -> Response:
        """The editor of a policy: a trust policy, an inline policy, a managed policy's next version."""
        kind, name = _kind(key), request.args.get("name", "")[:2_048]
        policy = request.args.get("policy", "")[:128]
        return _editor_page(site, kind, name, policy)

    @pages.post("/do")
    def do() -> Response:
        """What a form asks for; if that is refused, the form again with all that was typed."""
        operation, next_path = request.form.get("operation", ""), own_path(request.form.get("next"))
        given = {
            name: value[:_LONGEST].replace("\r\n", "\n") for name, value in request.form.items() if name not in _FORM
        }
        try:
            perform(site, operation, given)
        except (BrokerError, ProviderError) as error:
            return _again(site, operation, given, next_path, error)
        return site.redirect(_with(next_path, "done", operation))

    return pages


def _kind(key: str) -> Kind:
    """Raises NotFound."""
    if key not in KINDS:
        raise NotFound("There is no such page.")
    return KINDS[key]


def _list_page(site: Site, kind: Kind) -> Response:
    query, start = request.args.get("q", "")[:200], _number(request.args.get("from", ""))
    found = listed(site, kind.list_operation, kind.items, kind.list_parameters)
    words = query.lower().split()
    matching = [one for one in found if all(word in _text(kind, one).lower() for word in words)]
    return site.render(
        "console/list.html",
        section=PATH,
        kind=kind,
        kinds=KINDS,
        rows=[_row(kind, one) for one in matching[start : start + _PAGE]],
        query=query,
        start=start,
        page=_PAGE,
        found=len(matching),
        command=command(kind.list_operation, kind.list_parameters or {}),
        done=request.args.get("done", "")[:64],
    )


def _object_page(site: Site, kind: Kind, name: str) -> Response:
    return site.render(
        "console/object.html",
        section=PATH,
        kind=kind,
        kinds=KINDS,
        name=name,
        short=_short(name),
        here=f"{PATH}/{kind.key}/object?name={quote(name, safe='')}",
        parts=details(site, kind, name),
        done=request.args.get("done", "")[:64],
    )


def _editor_page(site: Site, kind: Kind, name: str, policy: str) -> Response:
    editors: Mapping[str, Callable[[Site, str, str], tuple[str, dict[str, str], str]]] = {
        "users": _inline("User"),
        "groups": _inline("Group"),
        "roles": _role_editor,
        "policies": _version_editor,
    }
    if kind.key not in editors:
        raise NotFound("There is nothing to edit here.")
    operation, fixed, text = editors[kind.key](site, name, policy)
    return site.render(
        "console/editor.html",
        section=PATH,
        kind=kind,
        kinds=KINDS,
        name=name,
        short=_short(name),
        policy=policy,
        operation=operation,
        fixed=fixed,
        text=text,
        here=f"{PATH}/{kind.key}/object?name={quote(name, safe='')}",
    )


def _inline(owner: str) -> Callable[[Site, str, str], tuple[str, dict[str, str], str]]:
    """Of an inline policy, one that is there or a new one."""

    def editor(site: Site, name: str, policy: str) -> tuple[str, dict[str, str], str]:
        fixed = {f"{owner}Name": name}
        if not policy:
            return f"Put{owner}Policy", fixed, POLICY
        fixed["PolicyName"] = policy
        return f"Put{owner}Policy", fixed, perform(site, f"Get{owner}Policy", fixed).policy_document

    return editor


def _role_editor(site: Site, name: str, policy: str) -> tuple[str, dict[str, str], str]:
    if policy != "trust policy":
        return _inline("Role")(site, name, policy)
    role = perform(site, "GetRole", {"RoleName": name}).role
    return "UpdateAssumeRolePolicy", {"RoleName": name}, role.assume_role_policy_document


def _version_editor(site: Site, name: str, policy: str) -> tuple[str, dict[str, str], str]:
    found = perform(site, "GetPolicy", {"PolicyArn": name}).policy
    version = perform(site, "GetPolicyVersion", {"PolicyArn": name, "VersionId": found.default_version_id})
    return "CreatePolicyVersion", {"PolicyArn": name, "SetAsDefault": "true"}, version.policy_version.document


def _again(
    site: Site, operation: str, given: Mapping[str, str], next_path: str, error: BrokerError | ProviderError
) -> Response:
    return site.render(
        "console/again.html",
        status=wire_error(error).status,
        section=PATH,
        kinds=KINDS,
        operation=operation[:64],
        given=given,
        next=next_path,
        error=error.message,
        command=command(operation[:64], given),
    )


def _row(kind: Kind, item: Any) -> dict[str, Any]:
    name = getattr(item, kind.name)
    return {"name": name, "short": _short(name), "facts": [(fact, getattr(item, fact, None)) for fact in kind.facts]}


def _text(kind: Kind, item: Any) -> str:
    return " ".join(str(getattr(item, field, "") or "") for field in (kind.name, *kind.facts))


def _short(name: str) -> str:
    """What follows the kind in an ARN."""
    return name.partition("/")[2] if name.startswith("arn:") else name


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


def _with(path: str, name: str, value: str) -> str:
    """``path`` with one more parameter."""
    return f"{path}{'&' if urlsplit(path).query else '?'}{name}={quote(value, safe='')}"

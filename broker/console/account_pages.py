"""What is an account's and has no list of its own: password policy, sessions of people, audit record, simulators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from broker.audit.event import render
from broker.audit.query import find_events_in
from broker.authorization import authorize
from broker.aws.errors import wire_error
from broker.console.kinds import KINDS
from broker.console.operations import command, perform, users_alone
from broker.errors import BrokerError, NotFound
from broker.services import Caller
from broker.store.audit_events import append_records
from broker.web.calls import change, look, new_record
from broker.web.site import Site
from providers.errors import ProviderError

_IAM, _TRAIL = "iam.amazonaws.com", "cloudtrail.amazonaws.com"
_FLAGS = {
    "RequireUppercaseCharacters": "Capital letters",
    "RequireLowercaseCharacters": "Small letters",
    "RequireNumbers": "Digits",
    "RequireSymbols": "Symbols",
    "AllowUsersToChangePassword": "Users may change their own password",
    "HardExpiry": "An expired password can be renewed by an administrator alone",
}
_NUMBERS = {
    "MinimumPasswordLength": ("Shortest length", "6 to 128."),
    "MaxPasswordAge": ("Good for so many days", "1 to 1095; empty: for ever."),
    "PasswordReusePrevention": ("Not one of the last so many", "1 to 24; empty: any."),
}
_SHOWN = 100


def account_pages(site: Site) -> Blueprint:
    pages = site.pages("account", "/console")
    pages.before_request(partial(users_alone, site))

    @pages.get("/password-policy")
    def password_policy() -> Response:
        try:
            policy = perform(site, "GetAccountPasswordPolicy", {}).password_policy
        except NotFound:
            policy = None
        return _password_page(site, policy, request.args.get("done", "")[:64])

    @pages.post("/password-policy")
    def set_password_policy() -> Response:
        given = {name: "true" if request.form.get(name) else "false" for name in _FLAGS}
        given |= {name: request.form.get(name, "").strip()[:8] for name in _NUMBERS}
        try:
            perform(site, "UpdateAccountPasswordPolicy", given)
        except BrokerError as error:
            return _password_page(site, None, error=error)
        return site.redirect("/console/password-policy?done=UpdateAccountPasswordPolicy")

    @pages.get("/sessions")
    def sessions() -> Response:
        record = new_record(site.visit(), _IAM, "ListBrowserSessions")

        def work(caller: Caller) -> list[Any]:
            authorize(site.services, caller, "iam:ListBrowserSessions", "*")
            found = site.sessions.of_account(caller.authenticated().principal.account, site.visit().now)
            return [(one, site.name_of(one)) for one in found]

        return site.render(
            "console/sessions.html",
            section="/console",
            kinds=KINDS,
            room="/console/sessions",
            sessions=look(site, record, work),
        )

    @pages.post("/sessions/end")
    def end_session() -> Response:
        record = new_record(site.visit(), _IAM, "DeleteBrowserSession")
        handle = request.form.get("handle", "")[:64]
        record.parameters = {"session": handle}

        def work(caller: Caller) -> None:
            authorize(site.services, caller, "iam:DeleteBrowserSession", "*")
            found = site.sessions.by_handle(handle, site.visit().now)
            if found is None or found.person.account != caller.authenticated().principal.account:
                raise NotFound("There is no such session.")
            with site.services.database.write() as connection:
                site.sessions.end(connection, found)
                append_records(connection, [render(record)])
            record.written = True

        change(site, record, work)
        return site.redirect("/console/sessions")

    @pages.get("/audit")
    def audit() -> Response:
        record = new_record(site.visit(), _TRAIL, "LookupEvents")
        query = request.args.get("q", "").strip()[:128]

        def work(caller: Caller) -> list[dict[str, Any]]:
            authorize(site.services, caller, "cloudtrail:LookupEvents", "*")
            site.services.audit.flush()
            account = caller.authenticated().principal.account
            with site.services.database.read() as connection:
                return find_events_in(connection, account, query, _SHOWN)

        return site.render(
            "console/audit.html",
            section="/console",
            kinds=KINDS,
            room="/console/audit",
            events=look(site, record, work),
            query=query,
        )

    @pages.route("/simulator", methods=["GET", "POST"])
    def simulator() -> Response:
        """What the policies of a user or role decide (SimulatePrincipalPolicy)."""
        given = {"PolicySourceArn": _typed("principal")}
        given |= {f"ActionNames.member.{n}": one for n, one in enumerate(_typed("actions").split(), 1)}
        given |= {f"ResourceArns.member.{n}": one for n, one in enumerate(_typed("resources").split(), 1)}
        return _tool_page(site, "console/simulator.html", "/console/simulator", "SimulatePrincipalPolicy", given)

    @pages.route("/trust", methods=["GET", "POST"])
    def trust() -> Response:
        """Whether a role lets somebody in: a principal, or the holder of a pasted response or token."""
        kind = _typed("kind")
        given = {"RoleArn": _typed("role"), **({kind: _typed("evidence")} if kind in _EVIDENCE else {})}
        if kind == "SAMLAssertion":
            given["ProviderArn"] = _typed("provider")
        return _tool_page(site, "console/trust.html", "/console/trust", "SimulateTrustPolicy", given)

    return pages


_EVIDENCE = {"PrincipalArn", "WebIdentityToken", "SAMLAssertion"}


def _typed(name: str) -> str:
    return request.form.get(name, "").strip()[:100_000]


def _tool_page(site: Site, template: str, room: str, operation: str, given: Mapping[str, str]) -> Response:
    """A form and, once it was sent, what the operation answers."""
    result, error = None, None
    if request.method == "POST":
        try:
            result = perform(site, operation, given)
        except (BrokerError, ProviderError) as found:
            error = found
    return site.render(
        template,
        status=200 if error is None else wire_error(error).status,
        section="/console",
        kinds=KINDS,
        room=room,
        form=request.form,
        result=result,
        error=error.message if error else "",
        command=command(operation, given) if result and "Assertion" not in str(given.keys()) else "",
    )


def _password_page(site: Site, policy: Any, done: str = "", error: BrokerError | None = None) -> Response:
    values = {name: getattr(policy, _snake(name), None) for name in (*_FLAGS, *_NUMBERS)} if policy else {}
    if error is not None:
        values = dict(request.form)
    return site.render(
        "console/password_policy.html",
        status=200 if error is None else wire_error(error).status,
        section="/console",
        kinds=KINDS,
        room="/console/password-policy",
        flags=_FLAGS,
        numbers=_NUMBERS,
        values=values,
        done=done,
        error=error.message if error else "",
    )


def _snake(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")

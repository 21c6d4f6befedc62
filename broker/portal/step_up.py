"""A second factor for what needs one: a role whose trust policy asks for it, a change of what signs people in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from flask import Blueprint, Response, abort, request
from msgspec import structs

from broker.audit.event import render
from broker.aws.errors import wire_error
from broker.callers import user_principal
from broker.domain.role import User
from broker.errors import AccessDenied, BrokerError
from broker.iam.passkeys import authentication_options
from broker.portal.half_way import has_second_factor, second_factors
from broker.portal.password_pages import prove_code, prove_with_passkey
from broker.store.audit_events import append_records
from broker.web import cookies
from broker.web.calls import record_refusal, sign_in_record
from broker.web.sessions import BrowserSession
from broker.web.site import Site, own_path

PATH = "/portal/step-up"
_EVENT = "CheckMfa"


def step_up_pages(site: Site) -> Blueprint:
    pages = site.pages("step_up")

    @pages.get(PATH)
    def ask() -> Response:
        session = site.signed_in()
        return _page(site, session, own_path(request.args.get("next")))

    @pages.post(PATH)
    def give_code() -> Response:
        session = site.signed_in()
        return _try(site, session, lambda user: prove_code(site, user))

    @pages.post(f"{PATH}/passkey/options")
    def options() -> Response:
        user = own_user(site, site.signed_in())
        return site.json(authentication_options(site.services, user, site.browser_token(), site.visit().now))

    @pages.post(f"{PATH}/passkey")
    def give_passkey() -> Response:
        return _try(site, site.signed_in(), lambda user: prove_with_passkey(site, user))

    return pages


def own_user(site: Site, session: BrowserSession) -> User:
    """The user of ours who is signed in. Raises AccessDenied for somebody external."""
    view = site.services.catalog.user(session.person.user_id or "")
    if view is None:
        raise AccessDenied("This page is for users of this account.")
    return view.user


def demand_fresh(site: Site, session: BrowserSession) -> User:
    """Who is signed in, with a second factor given lately if there is one; else the browser is sent to give it."""
    user = own_user(site, session)
    lately = timedelta(minutes=site.services.settings.web.step_up_minutes)
    given = session.person.mfa_at
    if (given is None or site.visit().now - given > lately) and has_second_factor(site, user):
        here = request.path if request.method == "GET" else "/portal/security"
        abort(site.redirect(f"{PATH}?next={quote(here, safe='')}"))
    return user


def _try(site: Site, session: BrowserSession, prove: Callable[[User], str]) -> Response:
    user, visit, next_path = own_user(site, session), site.visit(), own_path(request.form.get("next"))
    record = sign_in_record(visit, _EVENT)
    record.identify(user_principal(user))
    try:
        method = prove(user)
    except BrokerError as error:
        record_refusal(site.services, record, error)
        return _page(site, session, next_path, error)
    record.response = {_EVENT: "Success"}
    amr = tuple(dict.fromkeys((*session.person.amr, method, "mfa")))
    person = structs.replace(session.person, amr=amr, mfa_at=visit.now)
    with site.services.database.write() as connection:
        cookie = site.sessions.step_up(connection, session, person, visit.now)
        append_records(connection, [render(record)])
    response = site.redirect(next_path)
    cookies.set_cookie(response, cookies.SESSION, cookie)
    return response


def _page(site: Site, session: BrowserSession, next_path: str, error: BrokerError | None = None) -> Response:
    user = own_user(site, session)
    devices, passkeys = second_factors(site, user)
    if not devices and not passkeys:
        return site.redirect("/portal/security")  # where one is added
    return site.render(
        "portal/second_factor.html",
        status=200 if error is None else wire_error(error).status,
        action=PATH,
        passkey_path=f"{PATH}/passkey",
        devices=devices,
        passkeys=passkeys,
        next=next_path,
        error=error.message if error else "",
    )

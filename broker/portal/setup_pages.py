"""The set-up link's page: the account's first administrator, with a second factor from the start."""

from __future__ import annotations

import io

import segno
from flask import Blueprint, Response, request
from markupsafe import Markup

from broker.audit.event import CallRecord
from broker.aws.errors import wire_error
from broker.domain.secret import Secret
from broker.errors import AccessDenied, BrokerError
from broker.iam.first_administrator import PATH, SetUp, create_first_administrator, find_setup
from broker.mfa import provisioning_uri
from broker.portal.password_pages import repeated_password
from broker.services import Caller
from broker.web.calls import new_record, record_refusal
from broker.web.sessions import Person
from broker.web.sign_in import start_user_session
from broker.web.site import Site


def setup_pages(site: Site) -> Blueprint:
    pages = site.pages("setup", PATH)

    @pages.get("/<link>")
    def setup(link: str) -> Response:
        return _page(site, find_setup(site.services, link, site.visit().now))

    @pages.post("/<link>")
    def make(link: str) -> Response:
        visit = site.visit()
        record = new_record(visit, "accredit", "CreateFirstAdministrator")
        record.read_only = False
        try:
            return _make(site, link, record)
        except BrokerError as error:
            record_refusal(site.services, record, error)
            if isinstance(error, AccessDenied):
                raise
            return _page(site, find_setup(site.services, link, visit.now), error)

    return pages


def qr_code(uri: str) -> Markup:
    """The picture that authenticator applications read: SVG without any style of its own."""
    svg = io.BytesIO()
    code = segno.make(uri, micro=False, error="m")
    code.save(svg, kind="svg", xmldecl=False, svgns=True, scale=5, border=3, light="#fff", svgclass="qr", omitsize=True)
    return Markup(svg.getvalue().decode("utf-8"))  # noqa: S704  # made by segno of numbers alone


def spaced(seed: str) -> str:
    """A seed as people type it."""
    return " ".join(seed[start : start + 4] for start in range(0, len(seed), 4))


def _make(site: Site, link: str, record: CallRecord) -> Response:
    visit = site.visit()
    user = create_first_administrator(
        site.services,
        Caller(visit.now, record, visit.secure),
        link=link,
        user_name=request.form.get("user_name", "").strip(),
        password=repeated_password("password"),
        authentication_code1=Secret(request.form.get("code1", "").strip()[:16]),
        authentication_code2=Secret(request.form.get("code2", "").strip()[:16]),
    )
    person = Person(user.account, ("pwd", "otp", "mfa"), visit.now, user.user_id, mfa_at=visit.now)
    return start_user_session(site, user, person)


def _page(site: Site, setup: SetUp, error: BrokerError | None = None) -> Response:
    return site.render(
        "portal/setup.html",
        status=200 if error is None else wire_error(error).status,
        account=setup.account,
        seed=spaced(setup.seed),
        qr=qr_code(provisioning_uri(setup.seed, "administrator", setup.account)),
        user_name=request.form.get("user_name", "admin")[:64],
        error=error.message if error else "",
    )

"""What the rooms with pages are given: the services, who is visiting, and how an answer is made."""

from __future__ import annotations

import base64
import logging
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from flask import Blueprint, Response, abort, g, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from broker import __version__
from broker.aws.errors import wire_error
from broker.callers import user_principal
from broker.domain.arn import user_arn
from broker.errors import AccessDenied, BrokerError
from broker.policy.evaluate import AccessRequest, PolicySet, evaluate
from broker.proxies import TrustedProxies
from broker.services import Services
from broker.sts.external import session_name
from broker.web import cookies
from broker.web.forms import FIELD, FormGuard
from broker.web.headers import protect
from broker.web.sessions import BrowserSession, BrowserSessions, Origin
from broker.web.shown import FILTERS
from broker.web.static_files import load_static_files
from providers.errors import ProviderError

HOME = "/portal"
SIGN_IN = "/sign-in"
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")
"""A path of ours: one slash, no backslash, no control characters, nothing that a browser could take for a host."""
_WITHOUT_MFA = ("/portal/step-up", "/portal/security")
"""Where a second factor is given, and where one is added."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_KEEP_SECONDS = 31_536_000

_log = logging.getLogger(__name__)


class Visit(msgspec.Struct):
    """One request of a browser. ``cookie`` is the value that its forms are bound to."""

    now: datetime
    origin: Origin
    secure: bool
    session: BrowserSession | None
    cookie: str | None
    fresh: bool = False
    """``cookie`` is a visitor's that the answer has to set."""


class Site:
    """Pages' common ground. One for the process."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.sessions = BrowserSessions(services)
        self._forms = FormGuard(services.settings, services.master_key)
        self._proxies = TrustedProxies(services.settings.server.trusted_proxies)
        self._files = load_static_files()
        self._prefix = urlsplit(services.settings.base_url()).path.rstrip("/")

    def visit(self) -> Visit:
        """Who is visiting, found once a request. Raises Unavailable."""
        if "visit" not in g:
            now = datetime.now(UTC)
            address, secure = self._proxies.client(request.environ)
            origin = Origin(address, request.headers.get("User-Agent", ""))
            cookie = cookies.read_cookie(request, cookies.SESSION)
            session = None if cookie is None else self.sessions.find(cookie, now)
            if session is None:
                cookie = cookies.read_cookie(request, cookies.VISITOR)
            g.visit = Visit(now, origin, secure, session, cookie)
        found: Visit = g.visit
        return found

    def signed_in(self) -> BrowserSession:
        """The session of a page that needs one; else the browser is sent to sign in, and back here afterwards."""
        session = self.visit().session
        if session is None:
            wanted = request.full_path.rstrip("?") if request.method in _SAFE_METHODS else HOME
            abort(self.redirect(f"{SIGN_IN}?next={quote(wanted, safe='')}"))
        if self._lacks_mfa(session) and not request.path.startswith(_WITHOUT_MFA):
            abort(self.redirect(_WITHOUT_MFA[0]))
        return session

    def _lacks_mfa(self, session: BrowserSession) -> bool:
        """Whether the account asks its users for a second factor that this one has not given."""
        person = session.person
        required = person.account in self.services.settings.web.require_mfa
        return required and person.user_id is not None and person.mfa_at is None

    def render(self, template: str, *, status: int = 200, form_action: Iterable[str] = (), **values: Any) -> Response:
        """A page. Templates have ``session``, ``href``, ``static`` and ``csrf()`` besides ``values``."""
        visit = self.visit()
        if visit.cookie is None:
            visit.cookie, visit.fresh = new_value(), True
        body = render_template(
            template,
            session=visit.session,
            now=visit.now,
            href=self.href,
            static=self.static,
            csrf=partial(_hidden, FIELD, self._forms.token(visit.cookie)),
            who=self.name_of(visit.session),
            administers=self._administers(visit),
            version=__version__,
            **values,
        )
        response = Response(body, status, content_type="text/html; charset=utf-8")
        if visit.fresh:
            cookies.set_cookie(response, cookies.VISITOR, visit.cookie)
        return protect(response, secure=visit.secure, form_action=form_action)

    def name_of(self, session: BrowserSession | None) -> str:
        """What the person is called at the top of a page."""
        if session is None:
            return ""
        if session.person.external is not None:
            return session_name(session.person.external.identity)
        view = self.services.catalog.user(session.person.user_id or "")
        return "" if view is None else view.user.name

    def _administers(self, visit: Visit) -> bool:
        """Whether the bar at the top leads to administration; what can be done there is asked each time."""
        view = self.services.catalog.user(visit.session.person.user_id or "") if visit.session else None
        if view is None:
            return False
        user = view.user
        access = AccessRequest(user_principal(user), "iam:ListUsers", user_arn(user.account, "/", ""), user.account, {})
        return evaluate(access, PolicySet(identity=view.identity, boundary=view.boundary)).allowed

    def redirect(self, path: str) -> Response:
        """To a page of ours, with GET (303). Without a host: the browser stays at the address that it knows us by."""
        response = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": self.href(path)})
        return protect(response, secure=self.visit().secure)

    def json(self, content: object) -> Response:
        """An answer for a script of ours."""
        response = Response(msgspec.json.encode(content), content_type="application/json")
        return protect(response, secure=self.visit().secure)

    def browser_token(self) -> str:
        """What only this browser's forms have. Raises AccessDenied for a browser without a cookie of ours."""
        cookie = self.visit().cookie
        if cookie is None:
            raise AccessDenied("Your browser sent no cookie.")
        return self._forms.token(cookie)

    def leave(self, address: str) -> Response:
        """To an identity provider, whose address comes from its registration."""
        response = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})
        return protect(response, secure=self.visit().secure)

    def refuse(self, error: BrokerError | ProviderError) -> Response:
        """A page that says why not."""
        return self.problem(wire_error(error).status, error.message)

    def problem(self, status: int, message: str) -> Response:
        try:
            title = HTTPStatus(status).phrase
        except ValueError:
            title = "Error"
        return self.render("problem.html", status=status, title=title, message=message)

    def href(self, path: str) -> str:
        """``path`` below the base URL's own path."""
        return self._prefix + path

    def static(self, name: str) -> str:
        """The address of a static file."""
        return self.href(f"/static/{self._files[name].version}/{name}")

    def check_form(self) -> None:
        """Raises AccessDenied unless a form is ours, for anything that is no mere reading."""
        if request.method not in _SAFE_METHODS:
            self._forms.check(request, self.visit().cookie)

    def pages(self, name: str, url_prefix: str = "") -> Blueprint:
        """A blueprint of pages: its forms are checked, its refusals are pages. Templates are below ``templates/``."""
        pages = Blueprint(name, f"broker.{name}", url_prefix=url_prefix or None, template_folder="templates")
        pages.before_request(self.check_form)
        pages.register_error_handler(BrokerError, self.refuse)
        pages.register_error_handler(ProviderError, self.refuse)
        pages.register_error_handler(HTTPException, self.http_error)
        pages.register_error_handler(Exception, self._failure)
        return pages

    def http_error(self, error: HTTPException) -> WerkzeugResponse:
        """A page for a person; a program keeps Flask's own answer."""
        if error.response is not None or not request.accept_mimetypes.accept_html:
            return error.get_response()  # also what ``abort`` was given
        return self.problem(error.code or 500, error.description or "")

    def _failure(self, error: Exception) -> Response:
        _log.error("unexpected error on a page", exc_info=error, extra={"path": request.path})
        return self.problem(500, "Something went wrong here. It has been logged.")

    def static_pages(self) -> Blueprint:
        """The static files, and the shared templates with their filters."""
        pages = Blueprint("web", "broker.web", template_folder="templates")
        for name, show in FILTERS.items():
            pages.add_app_template_filter(show, name)

        @pages.get("/static/<version>/<name>")
        def static_file(version: str, name: str) -> Response:
            file = self._files.get(name)
            if file is None or version != file.version:
                abort(404)
            response = Response(file.content, content_type=file.content_type)
            response.headers["Cache-Control"] = f"public, max-age={_KEEP_SECONDS}, immutable"
            return protect(response, secure=self.visit_is_secure())

        return pages

    def visit_is_secure(self) -> bool:
        """Whether the request came over TLS, without looking for a session."""
        return self._proxies.client(request.environ)[1]


def _hidden(name: str, value: str) -> Markup:
    """A form's hidden field."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(name, value)


def own_path(text: str | None) -> str:
    """``text`` if it is a path of ours, else the portal: whoever made a link does not choose where it leads."""
    return text if text and _OWN_PATH.fullmatch(text) else HOME


def new_value() -> str:
    """256 random bits, as cookies have them."""
    return base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode("ascii")

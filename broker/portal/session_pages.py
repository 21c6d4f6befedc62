"""A person's sessions, each of which can be ended, and what the person did lately."""

from __future__ import annotations

from flask import Blueprint, Response, request

from broker.audit.event import render
from broker.audit.query import find_events_of
from broker.errors import NotFound
from broker.store.audit_events import append_records
from broker.web import cookies
from broker.web.calls import caller_of, sign_in_record
from broker.web.sessions import BrowserSession
from broker.web.site import SIGN_IN, Site

_SHOWN = 50


def session_pages(site: Site) -> Blueprint:
    pages = site.pages("sessions", "/portal")

    @pages.get("/sessions")
    def sessions() -> Response:
        session = site.signed_in()
        mine = site.sessions.of_person(session.person, site.visit().now)
        return site.render("portal/sessions.html", section="/portal/sessions", sessions=mine, current=session.handle)

    @pages.post("/sessions/end")
    def end() -> Response:
        """End one of the person's own sessions, or all others."""
        session, handle = site.signed_in(), request.form.get("handle", "")
        mine = site.sessions.of_person(session.person, site.visit().now)
        chosen = [one for one in mine if one.handle != session.handle and handle in ("others", one.handle)]
        if handle == session.handle:
            chosen = [session]
        if not chosen and handle != "others":
            raise NotFound("There is no such session of yours.")
        _end(site, session, chosen)
        if handle != session.handle:
            return site.redirect("/portal/sessions")
        response = site.redirect(SIGN_IN)
        cookies.drop_cookie(response, cookies.SESSION)
        return response

    @pages.get("/activity")
    def activity() -> Response:
        session = site.signed_in()
        record = sign_in_record(site.visit(), "Activity")
        caller_of(site.services, site.visit(), session, record)
        site.services.audit.flush()
        principal = record.principal
        with site.services.database.read() as connection:
            events = find_events_of(connection, principal.unique_id, _SHOWN) if principal else []
        return site.render("portal/activity.html", section="/portal/activity", events=events)

    return pages


def _end(site: Site, session: BrowserSession, chosen: list[BrowserSession]) -> None:
    record = sign_in_record(site.visit(), "RevokeSessions")
    caller_of(site.services, site.visit(), session, record)
    record.parameters = {"sessions": [one.handle for one in chosen]}
    with site.services.database.write() as connection:
        for one in chosen:
            site.sessions.end(connection, one)
        append_records(connection, [render(record)])

"""A sign-in that needs more than the password: a second factor, another password. What was proved waits in a ticket."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from flask import Response, request

from broker.domain.role import User
from broker.errors import AccessDenied
from broker.store.mfa_devices import MfaDevice, list_enabled_mfa_devices
from broker.store.passkeys import Passkey, list_passkeys
from broker.tickets import Tickets
from broker.web import cookies
from broker.web.sessions import Person
from broker.web.sign_in import start_user_session
from broker.web.site import SIGN_IN, Site

COOKIE = "__Host-accredit-step"
_KIND = "sign-in"
_LIFE = timedelta(minutes=10)


class HalfWay(msgspec.Struct, frozen=True):
    """The user who gave the right password at ``proved_at``, and the second factor at ``mfa_at`` if there was one."""

    account: str
    user_id: str
    amr: tuple[str, ...]
    proved_at: datetime
    change_required: bool
    next_path: str
    mfa_at: datetime | None = None


def find_half_way(site: Site, account: str) -> tuple[HalfWay, User]:
    """Raises AccessDenied if nobody is half-way through here."""
    services, visit = site.services, site.visit()
    value = cookies.read_cookie(request, COOKIE)
    found = Tickets(services.database, services.master_key).look(_KIND, value, HalfWay, visit.now)
    view = None if found is None else services.catalog.user(found.user_id)
    if found is None or view is None or found.account != account:
        raise AccessDenied("Your sign-in took too long. Please start again.")
    return found, view.user


def go_on(site: Site, user: User, half: HalfWay) -> Response:
    """The next step: the second factor before another password, so that a stolen password changes nothing."""
    services = site.services
    if half.mfa_at is None and has_second_factor(site, user):
        return _keep(site, half, f"{SIGN_IN}/{half.account}/mfa")
    if half.change_required:
        return _keep(site, half, f"{SIGN_IN}/{half.account}/password")
    value = cookies.read_cookie(request, COOKIE)
    if value is not None:
        with services.database.write() as connection:
            Tickets(services.database, services.master_key).use(connection, value)
    person = Person(half.account, half.amr, half.proved_at, user.user_id, mfa_at=half.mfa_at)
    response = start_user_session(site, user, person, half.next_path)
    cookies.drop_cookie(response, COOKIE)
    return response


def second_factors(site: Site, user: User) -> tuple[list[MfaDevice], list[Passkey]]:
    """The user's authenticators and hardware tokens, and its security keys."""
    with site.services.database.read() as connection:
        devices = list_enabled_mfa_devices(connection, user.account, user.user_id)
        return devices, list_passkeys(connection, user.user_id)


def has_second_factor(site: Site, user: User) -> bool:
    return any(second_factors(site, user))


def _keep(site: Site, half: HalfWay, path: str) -> Response:
    """Replace what is kept of the sign-in, under a new name."""
    services, now = site.services, site.visit().now
    tickets = Tickets(services.database, services.master_key)
    if value := cookies.read_cookie(request, COOKIE):
        with services.database.write() as connection:
            tickets.use(connection, value)
    response = site.redirect(path)
    cookies.set_cookie(response, COOKIE, tickets.put(_KIND, half.account, half, now, _LIFE))
    return response

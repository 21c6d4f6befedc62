"""A person's roles, and credentials of the one that is chosen."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from flask import Blueprint, Response, request

from broker.aws.errors import wire_error
from broker.domain.arn import Arn
from broker.domain.credentials import Credentials
from broker.domain.moment import iso_seconds
from broker.errors import AccessDenied, BrokerError, ValidationFailed
from broker.portal.role_list import PAGE, STS, RoleLists, list_roles, person_key, reachable_roles, why_not
from broker.portal.snippets import snippets
from broker.services import Caller
from broker.store.accounts import list_account_rows
from broker.store.favourite_roles import note_use, put_favourite
from broker.sts.assume_role import assume_role
from broker.sts.external import assume_role_as, external_operation
from broker.sts.role_sessions import AssumedRoleUser, parse_role_arn
from broker.web.calls import issue, new_record
from broker.web.sessions import BrowserSession
from broker.web.site import Site, own_path
from providers.errors import ProviderError

_DURATIONS = ((900, "15 minutes"), (3_600, "1 hour"), (14_400, "4 hours"), (28_800, "8 hours"), (43_200, "12 hours"))
_SHORTEST, _LONGEST = 900, 43_200


class Issued(msgspec.Struct, frozen=True):
    """What the audit record shows of it."""

    credentials: Credentials
    assumed_role_user: AssumedRoleUser


def role_pages(site: Site) -> Blueprint:
    pages = site.pages("roles", "/portal")
    lists = RoleLists(site)

    @pages.get("")
    def roles() -> Response:
        session = site.signed_in()
        query, start = request.args.get("q", "")[:200], _start(request.args.get("from", ""))
        page = list_roles(site, session, lists.of(session), query, start)
        return site.render("portal/roles.html", section="/portal", page=page, query=query, step=PAGE)

    @pages.post("/favourite")
    def favourite() -> Response:
        """Mark a role, or take the mark away. What nobody but the person sees leaves no event."""
        session, arn = site.signed_in(), str(parse_role_arn(request.form.get("role_arn", "")[:2_048]))
        if arn not in {role.arn for role in reachable_roles(site, session)}:
            raise AccessDenied("You may not assume this role, or it does not exist.")
        with site.services.database.write() as connection:
            put_favourite(connection, person_key(session.person), arn, request.form.get("favourite") == "1")
        return site.redirect(own_path(request.form.get("next")))

    @pages.get("/role")
    def role() -> Response:
        """One role: the address to keep or to pass on."""
        return _role_page(site, _wanted_arn(site))

    @pages.post("/credentials")
    def credentials() -> Response:
        session, arn = site.signed_in(), request.form.get("role_arn", "")
        try:
            issued = get_credentials(site, session, arn, request.form.get("duration_seconds", ""))
        except (BrokerError, ProviderError) as error:
            return _role_page(site, arn, error)
        with site.services.database.write() as connection:
            note_use(connection, person_key(session.person), arn, int(site.visit().now.timestamp()))
        return _credentials_page(site, arn, issued)

    return pages


def get_credentials(site: Site, session: BrowserSession, role_arn: str, duration: str) -> Issued:
    """Credentials of the role, by the operation that it would be on the wire. Raises what that raises."""
    services, external = site.services, session.person.external
    seconds = _seconds(site, role_arn, duration)
    if external is None:
        record = new_record(site.visit(), STS, "AssumeRole")
        record.parameters = {"role_arn": role_arn, "duration_seconds": seconds}

        def assume(caller: Caller) -> Issued:
            name = caller.authenticated().principal.user_name or ""
            assumed = assume_role(services, caller, role_arn=role_arn, role_session_name=name, duration_seconds=seconds)
            return Issued(assumed.credentials, assumed.assumed_role_user)

        return issue(site, record, assume)
    provider = services.catalog.provider(external.provider)
    if provider is None:
        raise AccessDenied("Your identity provider is not registered any more.")
    record = new_record(site.visit(), STS, external_operation(provider))
    record.parameters = {"role_arn": role_arn, "duration_seconds": seconds}

    def federate(caller: Caller) -> Issued:
        issued = assume_role_as(
            services, caller, provider, external.identity, role_arn=role_arn, duration_seconds=seconds
        )
        return Issued(issued.credentials, issued.assumed_role_user)

    return issue(site, record, federate)


def _seconds(site: Site, role_arn: str, text: str) -> int:
    """How long the credentials are to live: what was chosen, or as long as the role allows."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and _SHORTEST <= int(text) <= _LONGEST):
        raise ValidationFailed("The duration must be between 15 minutes and 12 hours.")
    view = site.services.catalog.role(role_arn)
    return int(text) if view is None else min(int(text), view.role.max_session_duration)


def _wanted_arn(site: Site) -> str:
    """``arn``, or ``account_id`` and ``role_name`` as links to AWS's access portal have them."""
    account, name = request.args.get("account_id", ""), request.args.get("role_name", "")
    if not (account and name):
        return request.args.get("arn", "")
    found = (
        view.role.arn
        for view in site.services.catalog.all_roles()
        if view.role.account == account and view.role.name == name
    )
    return next(found, f"arn:aws:iam::{account}:role/{name}")


def _role_page(site: Site, arn: str, error: BrokerError | ProviderError | None = None) -> Response:
    session = site.signed_in()
    parsed = parse_role_arn(arn)
    role = next((one for one in reachable_roles(site, session) if one.arn == arn), None)
    longest = role.max_session_duration if role else 3_600
    if error is None and role is None:
        error = AccessDenied("You may not assume this role, or it does not exist.")
    why = why_not(site, session, arn) if role is None else ""
    return site.render(
        "portal/role.html",
        status=200 if error is None else wire_error(error).status,
        section="/portal",
        arn=arn,
        name=parsed.name,
        account=parsed.account,
        alias=_aliases(site).get(parsed.account),
        role=role,
        durations=[one for one in _DURATIONS if one[0] <= longest],
        here=f"/portal/role?arn={quote(arn, safe='')}",
        error=error.message if error else "",
        why=why,
    )


def _credentials_page(site: Site, arn: str, issued: Issued) -> Response:
    name, end = Arn.parse(arn).name, issued.credentials.expiration
    return site.render(
        "portal/credentials.html",
        section="/portal",
        name=name,
        user_arn=issued.assumed_role_user.arn,
        expires=iso_seconds(end),
        until=end.timestamp(),
        minutes=int((end - site.visit().now).total_seconds() // 60),
        snippets=snippets(issued.credentials, profile=name, endpoint=site.services.settings.base_url()),
    )


def _start(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


def _aliases(site: Site) -> dict[str, str]:
    with site.services.database.read() as connection:
        return {row.id: row.alias for row in list_account_rows(connection)}

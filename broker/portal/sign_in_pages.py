"""Where people say who they are: the account, and then a provider of it, or a password."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from flask import Blueprint, Response, request

from broker.audit.event import render
from broker.domain.arn import ACCOUNT_ID, Arn
from broker.portal.directory_pages import directory_path
from broker.portal.oidc_pages import oidc_path, oidc_title
from broker.services import Services
from broker.settings import SAML_PATH
from broker.store.accounts import AccountRow, find_account, list_account_rows
from broker.store.audit_events import append_records
from broker.store.identity_providers import ProviderRecord, list_account_providers
from broker.web import cookies
from broker.web.calls import caller_of, sign_in_record
from broker.web.site import SIGN_IN, Site, own_path

_NO_SUCH = "There is no such account here."


@dataclass(frozen=True, slots=True)
class ProviderButton:
    """``path`` begins the sign-in at the provider."""

    title: str
    path: str


def sign_in_pages(site: Site) -> Blueprint:
    pages = site.pages("portal")

    @pages.get("/")
    def root() -> Response:
        return site.redirect("/portal")

    @pages.get(SIGN_IN)
    def choose_account() -> Response:
        """The account: that of the link, the only one, or the one that is typed in."""
        wanted, next_path = request.args.get("account", "").strip(), own_path(request.args.get("next"))
        account = find_sign_in_account(site.services, wanted)
        if account is not None and not request.args.get("choose"):
            return site.redirect(f"{SIGN_IN}/{account.id}?next={quote(next_path, safe='')}")
        return site.render("portal/choose_account.html", next=next_path, error=_NO_SUCH if wanted else "")

    @pages.get(f"{SIGN_IN}/<account>")
    def sign_in(account: str) -> Response:
        found = find_sign_in_account(site.services, account)
        if found is None:
            return site.render("portal/choose_account.html", status=404, next=own_path(None), error=_NO_SUCH)
        next_path = own_path(request.args.get("next"))
        wanted = request.args.get("provider", "")
        hinted = [one for one in provider_buttons(site.services, found.id) if wanted and one.title == wanted]
        if hinted:  # a link that names the provider leads straight to it
            hint = quote(request.args.get("login_hint", ""), safe="")
            return site.redirect(f"{hinted[0].path}?next={quote(next_path, safe='')}&login_hint={hint}")
        return sign_in_page(site, found, next_path)

    @pages.post("/sign-out")
    def sign_out() -> Response:
        """End the session here; what identity providers think of it is theirs."""
        visit = site.visit()
        if visit.session is not None:
            record = sign_in_record(visit, "Logout")
            caller_of(site.services, visit, visit.session, record)
            record.response = {"Logout": "Success"}
            with site.services.database.write() as connection:
                site.sessions.end(connection, visit.session)
                append_records(connection, [render(record)])
        response = site.redirect(SIGN_IN)
        cookies.drop_cookie(response, cookies.SESSION)
        return response

    return pages


def sign_in_page(
    site: Site, account: AccountRow, next_path: str, *, error: str = "", status: int = 200, user_name: str = ""
) -> Response:
    return site.render(
        "portal/sign_in.html",
        status=status,
        account=account,
        next=next_path,
        providers=provider_buttons(site.services, account.id),
        error=error,
        user_name=user_name,
    )


def find_sign_in_account(services: Services, wanted: str) -> AccountRow | None:
    """By number or alias; without either the only account, if there is only one."""
    with services.database.read() as connection:
        rows = {row.id: row for row in list_account_rows(connection)}
        if not wanted:
            return next(iter(rows.values())) if len(rows) == 1 else None
        return rows.get(wanted if ACCOUNT_ID.fullmatch(wanted) else find_account(connection, wanted[:64]) or "")


def provider_buttons(services: Services, account: str) -> list[ProviderButton]:
    """Those of the account that can sign people in, SAML's first."""
    with services.database.read() as connection:
        records = list_account_providers(connection, account)
    found = [_BUTTONS[record.kind](record) for record in records if record.kind in _BUTTONS]
    return [button for button in found if button is not None]


def _saml_button(record: ProviderRecord) -> ProviderButton:
    name = Arn.parse(record.arn).name
    return ProviderButton(name, f"{SAML_PATH}/{record.account}/{quote(name)}/login")


def _oidc_button(record: ProviderRecord) -> ProviderButton | None:
    if not record.settings.get("sign_in"):
        return None
    return ProviderButton(oidc_title(record), f"{oidc_path(record)}/login")


def _directory_button(record: ProviderRecord) -> ProviderButton:
    return ProviderButton(Arn.parse(record.arn).name, directory_path(record))


_BUTTONS: Mapping[str, Callable[[ProviderRecord], ProviderButton | None]] = {
    "saml": _saml_button,
    "oidc": _oidc_button,
    "ldap": _directory_button,
}
"""Kind -> the provider's button, or None for one that cannot sign people in."""

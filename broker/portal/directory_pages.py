"""Sign-in with a name and a password that a directory (LDAP, Active Directory) knows."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from flask import Blueprint, Response, request

from broker.aws.errors import wire_error
from broker.domain.arn import Arn, ldap_provider_arn
from broker.errors import BrokerError, NotFound, Throttled
from broker.iam.sign_in import attempts_of
from broker.store.identity_providers import ProviderRecord
from broker.store.password_attempts import give_back_attempt, take_attempt
from broker.web.calls import record_refusal, sign_in_record
from broker.web.sign_in import start_session_for
from broker.web.site import SIGN_IN, Site, own_path
from providers.base import ExternalIdentity, LdapBind
from providers.errors import ProviderBusy, ProviderError, ProviderUnreachable

_LONGEST_NAME, _LONGEST_PASSWORD = 256, 1_024


def directory_path(record: ProviderRecord) -> str:
    """Where the directory's form is."""
    return f"{SIGN_IN}/{record.account}/ldap/{quote(Arn.parse(record.arn).name)}"


def directory_pages(site: Site) -> Blueprint:
    pages = site.pages("directory")

    @pages.get(f"{SIGN_IN}/<account>/ldap/<name>")
    def ask(account: str, name: str) -> Response:
        return _page(site, _provider(site, account, name), own_path(request.args.get("next")))

    @pages.post(f"{SIGN_IN}/<account>/ldap/<name>")
    def sign_in(account: str, name: str) -> Response:
        record, next_path = _provider(site, account, name), own_path(request.form.get("next"))
        try:
            identity = _authenticate(site, record)
            site.services.subjects.note(record, identity, site.visit().now)
            return start_session_for(site, record, identity, amr=("pwd", "fed"), next_path=next_path)
        except (BrokerError, ProviderError) as error:
            refused = sign_in_record(site.visit(), "ConsoleLogin")
            refused.recipient, refused.identity_provider = record.account, record.arn
            record_refusal(site.services, refused, error)
            return _page(site, record, next_path, error)

    return pages


def _authenticate(site: Site, record: ProviderRecord) -> ExternalIdentity:
    """Whom the directory lets in. Guessing is slowed down as for users of ours: by name, by address, by both.

    Raises Throttled, ProviderError.
    """
    services, visit = site.services, site.visit()
    name = request.form.get("user_name", "").strip()[:_LONGEST_NAME]
    password = request.form.get("password", "")[: _LONGEST_PASSWORD + 1]
    who = hashlib.sha256(f"{record.arn}\x00{name.lower()}".encode("utf-8", "replace")).hexdigest()
    attempts = attempts_of(f"ldap:{who}", visit.origin.source_ip)
    with services.database.write() as connection:
        if not take_attempt(connection, attempts, int(visit.now.timestamp())):
            raise Throttled("Too many attempts. Please try again later.", detail="the directory was not asked")
    try:
        identity = services.providers.get(record).authenticate(LdapBind(name, password), now=visit.now)
    except (ProviderBusy, ProviderUnreachable):  # nobody looked at the password
        with services.database.write() as connection:
            give_back_attempt(connection, attempts)
        raise
    with services.database.write() as connection:
        give_back_attempt(connection, attempts)
    return identity


def _provider(site: Site, account: str, name: str) -> ProviderRecord:
    """Raises NotFound."""
    record = site.services.catalog.provider(ldap_provider_arn(account, name))
    if record is None or record.kind != "ldap":
        raise NotFound("There is no such directory.")
    return record


def _page(
    site: Site, record: ProviderRecord, next_path: str, error: BrokerError | ProviderError | None = None
) -> Response:
    return site.render(
        "portal/directory.html",
        status=200 if error is None else wire_error(error).status,
        name=Arn.parse(record.arn).name,
        action=directory_path(record),
        again=f"{SIGN_IN}/{record.account}",
        next=next_path,
        user_name=request.form.get("user_name", "")[:_LONGEST_NAME],
        error=error.message if error else "",
    )

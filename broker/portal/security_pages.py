"""What signs a user of ours in: password, second factors, recovery codes, access keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import msgspec
from flask import Blueprint, Response, request

from broker.aws.errors import wire_error
from broker.domain.role import User
from broker.domain.secret import Secret
from broker.errors import AccessDenied, BrokerError
from broker.iam.access_keys import create_access_key, delete_access_key, list_access_keys, update_access_key
from broker.iam.login_profiles import change_password
from broker.iam.own_factors import (
    OWN_FACTORS,
    check_device_name,
    enrol_authenticator,
    remove_authenticator,
    renew_recovery_codes,
)
from broker.iam.passkeys import create_passkey, registration_options, remove_passkey, update_passkey
from broker.mfa import new_seed, provisioning_uri
from broker.portal.half_way import second_factors
from broker.portal.password_pages import repeated_password
from broker.portal.recovery_codes import code_digest, new_codes, shown
from broker.portal.setup_pages import qr_code, spaced
from broker.portal.step_up import demand_fresh, own_user
from broker.services import Caller
from broker.store.login_profiles import find_login_profile
from broker.store.passkeys import count_recovery_codes
from broker.tickets import Tickets
from broker.web.calls import caller_of, change, new_record
from broker.web.site import Site

PATH = "/portal/security"
_IAM = "iam.amazonaws.com"
_T = TypeVar("_T")
_KIND = "authenticator"
_LIFE = timedelta(minutes=15)


class Enrolment(msgspec.Struct, frozen=True):
    """An authenticator whose owner has not shown yet that it has the seed."""

    user_id: str
    name: str
    seed: str


def security_pages(site: Site) -> Blueprint:
    pages = site.pages("security", PATH)
    services = site.services
    tickets = Tickets(services.database, services.master_key)

    def act(event: str, done: str, work: Callable[[Caller, User], object]) -> Response:
        """Change something of the user's own, and say so; or say why not."""
        user = demand_fresh(site, site.signed_in())
        try:
            _change(site, event, lambda caller: work(caller, user))
        except BrokerError as error:
            return _page(site, error=error)
        return _page(site, done=done)

    def enrolment(value: str, user: User) -> Enrolment:
        found = tickets.look(_KIND, value, Enrolment, site.visit().now)
        if found is None or found.user_id != user.user_id:
            raise AccessDenied("This took too long, or was finished already. Please start again.")
        return found

    @pages.get("")
    def security() -> Response:
        own_user(site, site.signed_in())
        return _page(site)

    @pages.post("/password")
    def password() -> Response:
        session = site.signed_in()

        def work(caller: Caller, user: User) -> None:
            old, new = Secret(request.form.get("old_password", "")), repeated_password("new_password")
            change_password(services, caller, old_password=old, new_password=new)
            with services.database.write() as connection:
                site.sessions.end_user(connection, user.user_id, but=session)

        return act("ChangePassword", "Your password is another one now, and your other sessions are over.", work)

    @pages.post("/authenticators")
    def begin_authenticator() -> Response:
        user = demand_fresh(site, site.signed_in())
        name = check_device_name(request.form.get("name", "").strip())
        begun = Enrolment(user.user_id, name, new_seed())
        value = tickets.put(_KIND, user.account, begun, site.visit().now, _LIFE)
        return site.redirect(f"{PATH}/authenticators/{value}")

    @pages.get("/authenticators/<value>")
    def authenticator(value: str) -> Response:
        return _enrolment_page(site, enrolment(value, demand_fresh(site, site.signed_in())))

    @pages.post("/authenticators/<value>")
    def finish_authenticator(value: str) -> Response:
        user = demand_fresh(site, site.signed_in())
        begun = enrolment(value, user)
        first, second = (Secret(request.form.get(name, "").strip()[:16]) for name in ("code1", "code2"))
        try:
            _change(
                site,
                "EnableMFADevice",
                lambda caller: enrol_authenticator(
                    services, caller, user, name=begun.name, seed=begun.seed, first=first, second=second
                ),
            )
        except BrokerError as error:
            return _enrolment_page(site, begun, error)
        with services.database.write() as connection:
            tickets.use(connection, value)
        return _page(site, done=f"The authenticator {begun.name} is yours.")

    @pages.post("/authenticators/remove")
    def remove_device() -> Response:
        serial = request.form.get("serial_number", "")[:256]
        return act(
            "DeactivateMFADevice",
            "The device is gone.",
            lambda caller, user: remove_authenticator(services, caller, user, serial_number=serial),
        )

    @pages.post("/passkeys/options")
    def passkey_options() -> Response:
        user = demand_fresh(site, site.signed_in())
        return site.json(registration_options(services, user, site.browser_token(), site.visit().now))

    @pages.post("/passkeys")
    def add_passkey() -> Response:
        name, answer = request.form.get("name", ""), request.form.get("answer", "")
        browser = site.browser_token()
        return act(
            "CreatePasskey",
            "The security key is yours.",
            lambda caller, user: create_passkey(services, caller, user, name=name, answer=answer, browser=browser),
        )

    @pages.post("/passkeys/rename")
    def rename_key() -> Response:
        key, name = request.form.get("credential_id", "")[:1_400], request.form.get("name", "")
        return act(
            "UpdatePasskey",
            "The security key has another name.",
            lambda caller, user: update_passkey(services, caller, user, credential_id=key, name=name),
        )

    @pages.post("/passkeys/remove")
    def remove_key() -> Response:
        key = request.form.get("credential_id", "")[:1_400]
        return act(
            "DeletePasskey",
            "The security key is gone.",
            lambda caller, user: remove_passkey(services, caller, user, credential_id=key),
        )

    @pages.post("/recovery-codes")
    def recovery_codes() -> Response:
        codes = new_codes()
        user = demand_fresh(site, site.signed_in())
        digests = [code_digest(services, user, code) for code in codes]
        _change(site, "CreateRecoveryCodes", lambda caller: renew_recovery_codes(services, caller, user, digests))
        return site.render("portal/recovery_codes.html", section=PATH, codes=[shown(code) for code in codes])

    @pages.post("/access-keys")
    def add_access_key() -> Response:
        user = demand_fresh(site, site.signed_in())
        try:
            answer = _change(site, "CreateAccessKey", lambda caller: create_access_key(services, caller))
        except BrokerError as error:
            return _page(site, error=error)
        key = answer.access_key
        return site.render(
            "portal/access_key.html",
            section=PATH,
            user=user.name,
            key_id=key.access_key_id,
            secret=key.secret_access_key.reveal(),
            endpoint=services.settings.base_url(),
        )

    @pages.post("/access-keys/status")
    def access_key_status() -> Response:
        key, status = request.form.get("access_key_id", "")[:128], request.form.get("status", "")
        wanted = "Active" if status == "Active" else "Inactive"
        return act(
            "UpdateAccessKey",
            f"The access key is {wanted.lower()}.",
            lambda caller, user: update_access_key(services, caller, access_key_id=key, status=wanted),
        )

    @pages.post("/access-keys/remove")
    def remove_access_key() -> Response:
        key = request.form.get("access_key_id", "")[:128]
        return act(
            "DeleteAccessKey",
            "The access key is gone.",
            lambda caller, user: delete_access_key(services, caller, access_key_id=key),
        )

    return pages


def _change(site: Site, event: str, work: Callable[[Caller], _T]) -> _T:
    return change(
        site,
        new_record(site.visit(), _IAM, event),
        lambda caller: work(msgspec.structs.replace(caller, granted=OWN_FACTORS)),
    )


def _page(site: Site, *, error: BrokerError | None = None, done: str = "") -> Response:
    session = site.signed_in()
    user = own_user(site, session)
    devices, passkeys = second_factors(site, user)
    with site.services.database.read() as connection:
        profile = find_login_profile(connection, user.user_id)
        codes = count_recovery_codes(connection, user.user_id)
    try:
        caller = caller_of(site.services, site.visit(), session, new_record(site.visit(), _IAM, "ListAccessKeys"))
        keys = list(list_access_keys(site.services, caller).access_key_metadata)
        may_see_keys = True
    except AccessDenied:
        keys, may_see_keys = [], False
    return site.render(
        "portal/security.html",
        status=200 if error is None else wire_error(error).status,
        section=PATH,
        devices=devices,
        passkeys=passkeys,
        codes=codes,
        keys=keys,
        may_see_keys=may_see_keys,
        has_password=profile is not None,
        error=error.message if error else "",
        done=done,
    )


def _enrolment_page(site: Site, begun: Enrolment, error: BrokerError | None = None) -> Response:
    user = own_user(site, site.signed_in())
    return site.render(
        "portal/enrol.html",
        status=200 if error is None else wire_error(error).status,
        section=PATH,
        name=begun.name,
        seed=spaced(begun.seed),
        qr=qr_code(provisioning_uri(begun.seed, f"{user.name}-{begun.name}", user.account)),
        error=error.message if error else "",
    )

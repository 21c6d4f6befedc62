"""Sign-in with a name and a password, and what may have to follow: a second factor, another password."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request
from msgspec import structs

from broker.audit.event import CallRecord, render
from broker.aws.errors import wire_error
from broker.callers import user_principal
from broker.domain.principal import Principal
from broker.domain.role import User
from broker.domain.secret import Secret
from broker.errors import BrokerError, NotFound, PasswordPolicyViolation, TemporarilyUnmodifiable, Unavailable
from broker.iam.login_profiles import renew_password
from broker.iam.passkeys import authentication_options, prove_passkey
from broker.iam.sign_in import NAME, verify_password
from broker.portal.half_way import HalfWay, find_half_way, go_on, has_second_factor, second_factors
from broker.portal.recovery_codes import use_code
from broker.portal.sign_in_pages import find_sign_in_account, sign_in_page
from broker.services import Caller, Candidate
from broker.store.accounts import AccountRow
from broker.store.entities import find_entity_by_name
from broker.web.calls import record_refusal, sign_in_record
from broker.web.site import SIGN_IN, Site, own_path

_LOGIN = "ConsoleLogin"


def password_pages(site: Site) -> Blueprint:
    pages = site.pages("password")

    @pages.post(f"{SIGN_IN}/<account>")
    def sign_in(account: str) -> Response:
        found = find_sign_in_account(site.services, account)
        if found is None:
            raise NotFound("There is no such account here.")
        return _try_password(site, found, own_path(request.form.get("next")))

    @pages.get(f"{SIGN_IN}/<account>/mfa")
    def second_factor(account: str) -> Response:
        half, user = find_half_way(site, account)
        return _mfa_page(site, half, user)

    @pages.post(f"{SIGN_IN}/<account>/passkey/options")
    def options(account: str) -> Response:
        _half, user = find_half_way(site, account)
        return site.json(authentication_options(site.services, user, site.browser_token(), site.visit().now))

    @pages.post(f"{SIGN_IN}/<account>/passkey")
    def give_passkey(account: str) -> Response:
        return _try_second_factor(site, account, lambda user: prove_with_passkey(site, user))

    @pages.post(f"{SIGN_IN}/<account>/mfa")
    def give_second_factor(account: str) -> Response:
        return _try_second_factor(site, account, lambda user: prove_code(site, user))

    @pages.get(f"{SIGN_IN}/<account>/password")
    def another_password(account: str) -> Response:
        half, _user = find_half_way(site, account)
        return _password_page(site, half)

    @pages.post(f"{SIGN_IN}/<account>/password")
    def change_password(account: str) -> Response:
        half, user = find_half_way(site, account)
        if half.mfa_at is None and has_second_factor(site, user):
            return site.redirect(f"{SIGN_IN}/{half.account}/mfa")
        return _try_change(site, half, user)

    return pages


def _try_second_factor(site: Site, account: str, prove: Callable[[User], str]) -> Response:
    half, user = find_half_way(site, account)
    try:
        method = prove(user)
    except BrokerError as error:
        refuse(site, error, account, user_principal(user), mfa=True)
        return _mfa_page(site, half, user, error)
    now = site.visit().now
    return go_on(site, user, structs.replace(half, amr=(*half.amr, method, "mfa"), mfa_at=now))


def prove_with_passkey(site: Site, user: User) -> str:
    """Check the security key's answer in the form: the method's name for ``amr``. Raises AccessDenied."""
    prove_passkey(site.services, user, request.form.get("answer", ""), site.browser_token(), site.visit().now)
    return "hwk"


def prove_code(site: Site, user: User) -> str:
    """Check the code of the form, and use it up: the method's name for ``amr``. Raises AccessDenied."""
    code, serial = request.form.get("code", "").replace(" ", ""), request.form.get("device", "")
    if serial == "recovery":
        use_code(site.services, user, code, site.visit().now)
        return "kba"
    site.services.mfa.verify(user_principal(user), serial[:256], Secret(code[:64]), site.visit().now)
    return "otp"


def refuse(
    site: Site, error: BrokerError, account: str, principal: Principal | None, *, mfa: bool, name: str = _LOGIN
) -> None:
    """Write down that somebody was not let in."""
    record = sign_in_record(site.visit(), name)
    record.recipient = account
    record.additional = {"MFAUsed": "Yes" if mfa else "No"}
    if principal is not None:
        record.identify(principal)
    record_refusal(site.services, record, error)


def _try_password(site: Site, account: AccountRow, next_path: str) -> Response:
    services, visit = site.services, site.visit()
    name, password = request.form.get("user_name", "").strip(), Secret(request.form.get("password", ""))
    try:
        with services.passwords.admitted():
            proved = verify_password(services, account.id, name, password, visit.origin.source_ip, visit.now)
    except Unavailable as error:  # in a flood a short answer is the best one
        refuse(site, error, account.id, None, mfa=False)
        raise
    except BrokerError as error:
        refuse(site, error, account.id, _principal_of(site, account.id, name), mfa=False)
        status = wire_error(error).status
        return sign_in_page(site, account, next_path, error=error.message, status=status, user_name=name[:64])
    view = services.catalog.user(proved.user.id)
    if view is None:
        raise NotFound("Your user does not exist any more.")
    half = HalfWay(account.id, view.user.user_id, ("pwd",), visit.now, proved.change_required, next_path)
    if has_second_factor(site, view.user):
        services.audit.record_soon(render(_halfway_record(site, view.user)))
    return go_on(site, view.user, half)


def _halfway_record(site: Site, user: User) -> CallRecord:
    """The password was right, and a second factor is asked for (CloudTrail's event CheckMfa)."""
    record = sign_in_record(site.visit(), "CheckMfa")
    record.identify(user_principal(user))
    record.response = {"CheckMfa": "Success"}
    return record


def _principal_of(site: Site, account: str, name: str) -> Principal | None:
    """Whom somebody tried to be, if there is such a user: what was typed may be a password, and is not kept."""
    with site.services.database.read() as connection:
        found = find_entity_by_name(connection, account, "user", name if NAME.fullmatch(name) else "")
    view = None if found is None else site.services.catalog.user(found.id)
    return None if view is None else user_principal(view.user)


def _mfa_page(site: Site, half: HalfWay, user: User, error: BrokerError | None = None) -> Response:
    devices, passkeys = second_factors(site, user)
    return site.render(
        "portal/second_factor.html",
        status=200 if error is None else wire_error(error).status,
        action=f"{SIGN_IN}/{half.account}/mfa",
        passkey_path=f"{SIGN_IN}/{half.account}/passkey",
        devices=devices,
        passkeys=passkeys,
        error=error.message if error else "",
        again=f"{SIGN_IN}/{half.account}",
    )


def _password_page(site: Site, half: HalfWay, error: BrokerError | None = None) -> Response:
    return site.render(
        "portal/new_password.html",
        status=200 if error is None else wire_error(error).status,
        action=f"{SIGN_IN}/{half.account}/password",
        error=error.message if error else "",
    )


def _try_change(site: Site, half: HalfWay, user: User) -> Response:
    """Change the password, and go on; the session begins with a password that is good."""
    visit = site.visit()
    record = sign_in_record(visit, "ChangePassword")
    record.event_source, record.event_type = "iam.amazonaws.com", "AwsApiCall"
    principal = user_principal(user)
    record.identify(principal)
    caller = Caller(visit.now, record, visit.secure, Candidate(principal, Secret("")))
    try:
        wanted = repeated_password("new_password")
        renew_password(site.services, caller, new_password=wanted, proved_at=half.proved_at)
    except BrokerError as error:
        record_refusal(site.services, record, error)
        if not isinstance(error, PasswordPolicyViolation | TemporarilyUnmodifiable):
            raise
        return _password_page(site, half, error)
    with site.services.database.write() as connection:
        site.sessions.end_user(connection, user.user_id)
    return go_on(site, user, structs.replace(half, change_required=False))


def repeated_password(name: str) -> Secret:
    """A new password, typed twice. Raises PasswordPolicyViolation."""
    first, second = request.form.get(name, ""), request.form.get(f"{name}_again", "")
    if first != second:
        raise PasswordPolicyViolation("The two passwords are not the same.")
    return Secret(first)

"""Security keys and passkeys as second factors (W3C Web Authentication Level 2), verified by py_webauthn.

A challenge is a ticket's name: it counts once, for five minutes, for one purpose of one user in one browser session.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from broker.authorization import authorize
from broker.domain.role import User
from broker.errors import AccessDenied, InvalidInput, LimitExceeded, NotFound, ValidationFailed
from broker.iam.changes import record_change
from broker.services import Caller, Services
from broker.settings import Settings
from broker.store.mfa_devices import list_enabled_mfa_devices
from broker.store.passkeys import (
    Passkey,
    delete_passkey,
    find_passkey,
    insert_passkey,
    list_passkeys,
    rename_passkey,
    use_passkey,
)
from broker.tickets import Tickets

Purpose = Literal["register", "sign-in"]
_KIND = "passkey"
_LIFE = timedelta(minutes=5)
_LONGEST_NAME = 64
_LONGEST_ANSWER = 16_384
_PRODUCT = "Accredit"
_JUNK = (WebAuthnException, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error, RecursionError)
"""What py_webauthn and the parsers below it raise for what is no answer of an authenticator."""
_WRONG = "The security key's answer could not be verified. Please try again."
_T = TypeVar("_T")


class Challenge(msgspec.Struct, frozen=True):
    """What a challenge was made for. ``browser``: the cookie's form token, which only that browser session has."""

    user_id: str
    purpose: Purpose
    browser: str


def registration_options(services: Services, user: User, browser: str, now: datetime) -> dict[str, Any]:
    """What ``navigator.credentials.create`` takes, as JSON."""
    with services.database.read() as connection:
        known = list_passkeys(connection, user.user_id)
    options = webauthn.generate_registration_options(
        rp_id=_party(services.settings),
        rp_name=_PRODUCT,
        user_id=user.user_id.encode("ascii"),
        user_name=f"{user.name}@{user.account}",
        user_display_name=user.name,
        challenge=_challenge(services, user, "register", browser, now),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=[_descriptor(key) for key in known],
    )
    return _as_json(options)


def authentication_options(services: Services, user: User, browser: str, now: datetime) -> dict[str, Any]:
    """What ``navigator.credentials.get`` takes. Raises NotFound if the user has no key."""
    with services.database.read() as connection:
        known = list_passkeys(connection, user.user_id)
    if not known:
        raise NotFound("No security key is registered.")
    options = webauthn.generate_authentication_options(
        rp_id=_party(services.settings),
        challenge=_challenge(services, user, "sign-in", browser, now),
        allow_credentials=[_descriptor(key) for key in known],
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return _as_json(options)


def create_passkey(services: Services, caller: Caller, user: User, *, name: str, answer: str, browser: str) -> None:
    """Register a key of the caller's own. Raises AlreadyExists, InvalidInput, LimitExceeded, ValidationFailed."""
    authorize(services, caller, "iam:EnableMFADevice", user.arn)
    label = _checked_name(name)
    sent, challenge = _take_challenge(services, user, "register", answer, browser, caller.now)
    settings = services.settings
    verified = _verified(
        lambda: webauthn.verify_registration_response(
            credential=sent,
            expected_challenge=challenge,
            expected_rp_id=_party(settings),
            expected_origin=_origin(settings),
        )
    )
    if verified.fmt != AttestationFormat.NONE:
        raise InvalidInput("The security key sent an attestation, which was not asked for.")
    moment = int(caller.now.timestamp())
    key = Passkey(
        _text(verified.credential_id),
        user.user_id,
        label,
        verified.credential_public_key,
        verified.sign_count,
        _transports(sent),
        moment,
    )
    with services.database.change() as connection:
        devices = list_enabled_mfa_devices(connection, user.account, user.user_id)
        if len(devices) + len(list_passkeys(connection, user.user_id)) >= settings.quotas.mfa_devices_per_user:
            raise LimitExceeded(f"Cannot exceed quota for MFADevicesPerUser: {settings.quotas.mfa_devices_per_user}")
        insert_passkey(connection, key)
        caller.record.parameters = {"user_name": user.name, "name": label, "credential_id": key.credential_id}
        record_change(connection, caller)


def prove_passkey(services: Services, user: User, answer: str, browser: str, now: datetime) -> str:
    """Check a key's answer at sign-in: the name of the key. Raises AccessDenied, whatever is wrong with it."""
    try:
        sent, challenge = _take_challenge(services, user, "sign-in", answer, browser, now)
        credential = str(sent["id"])
    except (InvalidInput, KeyError) as error:
        raise AccessDenied(_WRONG, detail=getattr(error, "detail", "") or str(error)) from None
    with services.database.read() as connection:
        key = find_passkey(connection, user.user_id, credential)
    if key is None:
        raise AccessDenied(_WRONG, detail="no such key of this user")
    settings = services.settings
    try:
        verified = webauthn.verify_authentication_response(
            credential=sent,
            expected_challenge=challenge,
            expected_rp_id=_party(settings),
            expected_origin=_origin(settings),
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
        )
    except _JUNK as error:
        raise AccessDenied(_WRONG, detail=f"{type(error).__name__}: {error}"[:512]) from None
    with services.database.write() as connection:
        if not use_passkey(connection, key, verified.new_sign_count, int(now.timestamp())):
            raise AccessDenied(_WRONG, detail="the key's counter moved meanwhile: it may have been copied")
    return key.name


def update_passkey(services: Services, caller: Caller, user: User, *, credential_id: str, name: str) -> None:
    """Give a key of the caller's own another name. Raises NotFound, ValidationFailed."""
    authorize(services, caller, "iam:EnableMFADevice", user.arn)
    label = _checked_name(name)
    with services.database.change() as connection:
        key = find_passkey(connection, user.user_id, credential_id)
        if key is None:
            raise NotFound("There is no such security key.")
        rename_passkey(connection, key, label)
        caller.record.parameters = {"user_name": user.name, "name": label, "credential_id": credential_id}
        record_change(connection, caller)


def remove_passkey(services: Services, caller: Caller, user: User, *, credential_id: str) -> None:
    """Take a key of the caller's own away. Raises NotFound."""
    authorize(services, caller, "iam:DeactivateMFADevice", user.arn)
    with services.database.change() as connection:
        key = find_passkey(connection, user.user_id, credential_id)
        if key is None:
            raise NotFound("There is no such security key.")
        delete_passkey(connection, key)
        caller.record.parameters = {"user_name": user.name, "name": key.name, "credential_id": credential_id}
        record_change(connection, caller)


def _challenge(services: Services, user: User, purpose: Purpose, browser: str, now: datetime) -> bytes:
    tickets = Tickets(services.database, services.master_key)
    return _bytes(tickets.put(_KIND, user.account, Challenge(user.user_id, purpose, browser), now, _LIFE))


def _take_challenge(
    services: Services, user: User, purpose: Purpose, answer: str, browser: str, now: datetime
) -> tuple[dict[str, Any], bytes]:
    """The answer as JSON, and the challenge that it answers, which is used up. Raises InvalidInput."""

    def read() -> tuple[dict[str, Any], str]:
        if len(answer) > _LONGEST_ANSWER:
            raise ValueError("the answer is too long")
        sent = json.loads(answer)
        client = json.loads(_bytes(sent["response"]["clientDataJSON"]))
        return sent, str(client["challenge"])

    sent, value = _verified(read)
    found = Tickets(services.database, services.master_key).take(_KIND, value, Challenge, now)
    if found != Challenge(user.user_id, purpose, browser):
        raise InvalidInput(_WRONG, detail="no such challenge of this user, purpose and browser")
    return sent, _bytes(value)


def _verified(work: Callable[[], _T]) -> _T:
    """What ``work`` returns. Raises InvalidInput for junk."""
    try:
        return work()
    except _JUNK as error:
        raise InvalidInput(_WRONG, detail=f"{type(error).__name__}: {error}"[:512]) from None


def _party(settings: Settings) -> str:
    """The relying party's id: the host of the pages."""
    return urlsplit(settings.pages_url()).hostname or ""


def _origin(settings: Settings) -> str:
    parts = urlsplit(settings.pages_url())
    return f"{parts.scheme}://{parts.netloc}"


def _checked_name(name: str) -> str:
    label = name.strip()
    if not 0 < len(label) <= _LONGEST_NAME or not label.isprintable():
        raise ValidationFailed(f"A security key's name has 1 to {_LONGEST_NAME} printable characters.")
    return label


def _descriptor(key: Passkey) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(one) for one in key.transports]
    return PublicKeyCredentialDescriptor(id=_bytes(key.credential_id), transports=transports)


def _transports(sent: dict[str, Any]) -> list[str]:
    """Those that the standard names; they are a hint alone."""
    known = {one.value for one in AuthenticatorTransport}
    given = sent["response"].get("transports")
    return [one for one in given if isinstance(one, str) and one in known][:8] if isinstance(given, list) else []


def _as_json(options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")

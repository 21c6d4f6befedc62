"""LogoutRequest and LogoutResponse as they come from an identity provider (SAML Core 3.7, Profiles 4.4).

They are as strictly read as responses: 1. the binding's form; 2. the signature, beside the message or in it, with a
key of the registered metadata: without one nothing is believed; 3. what was signed, read by the one parser; 4. version,
issuer, destination, time; 5. whom it is about, or what became of our request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from providers.errors import AudienceMismatch, Expired, MalformedEvidence
from providers.saml.assertion import check_version, read_issuer, read_name_id, read_status
from providers.saml.bindings import MAX_MESSAGE, IncomingMessage, read_post, read_redirect
from providers.saml.checks import EXPIRED, REDEEM_SECONDS, TOO_OLD, WRONG_ISSUER, SamlRules
from providers.saml.document import (
    MESSAGE,
    Element,
    Limits,
    check_children,
    children,
    get_child,
    malformed,
    parse_again,
    parse_document,
    parse_id,
    read_text,
)
from providers.saml.encryption import decrypt
from providers.saml.instants import find_instant, parse_instant
from providers.saml.names import DS, SAML, SAMLP, SUCCESS
from providers.saml.readers import apart
from providers.saml.response import KeyRules
from providers.saml.xmlsig import forged, verify_signature

_LIMITS = Limits(size=MAX_MESSAGE, nodes=500)
_MAX_INDEXES = 20
_COMMON = frozenset({f"{SAML}Issuer", f"{DS}Signature", f"{SAMLP}Extensions"})
_REQUEST = _COMMON | {f"{SAML}NameID", f"{SAML}EncryptedID", f"{SAMLP}SessionIndex"}
_RESPONSE = _COMMON | {f"{SAMLP}Status"}


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """The provider ends its session with ``subject``: the sessions of these indexes, or all if there is none."""

    id: str
    subject: str
    session_indexes: tuple[str, ...]
    relay_state: str


@dataclass(frozen=True, slots=True)
class LogoutResponse:
    """What became of our request ``in_response_to``."""

    in_response_to: str
    success: bool
    relay_state: str


LogoutMessage = LogoutRequest | LogoutResponse


def read_logout(
    query: str | None, form: Mapping[str, str], rules: SamlRules, keys: KeyRules, here: str, now: datetime
) -> LogoutMessage:
    """The message of a ``query`` as it stands in the address, or of a form; ``here`` is our logout address.

    Raises MalformedEvidence, SignatureInvalid, AudienceMismatch, Expired.
    """
    message = read_post(form) if query is None else read_redirect(query, keys.trusted, allow_sha1=keys.allow_sha1)  # 1
    return apart(lambda: _read(message, rules, keys, here, now), len(message.xml))


def _read(message: IncomingMessage, rules: SamlRules, keys: KeyRules, here: str, now: datetime) -> LogoutMessage:
    root = parse_document(message.xml, _LIMITS)
    expected = f"{SAMLP}{'LogoutRequest' if message.name == 'SAMLRequest' else 'LogoutResponse'}"
    if root.tag != expected:
        raise malformed(f"logout: the document is a {str(root.tag)[:128]}")
    if not message.query_signed:  # 2
        signed = verify_signature(root, keys.trusted, allow_sha1=keys.allow_sha1)
        root = parse_again(signed.signed)  # 3
    _check_head(root, rules, here, now)  # 4
    if root.tag == f"{SAMLP}LogoutRequest":  # 5
        return _read_request(root, rules, keys, now, message.relay_state)
    check_children(root, _RESPONSE)
    status = read_status(get_child(root, f"{SAMLP}Status"))
    return LogoutResponse(root.get("InResponseTo", ""), status[:1] == (SUCCESS,), message.relay_state)


def _check_head(root: Element, rules: SamlRules, here: str, now: datetime) -> None:
    check_version(root)
    issuer = read_issuer(get_child(root, f"{SAML}Issuer"))
    if issuer != rules.entity_id:
        raise MalformedEvidence(WRONG_ISSUER, detail=f"logout: issuer {issuer[:256]}")
    if root.get("Destination") != here:  # a signed message names it (SAML Bindings 3.4.5.2, 3.5.5.2)
        raise AudienceMismatch(MESSAGE, detail=f"logout: Destination is {str(root.get('Destination'))[:256]}")
    skew = timedelta(seconds=rules.clock_skew)
    issued = parse_instant(root.get("IssueInstant"), "logout: IssueInstant")
    if issued > now + skew:
        raise malformed("logout: it was issued in the future")
    if issued < now - timedelta(seconds=REDEEM_SECONDS) - skew:
        raise Expired(TOO_OLD, detail="logout: IssueInstant")


def _read_request(root: Element, rules: SamlRules, keys: KeyRules, now: datetime, relay_state: str) -> LogoutRequest:
    check_children(root, _REQUEST)
    end = find_instant(root.get("NotOnOrAfter"), "logout: NotOnOrAfter")
    if end is not None and now >= end + timedelta(seconds=rules.clock_skew):
        raise Expired(EXPIRED, detail="logout: NotOnOrAfter")
    name_id = read_name_id(root, lambda element: decrypt(element, keys.private, keys.decryption)[0])
    indexes = tuple(read_text(one) for one in children(root, f"{SAMLP}SessionIndex"))
    if name_id is None or not name_id.value:
        raise malformed("logout: it names nobody")
    if len(indexes) > _MAX_INDEXES:
        raise forged(f"logout: more than {_MAX_INDEXES} sessions")
    return LogoutRequest(parse_id(root), name_id.value, indexes, relay_state)

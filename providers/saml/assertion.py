"""What a response and its assertion say, read from verified bytes into plain values (SAML Core 2 and 3).

Shape alone is judged here: what must be there once, what must be a time, what must not be there at all. What the values
may be is judged in ``checks``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from providers.saml.document import (
    Element,
    check_children,
    children,
    find_child,
    get_child,
    malformed,
    parse_id,
    read_text,
)
from providers.saml.instants import find_instant, parse_instant
from providers.saml.names import DS, ENTITY, SAML, SAMLP, UNSPECIFIED, VERSION, local

MAX_ATTRIBUTES = 1_000
MAX_VALUES = 2_000
MAX_NAME = 512

_RESPONSE = frozenset(
    {f"{SAML}Issuer", f"{DS}Signature", f"{SAMLP}Extensions", f"{SAMLP}Status"}
    | {f"{SAML}Assertion", f"{SAML}EncryptedAssertion"}
)
_ASSERTION = frozenset(
    {f"{SAML}Issuer", f"{DS}Signature", f"{SAML}Subject", f"{SAML}Conditions", f"{SAML}Advice"}
    | {f"{SAML}AuthnStatement", f"{SAML}AttributeStatement"}
)
_SUBJECT = frozenset({f"{SAML}NameID", f"{SAML}EncryptedID", f"{SAML}SubjectConfirmation"})
_CONDITIONS = frozenset({f"{SAML}AudienceRestriction", f"{SAML}OneTimeUse", f"{SAML}ProxyRestriction"})
"""An unknown condition makes the assertion indeterminate (SAML Core 2.5.1.1): it is refused."""

_ANY_ASSERTION = ("{*}Assertion", "{*}EncryptedAssertion")

Decryptor = Callable[[Element], Element]
"""EncryptedID -> NameID."""


class Envelope(msgspec.Struct, frozen=True):
    """The response around the assertion."""

    id: str
    issued_at: datetime
    destination: str | None
    issuer: str | None
    status: tuple[str, ...]
    in_response_to: str | None


class NameId(msgspec.Struct, frozen=True):
    """The subject. ``format`` is a URI."""

    value: str
    format: str
    sp_name_qualifier: str | None
    name_qualifier: str | None = None


class Confirmation(msgspec.Struct, frozen=True):
    """Who may present the assertion, where and until when."""

    method: str
    recipient: str | None
    not_before: datetime | None
    not_on_or_after: datetime | None
    in_response_to: str | None


class Authentication(msgspec.Struct, frozen=True):
    """When the subject signed in at its provider, until when that may count, what the provider calls that session."""

    instant: datetime
    session_not_on_or_after: datetime | None
    session_index: str | None = None


class Assertion(msgspec.Struct, frozen=True):
    """One assertion. ``audiences`` holds those of each restriction; the restrictions are ANDed (SAML Core 2.5.1.4)."""

    id: str
    issued_at: datetime
    issuer: str
    name_id: NameId | None
    confirmations: tuple[Confirmation, ...]
    not_before: datetime | None
    not_on_or_after: datetime | None
    audiences: tuple[tuple[str, ...], ...]
    one_time_use: bool
    authentications: tuple[Authentication, ...]
    attributes: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


# --- response ---------------------------------------------------------------------------------------------------------


def check_response(root: Element) -> None:
    """That it is a response with one assertion, and no other anywhere. Raises MalformedEvidence."""
    if root.tag != f"{SAMLP}Response":
        raise malformed(f"Response: the document is a {str(root.tag)[:128]}")
    check_children(root, _RESPONSE)
    direct = len(children(root, f"{SAML}Assertion")) + len(children(root, f"{SAML}EncryptedAssertion"))
    everywhere = count_assertions(root)
    if direct != 1 or everywhere != 1:
        raise malformed(f"Response: {direct} assertions, {everywhere} in the whole document; one is needed")


def count_assertions(root: Element) -> int:
    """Of whatever namespace, plain and encrypted, ``root`` among them."""
    return sum(1 for _ in root.iter(*_ANY_ASSERTION))


def read_envelope(root: Element) -> Envelope:
    """Raises MalformedEvidence."""
    check_version(root)
    issuer = find_child(root, f"{SAML}Issuer")
    return Envelope(
        id=parse_id(root),
        issued_at=parse_instant(root.get("IssueInstant"), "Response: IssueInstant"),
        destination=root.get("Destination"),
        issuer=None if issuer is None else read_issuer(issuer),
        status=read_status(get_child(root, f"{SAMLP}Status")),
        in_response_to=root.get("InResponseTo"),
    )


def read_status(status: Element) -> tuple[str, ...]:
    """The status code and those nested in it."""
    codes = []
    code: Element | None = get_child(status, f"{SAMLP}StatusCode")
    while code is not None:
        codes.append(str(code.get("Value"))[:256])
        code = find_child(code, f"{SAMLP}StatusCode")
    return tuple(codes)


def check_version(element: Element) -> None:
    """Raises MalformedEvidence."""
    if element.get("Version") != VERSION:
        raise malformed(f"{local(element.tag)}: Version is {str(element.get('Version'))[:16]}, not {VERSION}")


def read_issuer(element: Element) -> str:
    """Raises MalformedEvidence for an issuer that is no entity (SAML Core 2.2.5, Profiles 4.1.4.2)."""
    if element.get("Format", ENTITY) != ENTITY:
        raise malformed("Issuer: its Format is not entity")
    return read_text(element)


# --- assertion --------------------------------------------------------------------------------------------------------


def read_assertion(element: Element, decrypt: Decryptor) -> Assertion:
    """Raises MalformedEvidence, and what ``decrypt`` raises."""
    check_children(element, _ASSERTION)
    check_version(element)
    subject = get_child(element, f"{SAML}Subject")
    check_children(subject, _SUBJECT)
    conditions = get_child(element, f"{SAML}Conditions")
    check_children(conditions, _CONDITIONS)
    return Assertion(
        id=parse_id(element),
        issued_at=parse_instant(element.get("IssueInstant"), "Assertion: IssueInstant"),
        issuer=read_issuer(get_child(element, f"{SAML}Issuer")),
        name_id=read_name_id(subject, decrypt),
        confirmations=tuple(_read_confirmation(one) for one in children(subject, f"{SAML}SubjectConfirmation")),
        not_before=find_instant(conditions.get("NotBefore"), "Conditions: NotBefore"),
        not_on_or_after=find_instant(conditions.get("NotOnOrAfter"), "Conditions: NotOnOrAfter"),
        audiences=tuple(
            tuple(read_text(audience) for audience in children(one, f"{SAML}Audience"))
            for one in children(conditions, f"{SAML}AudienceRestriction")
        ),
        one_time_use=find_child(conditions, f"{SAML}OneTimeUse") is not None,
        authentications=tuple(_read_authentication(one) for one in children(element, f"{SAML}AuthnStatement")),
        attributes=_read_attributes(element),
    )


def read_name_id(subject: Element, decrypt: Decryptor) -> NameId | None:
    """Plain or encrypted, not both; without one the subject is nobody."""
    found = find_child(subject, f"{SAML}NameID")
    encrypted = find_child(subject, f"{SAML}EncryptedID")
    if encrypted is not None:
        if found is not None:
            raise malformed("Subject: a NameID and an EncryptedID")
        found = decrypt(encrypted)
        if found.tag != f"{SAML}NameID":
            raise malformed("EncryptedID: it holds no NameID")
    if found is None:
        return None
    return NameId(
        read_text(found), found.get("Format") or UNSPECIFIED, found.get("SPNameQualifier"), found.get("NameQualifier")
    )


def _read_confirmation(element: Element) -> Confirmation:
    data = find_child(element, f"{SAML}SubjectConfirmationData")
    values: Mapping[str, str] = {} if data is None else data.attrib
    return Confirmation(
        method=element.get("Method", ""),
        recipient=values.get("Recipient"),
        not_before=find_instant(values.get("NotBefore"), "SubjectConfirmationData: NotBefore"),
        not_on_or_after=find_instant(values.get("NotOnOrAfter"), "SubjectConfirmationData: NotOnOrAfter"),
        in_response_to=values.get("InResponseTo"),
    )


def _read_authentication(element: Element) -> Authentication:
    return Authentication(
        parse_instant(element.get("AuthnInstant"), "AuthnStatement: AuthnInstant"),
        find_instant(element.get("SessionNotOnOrAfter"), "AuthnStatement: SessionNotOnOrAfter"),
        element.get("SessionIndex"),
    )


def _read_attributes(assertion: Element) -> dict[str, tuple[str, ...]]:
    """Every attribute by its name; what several elements of one name say belongs together."""
    attributes: dict[str, tuple[str, ...]] = {}
    for statement in children(assertion, f"{SAML}AttributeStatement"):
        check_children(statement, frozenset({f"{SAML}Attribute"}))  # an encrypted one we could not take into account
        for attribute in statement:
            name = attribute.get("Name", "")
            if not 0 < len(name) <= MAX_NAME:
                raise malformed("Attribute: its Name is missing or too long")
            check_children(attribute, frozenset({f"{SAML}AttributeValue"}))
            attributes[name] = attributes.get(name, ()) + tuple(_read_value(value) for value in attribute)
    if len(attributes) > MAX_ATTRIBUTES or sum(map(len, attributes.values())) > MAX_VALUES:
        raise malformed("Assertion: more attributes than are evaluated")
    return attributes


def _read_value(value: Element) -> str:
    """A text; eduPersonTargetedID has a NameID around it."""
    if len(value) == 1 and value[0].tag == f"{SAML}NameID" and not (value.text or value[0].tail or "").strip():
        return read_text(value[0])
    return read_text(value)

"""How messages travel through a browser: the Redirect and the POST binding (SAML Bindings 3.4, 3.5).

A message that was redirected is signed beside its XML, over the query as it stands in the address: whoever decodes and
encodes it again may get other bytes. Nothing is inflated beyond a message's limit.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote_plus

import xmlsec

from providers.saml.document import malformed
from providers.saml.xmlsig import TrustedKey, forged, verify_bytes

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
MAX_MESSAGE = 64 * 1024
"""Bytes of a request, or of an answer about the end of a session: they hold no attributes."""
MAX_QUERY = 16 * 1024
MAX_RELAY_STATE = 2_048
"""Providers send addresses along, though the standard allows 80 bytes (SAML Bindings 3.4.3)."""
_SIGNED = ("RelayState", "SigAlg")

MessageField = Literal["SAMLRequest", "SAMLResponse"]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message on its way through the browser: ``address`` alone by redirection, else ``fields`` of a form for it."""

    id: str
    binding: str
    address: str = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message as it came. ``query_signed``: its signature is beside it and was good, else it has to be in the XML."""

    name: MessageField
    relay_state: str
    query_signed: bool
    xml: bytes = field(repr=False)


# --- out --------------------------------------------------------------------------------------------------------------


def redirect(location: str, name: MessageField, xml: bytes, relay_state: str, key: xmlsec.Key | None) -> str:
    """The address that carries the message, signed with ``key``."""
    packed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    parts: list[tuple[str, str]] = [(name, base64.b64encode(packed.compress(xml) + packed.flush()).decode())]
    if relay_state:
        parts.append(("RelayState", relay_state))
    if key is not None:
        parts.append(("SigAlg", RSA_SHA256))
    query = "&".join(f"{part}={quote(value, safe='')}" for part, value in parts)
    if key is not None:
        context = xmlsec.SignatureContext()
        context.key = key
        value = context.sign_binary(query.encode("ascii"), xmlsec.constants.TransformRsaSha256)
        query += f"&Signature={quote(base64.b64encode(value).decode(), safe='')}"
    return f"{location}{'&' if '?' in location else '?'}{query}"


# --- in ---------------------------------------------------------------------------------------------------------------


def read_redirect(query: str, keys: Sequence[TrustedKey], *, allow_sha1: bool) -> IncomingMessage:
    """A signed message in the query of an address. Raises MalformedEvidence, SignatureInvalid.

    1. each parameter once, none besides; 2. the signature over the parameters as they came, in the standard's order;
    3. only then the message, inflated up to its limit.
    """
    raw = _parameters(query)  # 1
    name = _message_field(raw.keys())
    if "Signature" not in raw or "SigAlg" not in raw:
        raise forged("query: it is not signed")
    signed = "&".join(f"{part}={raw[part]}" for part in (name, *_SIGNED) if part in raw)  # 2
    value = _base64(unquote_plus(raw["Signature"]), "Signature")
    verify_bytes(signed.encode("ascii"), unquote_plus(raw["SigAlg"]), value, keys, allow_sha1=allow_sha1)
    xml = _inflated(_base64(unquote_plus(raw[name]), name))  # 3
    return IncomingMessage(name, unquote_plus(raw.get("RelayState", ""))[:MAX_RELAY_STATE], True, xml)


def read_post(form: Mapping[str, str]) -> IncomingMessage:
    """A message in a form, its signature in its XML. Raises MalformedEvidence."""
    name = _message_field(form.keys())
    xml = _base64("".join(form[name].split()), name)
    return IncomingMessage(name, form.get("RelayState", "")[:MAX_RELAY_STATE], False, xml)


def _message_field(names: Collection[str]) -> MessageField:
    if ("SAMLRequest" in names) == ("SAMLResponse" in names):
        raise malformed("wire: there has to be one message")
    return "SAMLRequest" if "SAMLRequest" in names else "SAMLResponse"


def _parameters(query: str) -> dict[str, str]:
    """The raw values of a query by their names."""
    if len(query) > MAX_QUERY or not query.isascii():
        raise malformed("query: too long, or not ASCII")
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in found or name not in ("SAMLRequest", "SAMLResponse", "Signature", *_SIGNED):
            raise malformed(f"query: parameter {name[:64]} twice, or unknown")
        found[name] = value
    return found


def _base64(text: str, name: str) -> bytes:
    try:
        packed = text.encode("ascii")
        if len(packed) > 4 * (MAX_MESSAGE // 3 + 1):
            raise malformed(f"wire: {name} is too long")
        return binascii.a2b_base64(packed, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise malformed(f"wire: {name} is not base64") from None


def _inflated(packed: bytes) -> bytes:
    """RFC 1951, all of it, and no more than a message may have."""
    inflating = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        xml = inflating.decompress(packed, MAX_MESSAGE)
    except zlib.error:
        raise malformed("wire: not deflated") from None
    if not inflating.eof or inflating.unused_data:
        raise malformed(f"wire: deflated, longer than {MAX_MESSAGE} bytes, cut off, or with something behind it")
    return xml

"""A small SAML identity provider for the demonstration: metadata, a page to sign in at, and signed responses.

It writes XML as exclusive canonicalization would (namespaces where they are used first, attributes in order, no empty
tags), so that what is signed are the very bytes. It reads requests as far as a demonstration needs: it trusts anybody.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
import threading
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

PERSON = "alice@example.com"
_AWS = "https://aws.amazon.com/SAML/Attributes/"
_SAML, _SAMLP = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
_MD, _DS = "urn:oasis:names:tc:SAML:2.0:metadata", "http://www.w3.org/2000/09/xmldsig#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
_REQUEST_ID = re.compile(rb'\sID="([A-Za-z0-9_.-]{1,128})"')
_MAX_REQUEST = 64 * 1024


class DemoSamlProvider:
    """Serves on a free loopback port until ``close``. ``audience`` and ``acs_url`` are the broker's, ``role`` is a
    value of AWS's attribute Role."""

    def __init__(self, audience: str, acs_url: str, role: str) -> None:
        self._audience, self.acs_url, self._role = audience, acs_url, role
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self._certificate = base64.b64encode(_certificate(self._key)).decode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="demo-saml-idp", daemon=True).start()

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/metadata"

    def metadata(self) -> str:
        return (
            f'<EntityDescriptor xmlns="{_MD}" entityID="{self.metadata_url}"><IDPSSODescriptor'
            f' protocolSupportEnumeration="{_SAMLP}"><KeyDescriptor use="signing"><KeyInfo xmlns="{_DS}"><X509Data>'
            f"<X509Certificate>{self._certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"
            f'<SingleSignOnService Binding="{_REDIRECT}" Location="{self.url}/sso"/></IDPSSODescriptor>'
            "</EntityDescriptor>"
        )

    def response(self, request_id: str | None = None) -> str:
        """A response about ``PERSON``, in base64: to this request, or to nobody's."""
        now = datetime.now(UTC)
        issued, end = (f"{now + timedelta(seconds=offset):%Y-%m-%dT%H:%M:%SZ}" for offset in (-5, 300))
        answers = f' InResponseTo="{request_id}"' if request_id else ""
        assertion_id = f"_{secrets.token_hex(16)}"
        start = (
            f'<saml:Assertion xmlns:saml="{_SAML}" ID="{assertion_id}" IssueInstant="{issued}" Version="2.0">'
            f"<saml:Issuer>{self.metadata_url}</saml:Issuer>"
        )
        rest = (
            f'<saml:Subject><saml:NameID Format="{_EMAIL}">{PERSON}</saml:NameID>'
            '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData{answers} NotOnOrAfter="{end}" Recipient="{self.acs_url}">'
            "</saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>"
            f'<saml:Conditions NotBefore="{issued}" NotOnOrAfter="{end}"><saml:AudienceRestriction><saml:Audience>'
            f"{self._audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>"
            f'<saml:AuthnStatement AuthnInstant="{issued}"><saml:AuthnContext><saml:AuthnContextClassRef>'
            "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
            f"</saml:AuthnStatement><saml:AttributeStatement>{self._attributes()}</saml:AttributeStatement>"
            "</saml:Assertion>"
        )
        assertion = start + self._signature(start + rest, assertion_id) + rest
        response_id = f"_{secrets.token_hex(16)}"
        response = (
            f'<samlp:Response xmlns:samlp="{_SAMLP}" Destination="{self.acs_url}" ID="{response_id}"{answers}'
            f' IssueInstant="{issued}" Version="2.0"><samlp:Status><samlp:StatusCode'
            f' Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{assertion}</samlp:Response>'
        )
        return base64.b64encode(response.encode()).decode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _attributes(self) -> str:
        values = {f"{_AWS}Role": self._role, f"{_AWS}RoleSessionName": PERSON, "department": "engineering"}
        return "".join(
            f'<saml:Attribute Name="{name}"><saml:AttributeValue>{escape(value)}</saml:AttributeValue></saml:Attribute>'
            for name, value in values.items()
        )

    def _signature(self, signed: str, element_id: str) -> str:
        """XML Signature 1.1, 4: over the digest of the canonical bytes."""
        digest = base64.b64encode(hashlib.sha256(signed.encode()).digest()).decode()
        inner = (
            f'<ds:CanonicalizationMethod Algorithm="{_EXCLUSIVE}"></ds:CanonicalizationMethod>'
            '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>'
            f'<ds:Reference URI="#{element_id}"><ds:Transforms><ds:Transform Algorithm="{_DS}enveloped-signature">'
            f'</ds:Transform><ds:Transform Algorithm="{_EXCLUSIVE}"></ds:Transform></ds:Transforms>'
            '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>'
            f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        )
        canonical = f'<ds:SignedInfo xmlns:ds="{_DS}">{inner}'
        value = base64.b64encode(self._key.sign(canonical.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
        return (
            f'<ds:Signature xmlns:ds="{_DS}"><ds:SignedInfo>{inner}<ds:SignatureValue>{value}</ds:SignatureValue>'
            "</ds:Signature>"
        )


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    now, name = datetime.now(UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demo identity provider")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    return builder.not_valid_after(now + timedelta(days=365)).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def request_id(query: Mapping[str, list[str]]) -> str | None:
    """The id of the AuthnRequest in a query; None for what is none."""
    try:
        packed = base64.b64decode(query.get("SAMLRequest", [""])[0])
        found = _REQUEST_ID.search(zlib.decompressobj(wbits=-15).decompress(packed, _MAX_REQUEST))
    except (ValueError, zlib.error):
        return None
    return found[1].decode() if found else None


def _handler(provider: DemoSamlProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/metadata":
                self._answer(provider.metadata(), "application/samlmetadata+xml")
                return
            query = parse_qs(parts.query)
            asked, relay_state = request_id(query), query.get("RelayState", [""])[0]
            fields = {"SAMLResponse": provider.response(asked), "RelayState": relay_state} if asked else {}
            hidden = "".join(
                f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items()
            )
            self._answer(
                f'<!doctype html><html lang="en"><title>Demo identity provider</title><h1>Demo identity provider</h1>'
                f'<form method="post" action="{provider.acs_url}">{hidden}<button>Sign in as {PERSON}</button></form>',
                "text/html; charset=utf-8",
            )

        def _answer(self, text: str, kind: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """The demonstration prints its own lines."""

    return Handler

"""Logout messages as an identity provider or an attacker makes them, and what we send, taken apart."""

from __future__ import annotations

import base64
import urllib.parse
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree
from realm import saml_forge as forge

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_MAPS = {"saml": forge.SAML, "samlp": forge.SAMLP}


@dataclass(slots=True)
class Logout:
    """A LogoutRequest, or with ``in_response_to`` a LogoutResponse, in pieces."""

    destination: str
    subject: str = forge.SUBJECT
    indexes: tuple[str, ...] = ()
    in_response_to: str = ""
    id: str = "_logout1"
    issuer: str = forge.ENTITY_ID
    issued: str = ""
    not_on_or_after: str = ""
    version: str = "2.0"
    status: str = forge.SUCCESS
    name_id: str = ""

    def xml(self) -> str:
        name = "LogoutResponse" if self.in_response_to else "LogoutRequest"
        values = {"ID": self.id, "Version": self.version, "Destination": self.destination}
        values["IssueInstant"] = self.issued or forge.instant(-5, datetime.now(UTC))
        values |= {"NotOnOrAfter": self.not_on_or_after, "InResponseTo": self.in_response_to}
        attributes = "".join(f" {key}={quoteattr(value)}" for key, value in values.items() if value)
        name_id = self.name_id or f'<saml:NameID Format="{forge.EMAIL}">{escape(self.subject)}</saml:NameID>'
        inner = name_id + "".join(f"<samlp:SessionIndex>{escape(one)}</samlp:SessionIndex>" for one in self.indexes)
        if self.in_response_to:
            inner = f"<samlp:Status><samlp:StatusCode Value={quoteattr(self.status)}/></samlp:Status>"
        return (
            f"<samlp:{name} {forge.NAMESPACES}{attributes}><saml:Issuer>{escape(self.issuer)}</saml:Issuer>{inner}"
            f"</samlp:{name}>"
        )

    @property
    def field(self) -> str:
        return "SAMLResponse" if self.in_response_to else "SAMLRequest"

    def query(self, *, relay_state: str = "", key: str = "idp", algorithm: str = RSA_SHA256) -> str:
        """Signed, as the Redirect binding has it."""
        packed = zlib.compressobj(wbits=-15)
        text = base64.b64encode(packed.compress(self.xml().encode()) + packed.flush()).decode()
        return signed_query([(self.field, text), ("RelayState", relay_state)], key, algorithm)

    def form(self, *, relay_state: str = "", key: str = "idp") -> dict[str, str]:
        """Signed, as the POST binding has it."""
        signed = forge.Signer(key=key).sign(self.xml(), self.id)
        return {self.field: forge.pack(signed)} | ({"RelayState": relay_state} if relay_state else {})


def signed_query(parts: list[tuple[str, str]], key: str = "idp", algorithm: str = RSA_SHA256) -> str:
    named = [(name, value) for name, value in parts if value] + [("SigAlg", algorithm)]
    query = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in named)
    digest = forge.HASHES["sha1" if algorithm.endswith("sha1") else "sha256"]
    made = forge.private_key(key).sign(query.encode(), padding.PKCS1v15(), digest)
    return f"{query}&Signature={urllib.parse.quote(base64.b64encode(made).decode(), safe='')}"


@dataclass(slots=True)
class Sent:
    """A message of ours as the provider gets it."""

    address: str
    values: dict[str, str]
    root: Any

    @classmethod
    def redirected(cls, location: str) -> Sent:
        address, _, query = location.partition("?")
        values = dict(urllib.parse.parse_qsl(query))
        packed = base64.b64decode(values.get("SAMLRequest") or values["SAMLResponse"])
        return cls(address, values | {"query": query}, etree.fromstring(zlib.decompress(packed, -15)))

    @classmethod
    def posted(cls, page: str) -> Sent:
        form = Form(page)
        packed = base64.b64decode(form.fields.get("SAMLRequest") or form.fields["SAMLResponse"])
        return cls(form.action, form.fields, etree.fromstring(packed))

    @property
    def id(self) -> str:
        return str(self.root.get("ID"))

    @property
    def relay_state(self) -> str:
        return self.values.get("RelayState", "")

    def text(self, path: str) -> str | None:
        found = self.root.find(path, _MAPS)
        return None if found is None else found.text


class Form(HTMLParser):
    """The form of a page that is for somebody else, and the link that is to be followed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = self.link = ""
        self.fields: dict[str, str] = {}
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and "data-send" in found:
            self._inside, self.action = True, found.get("action") or ""
        elif tag == "input" and self._inside and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""
        elif tag == "a" and "data-follow" in found:
            self.link = found.get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

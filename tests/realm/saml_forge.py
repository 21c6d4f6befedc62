"""SAML responses as an identity provider or an attacker makes them; keys are made anew in each run.

A ``Draft`` is a response in pieces, each of which a test may replace by any text. ``sign`` and ``encrypt`` work on text
and with the plainest means (lxml's canonicalization, cryptography), so that they can be made to do what no library
would.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID
from lxml import etree

ACCOUNT = "123456789012"
ENTITY_ID = "https://idp.example/metadata"
AUDIENCE = "https://broker.example/saml"
ACS = "https://broker.example/saml/acs"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/realm"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Developer"
SUBJECT = "alice@realm.example"
AWS = "https://aws.amazon.com/SAML/Attributes/"
NOW = datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC)

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DS}enveloped-signature"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
NAMESPACES = f'xmlns:saml="{SAML}" xmlns:samlp="{SAMLP}"'
XSI = 'xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

HASHES = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "md5": hashes.MD5(),
}
SIGNATURE_URIS = {
    ("rsa", "sha1"): f"{DS}rsa-sha1",
    ("rsa", "md5"): f"{MORE}rsa-md5",
    **{(kind, name): f"{MORE}{kind}-{name}" for kind in ("rsa", "ecdsa") for name in ("sha256", "sha384", "sha512")},
}
DIGEST_URIS = {
    "sha1": f"{DS}sha1",
    "md5": f"{MORE}md5",
    "sha256": f"{XENC}sha256",
    "sha384": f"{MORE}sha384",
    "sha512": f"{XENC}sha512",
}


def instant(offset: float = 0, now: datetime = NOW) -> str:
    """The time of so many seconds from now, as SAML writes it."""
    return (now + timedelta(seconds=offset)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- keys -----------------------------------------------------------------------------------------------------------


@cache
def private_key(name: str = "idp") -> Any:
    """The private key of this name: ``ec…`` on P-256, ``weak`` too short, all others RSA. ``sp`` is the broker's."""
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65_537, key_size=1_024 if name == "weak" else 2_048)


@cache
def certificate(name: str = "idp", subject: str = "") -> x509.Certificate:
    """A certificate that the key of this name signed itself; ``subject`` may be somebody else's."""
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or name)])
    builder = (
        x509.CertificateBuilder().subject_name(named).issuer_name(named).serial_number(x509.random_serial_number())
    )
    builder = builder.public_key(private_key(name).public_key())
    builder = builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2040, 1, 1, tzinfo=UTC)
    )
    return builder.sign(private_key(name), hashes.SHA256())


def certificate_text(name: str = "idp", subject: str = "") -> str:
    """As it stands in XML."""
    return base64.b64encode(certificate(name, subject).public_bytes(serialization.Encoding.DER)).decode()


def certificate_pem(name: str = "idp") -> str:
    return certificate(name).public_bytes(serialization.Encoding.PEM).decode()


def private_pem(name: str = "sp") -> str:
    return (
        private_key(name)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def key_info(name: str = "idp", subject: str = "") -> str:
    data = f"<ds:X509Data><ds:X509Certificate>{certificate_text(name, subject)}</ds:X509Certificate></ds:X509Data>"
    return f'<ds:KeyInfo xmlns:ds="{DS}">{data}</ds:KeyInfo>'


def metadata(*names: str, entity_id: str = ENTITY_ID, valid_until: str = "", use: str = ' use="signing"') -> str:
    """Of the identity provider; ``names`` are those of its signing keys."""
    keys = "".join(f"<md:KeyDescriptor{use}>{key_info(name)}</md:KeyDescriptor>" for name in names or ("idp",))
    until = f' validUntil="{valid_until}"' if valid_until else ""
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID={quoteattr(entity_id)}{until}>'
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{SAMLP}">{keys}'
        f'<md:SingleLogoutService Binding="{BINDING}Redirect" Location="https://idp.example/slo"'
        ' ResponseLocation="https://idp.example/slo-done"/>'
        f'<md:SingleLogoutService Binding="{BINDING}POST" Location="https://idp.example/slo-post"/>'
        f'<md:SingleSignOnService Binding="{BINDING}Redirect" Location="https://idp.example/sso"/>'
        f'<md:SingleSignOnService Binding="{BINDING}POST" Location="https://idp.example/sso-post"/>'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


# --- responses ------------------------------------------------------------------------------------------------------


def attribute(name: str, *values: str) -> str:
    """An attribute of texts."""
    inner = "".join(
        f'<saml:AttributeValue {XSI} xsi:type="xs:string">{escape(value)}</saml:AttributeValue>' for value in values
    )
    return f'<saml:Attribute Name={quoteattr(name)} NameFormat="{SAML}:basic">{inner}</saml:Attribute>'


def default_attributes() -> dict[str, tuple[str, ...]]:
    return {
        f"{AWS}Role": (f"{ROLE},{PROVIDER}",),
        f"{AWS}RoleSessionName": ("alice",),
        "mail": (SUBJECT,),
        "groups": ("engineering", "backend"),
    }


@dataclass(slots=True)
class Draft:
    """A response in pieces. Texts go into attributes, ``xml_…`` pieces into the document as they are."""

    now: datetime = NOW
    response_id: str = "_response1"
    assertion_id: str = "_assertion1"
    response_version: str = "2.0"
    assertion_version: str = "2.0"
    response_issued: str | None = None
    assertion_issued: str | None = None
    destination: str | None = ACS
    in_response_to: str | None = None
    issuer: str = ENTITY_ID
    response_issuer: str | None = ENTITY_ID
    status: str = SUCCESS
    subject: str = SUBJECT
    name_format: str | None = EMAIL
    name_qualifiers: str = ""
    method: str = BEARER
    recipient: str | None = ACS
    confirmation_end: str | None = None
    confirmation_more: str = ""
    not_before: str | None = None
    not_on_or_after: str | None = None
    audiences: Sequence[Sequence[str]] = ((AUDIENCE,),)
    authn_instant: str | None = None
    session_end: str | None = None
    attributes: Mapping[str, Sequence[str]] = field(default_factory=default_attributes)
    xml_status: str | None = None
    xml_name_id: str | None = None
    xml_confirmation: str | None = None
    xml_conditions: str | None = None
    xml_more_conditions: str = ""
    xml_authn: str | None = None
    xml_attributes: str | None = None
    xml_more_attributes: str = ""
    xml_more_assertion: str = ""
    xml_assertion: str | None = None
    xml_before_assertion: str = ""
    xml_after_assertion: str = ""
    response_attributes: str = ""
    assertion_attributes: str = ""

    def without(self, name: str) -> str:
        """Sets an optional time to nothing at all."""
        setattr(self, name, "")
        return name

    def assertion(self) -> str:
        """Not signed."""
        if self.xml_assertion is not None:
            return self.xml_assertion
        issued = instant(-5, self.now) if self.assertion_issued is None else self.assertion_issued
        return (
            f"<saml:Assertion {NAMESPACES}"
            f"{_attributes(ID=self.assertion_id, IssueInstant=issued, Version=self.assertion_version)}"
            f"{self.assertion_attributes}><saml:Issuer>{escape(self.issuer)}</saml:Issuer>"
            f"<saml:Subject>{self._name_id()}{self._confirmation()}</saml:Subject>{self._conditions()}{self._authn()}"
            f"{self._attribute_statement()}{self.xml_more_assertion}</saml:Assertion>"
        )

    def response(self, assertion: str | None = None) -> str:
        """Around ``assertion``, by default its own."""
        issued = instant(-5, self.now) if self.response_issued is None else self.response_issued
        attributes = _attributes(
            ID=self.response_id,
            IssueInstant=issued,
            Version=self.response_version,
            Destination=self.destination,
            InResponseTo=self.in_response_to,
        )
        issuer = "" if self.response_issuer is None else f"<saml:Issuer>{escape(self.response_issuer)}</saml:Issuer>"
        status = f"<samlp:Status><samlp:StatusCode Value={quoteattr(self.status)}/></samlp:Status>"
        return (
            f"<samlp:Response {NAMESPACES}{attributes}{self.response_attributes}>{issuer}"
            f"{status if self.xml_status is None else self.xml_status}{self.xml_before_assertion}"
            f"{self.assertion() if assertion is None else assertion}{self.xml_after_assertion}</samlp:Response>"
        )

    def _name_id(self) -> str:
        if self.xml_name_id is not None:
            return self.xml_name_id
        attributes = f"{_attributes(Format=self.name_format)}{self.name_qualifiers}"
        return f"<saml:NameID{attributes}>{escape(self.subject)}</saml:NameID>"

    def _confirmation(self) -> str:
        if self.xml_confirmation is not None:
            return self.xml_confirmation
        end = instant(300, self.now) if self.confirmation_end is None else self.confirmation_end
        data = _attributes(NotOnOrAfter=end, Recipient=self.recipient, InResponseTo=self.in_response_to)
        return (
            f"<saml:SubjectConfirmation Method={quoteattr(self.method)}><saml:SubjectConfirmationData{data}"
            f"{self.confirmation_more}/></saml:SubjectConfirmation>"
        )

    def _conditions(self) -> str:
        if self.xml_conditions is not None:
            return self.xml_conditions
        start = instant(-5, self.now) if self.not_before is None else self.not_before
        end = instant(300, self.now) if self.not_on_or_after is None else self.not_on_or_after
        restrictions = "".join(
            "<saml:AudienceRestriction>"
            + "".join(f"<saml:Audience>{escape(one)}</saml:Audience>" for one in each)
            + "</saml:AudienceRestriction>"
            for each in self.audiences
        )
        attributes = _attributes(NotBefore=start, NotOnOrAfter=end)
        return f"<saml:Conditions{attributes}>{restrictions}{self.xml_more_conditions}</saml:Conditions>"

    def _authn(self) -> str:
        if self.xml_authn is not None:
            return self.xml_authn
        moment = instant(-10, self.now) if self.authn_instant is None else self.authn_instant
        return (
            f"<saml:AuthnStatement{_attributes(AuthnInstant=moment, SessionNotOnOrAfter=self.session_end)}>"
            f"<saml:AuthnContext><saml:AuthnContextClassRef>{PASSWORD}</saml:AuthnContextClassRef></saml:AuthnContext>"
            "</saml:AuthnStatement>"
        )

    def _attribute_statement(self) -> str:
        if self.xml_attributes is not None:
            return self.xml_attributes
        inner = "".join(attribute(name, *values) for name, values in self.attributes.items())
        return f"<saml:AttributeStatement>{inner}{self.xml_more_attributes}</saml:AttributeStatement>"


def _attributes(**values: str | None) -> str:
    """An empty text leaves the attribute out."""
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value)


# --- signatures -----------------------------------------------------------------------------------------------------

TRANSFORMS = f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}"/>'


def canonical(element: Any, prefixes: Sequence[str] = ()) -> bytes:
    """Of what cannot be canonicalized: nothing, as careless libraries have it (CVE-2025-66568)."""
    try:
        return etree.tostring(element, method="c14n", exclusive=True, inclusive_ns_prefixes=list(prefixes) or None)
    except etree.C14NError:
        return b""


def sign_bytes(data: bytes, key: str, digest: str) -> bytes:
    """As XML Signature wants it: an ECDSA signature is r and s, one after the other."""
    private = private_key(key)
    if not key.startswith("ec"):
        return private.sign(data, padding.PKCS1v15(), HASHES[digest])
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(HASHES[digest])))
    return r.to_bytes(32) + s.to_bytes(32)


@dataclass(slots=True)
class Signer:
    """How a signature is made; every piece can be another than it should be."""

    key: str = "idp"
    digest: str = "sha256"
    reference_digest: str = ""
    method: str | None = None
    digest_method: str | None = None
    canonicalization: str = EXCLUSIVE
    transforms: str = TRANSFORMS
    uri: str | None = None
    key_info: str | None = None
    xml_in_method: str = ""
    xml_in_canonicalization: str = ""
    xml_in_reference: str = ""
    reference_attributes: str = ""
    more_references: str = ""
    objects: str = ""
    prefixes: Sequence[str] = ()
    digest_value: str | None = None
    signature_value: str | None = None

    def signature(self, digested: bytes, element_id: str) -> str:
        """The Signature element over these bytes."""
        reference_digest = self.reference_digest or self.digest
        value = base64.b64encode(hashlib.new(reference_digest, digested).digest()).decode()
        kind = "ecdsa" if self.key.startswith("ec") else "rsa"
        uri = f"#{element_id}" if self.uri is None else self.uri
        method = SIGNATURE_URIS[kind, self.digest] if self.method is None else self.method
        info = (
            f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{self.canonicalization}">'
            f"{self.xml_in_canonicalization}</ds:CanonicalizationMethod>"
            f'<ds:SignatureMethod Algorithm="{method}">{self.xml_in_method}'
            f'</ds:SignatureMethod><ds:Reference URI="{uri}"{self.reference_attributes}>{self.xml_in_reference}'
            f"<ds:Transforms>{self.transforms}</ds:Transforms>"
            f'<ds:DigestMethod Algorithm="{self.digest_method or DIGEST_URIS[reference_digest]}"/>'
            f"<ds:DigestValue>{value if self.digest_value is None else self.digest_value}</ds:DigestValue>"
            f"</ds:Reference>{self.more_references}</ds:SignedInfo>"
        )
        signed = canonical(etree.fromstring(info))
        made = base64.b64encode(sign_bytes(signed, self.key, self.digest)).decode()
        shown = key_info(self.key) if self.key_info is None else self.key_info
        return (
            f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>'
            f"{made if self.signature_value is None else self.signature_value}</ds:SignatureValue>"
            f"{shown}{self.objects}</ds:Signature>"
        )

    def sign(self, xml: str, element_id: str) -> str:
        """``xml`` with a signature of the element of this id, after its Issuer."""
        root = etree.fromstring(xml.encode())
        (element,) = root.xpath("//*[@ID=$id]", id=element_id)
        signature = etree.fromstring(self.signature(canonical(element, self.prefixes), element_id))
        issuers = [at for at, child in enumerate(element) if child.tag == f"{{{SAML}}}Issuer"]
        element.insert(issuers[0] + 1 if issuers else 0, signature)
        return etree.tostring(root).decode()


def signed(draft: Draft | None = None, which: str = "assertion", signer: Signer | None = None) -> str:
    """A response with its assertion, itself, or both signed."""
    draft, signer = draft or Draft(), signer or Signer()
    xml = draft.response()
    if which in ("assertion", "both"):
        xml = signer.sign(xml, draft.assertion_id)
    if which in ("response", "both"):
        xml = signer.sign(xml, draft.response_id)
    return xml


def pack(xml: str | bytes) -> str:
    """As the form's field."""
    return base64.b64encode(xml.encode() if isinstance(xml, str) else xml).decode()


# --- encryption -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Encryptor:
    """How something is encrypted; every piece can be another than it should be."""

    key: str = "sp"
    transport: str = f"{XENC}rsa-oaep-mgf1p"
    oaep_digest: str = ""
    mgf: str = ""
    method: str = f"{XENC11}aes256-gcm"
    beside: bool = False
    key_methods: str = ""
    change: Any = None
    """What happens to the encrypted data."""
    cipher_data: str | None = None

    def encrypt(self, plain: str | bytes, around: str = "EncryptedAssertion") -> str:
        """An EncryptedAssertion, or another element, with ``plain`` in it."""
        data_key = os.urandom(16 if "128" in self.method else 24 if "192" in self.method else 32)
        cipher = self._data(data_key, plain.encode() if isinstance(plain, str) else plain)
        if self.change is not None:
            cipher = self.change(cipher)
        digest = (
            f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{DIGEST_URIS[self.oaep_digest]}"/>'
            if self.oaep_digest
            else ""
        )
        mgf = f'<e:MGF xmlns:e="{XENC11}" Algorithm="{XENC11}mgf1{self.mgf}"/>' if self.mgf else ""
        sealed = (
            f'<xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="{self.transport}">{digest}{mgf}{self.key_methods}'
            f"</xenc:EncryptionMethod>{_cipher_data(self._seal(data_key))}</xenc:EncryptedKey>"
        )
        info = "" if self.beside else f'<ds:KeyInfo xmlns:ds="{DS}">{sealed}</ds:KeyInfo>'
        return (
            f'<saml:{around} xmlns:saml="{SAML}" xmlns:xenc="{XENC}"><xenc:EncryptedData Type="{XENC}Element">'
            f'<xenc:EncryptionMethod Algorithm="{self.method}"/>{info}'
            f"{_cipher_data(cipher) if self.cipher_data is None else self.cipher_data}</xenc:EncryptedData>"
            f"{sealed if self.beside else ''}</saml:{around}>"
        )

    def _data(self, key: bytes, plain: bytes) -> bytes:
        if self.method.endswith("gcm"):
            nonce = os.urandom(12)
            return nonce + AESGCM(key).encrypt(nonce, plain, None)
        length = 16 - len(plain) % 16
        start = os.urandom(16)
        encryptor = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
        return start + encryptor.update(plain + os.urandom(length - 1) + bytes([length])) + encryptor.finalize()

    def _seal(self, data_key: bytes) -> bytes:
        public = private_key(self.key).public_key()
        if self.transport.endswith("rsa-1_5"):
            return public.encrypt(data_key, padding.PKCS1v15())
        mgf = padding.MGF1(HASHES[self.mgf or "sha1"])
        return public.encrypt(data_key, padding.OAEP(mgf, HASHES[self.oaep_digest or "sha1"], None))


def _cipher_data(raw: bytes) -> str:
    return f"<xenc:CipherData><xenc:CipherValue>{base64.b64encode(raw).decode()}</xenc:CipherValue></xenc:CipherData>"


def encrypted(
    draft: Draft | None = None,
    which: str = "assertion",
    signer: Signer | None = None,
    encryptor: Encryptor | None = None,
) -> str:
    """A response with its assertion encrypted; ``which`` of the two is signed, the assertion before the encryption."""
    draft, signer, encryptor = draft or Draft(), signer or Signer(), encryptor or Encryptor()
    assertion = draft.assertion()
    if which in ("assertion", "both"):
        assertion = signer.sign(assertion, draft.assertion_id)
    xml = draft.response(encryptor.encrypt(assertion))
    return signer.sign(xml, draft.response_id) if which in ("response", "both") else xml

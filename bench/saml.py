"""What verifying a SAML response costs, against python3-saml's own full validation of the same bytes.

``python -m bench.saml`` makes an identity provider with keys of its own, signs one response of the size that IdPs send,
and measures CPU time in one process: the broker's provider, python3-saml at its strictest, and refusals of the same
size. Every answer is checked: a benchmark that does not verify would be fast.
"""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from providers.errors import ProviderError
from providers.saml.checks import SamlRules
from providers.saml.metadata import parse_metadata
from providers.saml.provider import SamlProvider
from providers.saml.response import KeyRules, parse_saml_response
from providers.saml.xmlsig import load_key

ENTITY_ID, AUDIENCE, ACS = (
    "https://idp.example/metadata",
    "https://broker.example/saml",
    "https://broker.example/saml/acs",
)
NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
ROUNDS, CALLS = 7, 150
BAR, REFUSAL_BAR = 3.0, 2.0
_SAML, _SAMLP = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def _certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(_KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - timedelta(days=1))
    made = builder.not_valid_after(NOW + timedelta(days=999)).sign(_KEY, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


CERTIFICATE = base64.b64encode(_certificate()).decode()


def make_response(
    signing_key: rsa.RSAPrivateKey = _KEY, *, now: datetime = NOW, assertion_id: str = "_a", more: str = ""
) -> bytes:
    """A response of about 5.6 KB, its assertion signed by xmlsec; ``more`` are attributes besides."""
    start, end = (f"{now + timedelta(seconds=offset):%Y-%m-%dT%H:%M:%SZ}" for offset in (-5, 300))
    attributes = "".join(
        f'<saml:Attribute Name="https://idp.example/attributes/{number}"><saml:AttributeValue>value {number}'
        " of a person</saml:AttributeValue></saml:Attribute>"
        for number in range(16)
    )
    xml = (
        f'<samlp:Response xmlns:samlp="{_SAMLP}" xmlns:saml="{_SAML}" ID="_r" Version="2.0" IssueInstant="{start}"'
        f' Destination="{ACS}"><saml:Issuer>{ENTITY_ID}</saml:Issuer><samlp:Status><samlp:StatusCode'
        ' Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
        f'<saml:Assertion ID="{assertion_id}" Version="2.0" IssueInstant="{start}">'
        f"<saml:Issuer>{ENTITY_ID}</saml:Issuer>"
        '<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">alice@realm.example'
        '</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f'<saml:SubjectConfirmationData NotOnOrAfter="{end}" Recipient="{ACS}"/></saml:SubjectConfirmation>'
        f'</saml:Subject><saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}"><saml:AudienceRestriction>'
        f"<saml:Audience>{AUDIENCE}"
        f'</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{start}">'
        "<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
        "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        f"<saml:AttributeStatement>{attributes}{more}</saml:AttributeStatement></saml:Assertion></samlp:Response>"
    )
    root = etree.fromstring(xml)
    assertion = root[-1]
    transform = xmlsec.constants
    node = xmlsec.template.create(assertion, transform.TransformExclC14N, transform.TransformRsaSha256, ns="ds")
    assertion.insert(1, node)
    reference = xmlsec.template.add_reference(node, transform.TransformSha256, uri=f"#{assertion_id}")
    xmlsec.template.add_transform(reference, transform.TransformEnveloped)
    xmlsec.template.add_transform(reference, transform.TransformExclC14N)
    data = xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(node))
    etree.SubElement(data, "{http://www.w3.org/2000/09/xmldsig#}X509Certificate").text = CERTIFICATE
    context = xmlsec.SignatureContext()
    pem = signing_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context.key = xmlsec.Key.from_memory(pem, transform.KeyDataFormatPem)
    context.register_id(assertion, "ID")
    context.sign(node)
    return etree.tostring(root)


def metadata_document() -> str:
    """The identity provider's."""
    descriptor = (
        f'<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{CERTIFICATE}'
        "</X509Certificate></X509Data></KeyInfo>"
    )
    return (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY_ID}"><IDPSSODescriptor>'
        f"<KeyDescriptor>{descriptor}</KeyDescriptor></IDPSSODescriptor></EntityDescriptor>"
    )


def ours() -> Callable[[str], bool]:
    """Whether the broker's provider takes a response."""
    metadata = parse_metadata(metadata_document())
    keys = KeyRules(tuple(load_key(one.der, one.fingerprint) for one in metadata.certificates))
    provider = SamlProvider("bench", metadata, SamlRules(ENTITY_ID, (AUDIENCE,), (ACS,)), keys)

    def take(text: str) -> bool:
        try:
            return provider.authenticate(parse_saml_response(text), now=NOW).subject == "alice@realm.example"
        except ProviderError:
            return False

    return take


def theirs() -> Callable[[str], bool]:
    """Whether python3-saml takes it, all checks switched on."""
    settings = OneLogin_Saml2_Settings(
        {
            "strict": True,
            "sp": {"entityId": AUDIENCE, "assertionConsumerService": {"url": ACS}},
            "idp": {
                "entityId": ENTITY_ID,
                "singleSignOnService": {"url": "https://idp.example"},
                "x509cert": CERTIFICATE,
            },
            "security": {"wantAssertionsSigned": True, "rejectDeprecatedAlgorithm": True, "wantNameId": True},
        }
    )
    request = {"https": "on", "http_host": "broker.example", "script_name": "/saml/acs"}

    def take(text: str) -> bool:
        return bool(OneLogin_Saml2_Response(settings, text).is_valid(request))

    return take


def microseconds(take: Callable[[str], bool], text: str, expected: bool) -> float:
    """CPU a call, over a round of calls."""
    began = time.process_time()
    for _ in range(CALLS):
        if take(text) is not expected:
            raise RuntimeError("a wrong answer")
    return (time.process_time() - began) / CALLS * 1e6


def main() -> None:
    good = make_response()
    evil = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    text, altered, forged = (
        base64.b64encode(xml).decode() for xml in (good, good.replace(b"alice@", b"admin@"), make_response(evil))
    )
    own, library = ours(), theirs()
    rounds: list[tuple[float, ...]] = []
    with patch.object(OneLogin_Saml2_Utils, "now", staticmethod(lambda: int(NOW.timestamp()))):
        for _ in range(ROUNDS):  # one after the other, so that neighbours disturb all alike
            rounds.append(
                (
                    microseconds(library, text, True),
                    microseconds(own, text, True),
                    microseconds(own, altered, False),
                    microseconds(own, forged, False),
                )
            )
    print(f"a response of {len(good)} bytes; CPU microseconds a call in one process, {ROUNDS} rounds of {CALLS}")
    for number, name in enumerate(("python3-saml", "accredit", "refused: altered", "refused: another key's")):
        costs = [each[number] for each in rounds]
        print(f"  {name:24} median {statistics.median(costs):6.0f}   least {min(costs):6.0f}")
    ratios = [each[0] / each[1] for each in rounds]
    print(
        f"python3-saml / accredit: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}); bar {BAR}"
    )
    refusals = [max(each[2:]) / each[1] for each in rounds]
    print(f"the dearer refusal / an acceptance: {statistics.median(refusals):.2f}; bar {REFUSAL_BAR}")


if __name__ == "__main__":
    main()

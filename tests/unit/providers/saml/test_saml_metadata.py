"""Metadata of identity providers: what is read of it, and what cannot be registered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from realm import saml_forge as forge
from realm.saml_forge import MD, NOW, certificate_text, key_info, metadata

from providers.errors import MalformedEvidence, ProviderError
from providers.saml.document import Limits, parse_document
from providers.saml.encryption import load_private_key
from providers.saml.metadata import Endpoint, parse_metadata

GOOD = metadata("idp", "ec-new")


def test_what_is_read():
    found = parse_metadata(metadata("idp", "ec-new", valid_until="2027-02-01T00:00:00Z"))
    assert found.entity_id == forge.ENTITY_ID
    assert [one.subject for one in found.certificates] == ["CN=idp", "CN=ec-new"]
    assert found.certificates[0].not_after == datetime(2040, 1, 1, tzinfo=UTC)
    assert found.certificates[0].fingerprint.count(":") == 31
    assert found.single_sign_on == (
        Endpoint(f"{forge.BINDING}Redirect", "https://idp.example/sso"),
        Endpoint(f"{forge.BINDING}POST", "https://idp.example/sso-post"),
    )
    assert found.single_logout == (
        Endpoint(f"{forge.BINDING}Redirect", "https://idp.example/slo", "https://idp.example/slo-done"),
        Endpoint(f"{forge.BINDING}POST", "https://idp.example/slo-post"),
    )
    assert found.valid_until == datetime(2027, 2, 1, tzinfo=UTC)
    assert found.wants_signed_requests is False
    assert parse_metadata(GOOD).valid_until is None


@pytest.mark.parametrize(
    "text",
    [
        f'<?xml version="1.0" encoding="utf-8"?>\n<!-- of the vendor -->\n{GOOD}\n',
        f"\ufeff{GOOD}",
        f'<md:EntitiesDescriptor xmlns:md="{MD}">{GOOD}<md:EntityDescriptor entityID="sp"/></md:EntitiesDescriptor>',
        GOOD.replace(' use="signing"', ""),
        GOOD.replace("<md:IDPSSODescriptor", '<md:IDPSSODescriptor WantAuthnRequestsSigned="true"'),
        GOOD.replace(certificate_text("idp"), "\n".join([certificate_text("idp")[:64], certificate_text("idp")[64:]])),
    ],
    ids=["comment", "byte-order-mark", "entities", "no-use", "wants-signed", "line-breaks"],
)
def test_good_metadata(text):
    assert parse_metadata(text).entity_id == forge.ENTITY_ID


def test_a_key_for_encryption_does_not_sign():
    text = GOOD.replace('<md:KeyDescriptor use="signing">', '<md:KeyDescriptor use="encryption">', 1)
    assert [one.subject for one in parse_metadata(text).certificates] == ["CN=ec-new"]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "document: "),
        ("<html/>", "html is no EntityDescriptor"),
        (GOOD[:-20], "document: "),
        ("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + GOOD, "document type"),
        (GOOD.replace(f'entityID="{forge.ENTITY_ID}"', ""), "entityID"),
        (GOOD.replace(forge.ENTITY_ID, "a b"), "entityID"),
        (GOOD.replace(forge.ENTITY_ID, "x" * 1_025), "entityID"),
        (GOOD.replace("IDPSSODescriptor", "SPSSODescriptor"), "0 elements IDPSSODescriptor"),
        (GOOD.replace("</md:EntityDescriptor>", "<md:IDPSSODescriptor/></md:EntityDescriptor>"), "2 elements"),
        (f'<md:EntitiesDescriptor xmlns:md="{MD}">{GOOD * 2}</md:EntitiesDescriptor>', "describes 2"),
        (GOOD.replace(' use="signing"', ' use="encryption"'), "no certificate for signing"),
        (GOOD.replace(key_info("idp"), "").replace(key_info("ec-new"), ""), "no certificate for signing"),
        (GOOD.replace(certificate_text("idp"), "AAAA"), "cannot be read"),
        (GOOD.replace(certificate_text("idp"), "!"), "cannot be read"),
        (metadata("weak"), "neither RSA of 2,048 bits"),
        (
            metadata(*[f"key-{number}" for number in range(2)]).replace("https://idp.example/sso", "javascript:x"),
            "no http",
        ),
        (metadata(valid_until="soon"), "validUntil"),
    ],
)
def test_metadata_that_cannot_be_registered(text, detail):
    with pytest.raises(ProviderError) as refusal:
        parse_metadata(text)
    assert detail in refusal.value.detail


def test_metadata_is_good_until_its_end():
    found = parse_metadata(metadata(valid_until="2027-01-15T08:00:01Z"))
    assert found.valid_until is not None
    assert found.valid_until > NOW


@pytest.mark.parametrize(
    ("limits", "detail"), [(Limits(size=10, nodes=9), "longer than 10 bytes"), (Limits(size=99, nodes=1), "1 nodes")]
)
def test_every_document_has_limits_of_its_own(limits: Limits, detail: str) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        parse_document(b"<a>text</a>", limits)
    assert detail in refusal.value.detail
    assert parse_document(b"<a>text</a>", Limits(size=11, nodes=2)).text == "text"


@pytest.mark.parametrize("name", ["weak", "ec-new"])
def test_what_cannot_decrypt_is_no_private_key(name: str) -> None:
    pem = forge.private_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValueError, match="not an RSA key of 2,048 bits"):
        load_private_key(pem)

"""What people of a SAML provider can do follows what is registered of it at this moment, in every worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from realm import saml_forge
from realm.saml_forge import AWS, Draft
from realm.server import ACCOUNT, BrokerServer, refused, serving
from realm.site import role, role_arn, trust

PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/made"


@pytest.fixture(scope="module")
def server(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 2})
    made.add(role("people", trust({"Federated": PROVIDER}, "sts:AssumeRoleWithSAML")))
    with serving(made):
        yield made


def assume(server: BrokerServer, *, encrypted: bool = False) -> Any:
    """With a new response of the provider, for us as the broker calls itself towards it."""
    us = f"{server.url}/saml/{ACCOUNT}/made"
    attributes = {f"{AWS}Role": [f"{role_arn('people')},{PROVIDER}"], f"{AWS}RoleSessionName": ["alice"]}
    draft = Draft(
        now=datetime.now(UTC),
        assertion_id=f"_{uuid.uuid4().hex}",
        attributes=attributes,
        audiences=((us,),),
        recipient=f"{us}/acs",
        destination=f"{us}/acs",
    )
    xml = (saml_forge.encrypted if encrypted else saml_forge.signed)(draft)
    return server.client().assume_role_with_saml(
        RoleArn=role_arn("people"), PrincipalArn=PROVIDER, SAMLAssertion=saml_forge.pack(xml)
    )


def test_people_come_and_go_with_the_registration(server: BrokerServer) -> None:
    iam = server.client(server.root, service="iam")

    def refused_everywhere(message: str, **how: bool) -> None:
        for _ in range(6):
            with refused("InvalidIdentityToken", message=message):
                assume(server, **how)

    refused_everywhere("Specified provider doesn't exist.")
    iam.create_saml_provider(Name="made", SAMLMetadataDocument=saml_forge.metadata())
    for _ in range(6):
        assert assume(server)["Issuer"] == saml_forge.ENTITY_ID
    iam.update_saml_provider(SAMLProviderArn=PROVIDER, SAMLMetadataDocument=saml_forge.metadata("other"))
    refused_everywhere("Response signature invalid")
    iam.update_saml_provider(SAMLProviderArn=PROVIDER, SAMLMetadataDocument=saml_forge.metadata("other", "idp"))
    for _ in range(6):
        assume(server)
    iam.delete_saml_provider(SAMLProviderArn=PROVIDER)
    refused_everywhere("Specified provider doesn't exist.")


def test_encrypted_assertions_need_the_key_that_was_added(server: BrokerServer) -> None:
    iam = server.client(server.root, service="iam")
    iam.create_saml_provider(Name="made", SAMLMetadataDocument=saml_forge.metadata())
    with refused("InvalidIdentityToken"):
        assume(server, encrypted=True)
    iam.update_saml_provider(
        SAMLProviderArn=PROVIDER, AddPrivateKey=saml_forge.private_pem("sp"), AssertionEncryptionMode="Required"
    )
    for _ in range(6):
        assume(server, encrypted=True)
    with refused("InvalidIdentityToken"):
        assume(server)
    iam.delete_saml_provider(SAMLProviderArn=PROVIDER)

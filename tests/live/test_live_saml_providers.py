"""SAML providers, as an administrator has them with boto3."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from realm.components import program
from realm.own_keys import ec_pem, rsa_pem, saml_metadata
from realm.server import ACCOUNT, BrokerServer, Keys, clean_environment, refused, request_id, serving
from realm.site import OTHER_ACCOUNT

UNKNOWN_KEY = "A" * 32


def arn(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:saml-provider/{name}"


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.fixture(scope="module")
def metadata() -> str:
    return saml_metadata()


@pytest.fixture
def provider(iam: Any, metadata: str) -> Iterator[str]:
    tags = [{"Key": "Team", "Value": "blue"}]
    made = iam.create_saml_provider(SAMLMetadataDocument=metadata, Name="Okta", Tags=tags)["SAMLProviderArn"]
    yield made
    try:
        iam.delete_saml_provider(SAMLProviderArn=made)
    except iam.exceptions.NoSuchEntityException:
        pass


def test_a_provider_comes_and_goes(iam: Any, broker: BrokerServer) -> None:
    until = datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
    document = saml_metadata("https://idp.example.com/a", "2031-01-02T03:04:05Z")
    tags = [{"Key": "a", "Value": "b"}]
    made = iam.create_saml_provider(SAMLMetadataDocument=document, Name="Shown_1.x-y", Tags=tags)
    here = made["SAMLProviderArn"]
    assert (here, made["Tags"]) == (arn("Shown_1.x-y"), tags)
    assert broker.event(request_id(made))["responseElements"]["samlProviderArn"] == here
    found = iam.get_saml_provider(SAMLProviderArn=here)
    assert found["SAMLMetadataDocument"] == document
    assert found["ValidUntil"] == until
    assert found["Tags"] == tags
    assert "PrivateKeyList" not in found
    assert found["AssertionEncryptionMode"] == "Allowed"
    (entry,) = [one for one in iam.list_saml_providers()["SAMLProviderList"] if one["Arn"] == here]
    assert (entry["ValidUntil"], entry["CreateDate"]) == (until, found["CreateDate"])
    iam.delete_saml_provider(SAMLProviderArn=here)
    with refused("NoSuchEntity", status=404, message=f"Manifest not found for arn {here}"):
        iam.get_saml_provider(SAMLProviderArn=here)


def test_metadata_without_an_end_has_none(iam: Any, provider: str) -> None:
    assert "ValidUntil" not in iam.get_saml_provider(SAMLProviderArn=provider)
    (entry,) = [one for one in iam.list_saml_providers()["SAMLProviderList"] if one["Arn"] == provider]
    assert "ValidUntil" not in entry


def test_names_are_unique_without_regard_to_case_and_issuers_are_not(iam: Any, provider: str, metadata: str) -> None:
    for name in ("Okta", "oKTA"):
        with refused("EntityAlreadyExists", status=409):
            iam.create_saml_provider(SAMLMetadataDocument=metadata, Name=name)
    second = iam.create_saml_provider(SAMLMetadataDocument=metadata, Name="Okta-2")["SAMLProviderArn"]
    iam.delete_saml_provider(SAMLProviderArn=second)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<md:EntityDescriptor", "<!DOCTYPE x [<!ENTITY a 'b'>]><md:EntityDescriptor"),
        ("md:EntityDescriptor", "md:Other"),
        ("md:IDPSSODescriptor", "md:SPSSODescriptor"),
        ("X509Certificate", "Nothing"),
        ('entityID="https://idp.example.com/saml"', ""),
        ("https://idp.example.com/saml", "https://idp.example.com/ saml"),
        ("entityID=", 'validUntil="tomorrow" entityID='),
        ("entityID=", 'validUntil="2021-01-01T00:00:00Z" entityID='),
        ("</md:EntityDescriptor>", ""),
    ],
)
def test_metadata_that_cannot_be_used(iam: Any, provider: str, metadata: str, old: str, new: str) -> None:
    assert old in metadata
    bad = metadata.replace(old, new)
    with refused("InvalidInput", status=400, message="The metadata "):
        iam.create_saml_provider(SAMLMetadataDocument=bad, Name="Bad")
    with refused("InvalidInput", status=400, message="The metadata "):
        iam.update_saml_provider(SAMLProviderArn=provider, SAMLMetadataDocument=bad)
    assert iam.get_saml_provider(SAMLProviderArn=provider)["SAMLMetadataDocument"] == metadata


def test_new_metadata_replaces_the_old(iam: Any, provider: str) -> None:
    document = saml_metadata("https://idp.example.com/new", "2032-01-01T00:00:00Z")
    assert (
        iam.update_saml_provider(SAMLProviderArn=provider, SAMLMetadataDocument=document)["SAMLProviderArn"] == provider
    )
    found = iam.get_saml_provider(SAMLProviderArn=provider)
    assert (found["SAMLMetadataDocument"], found["ValidUntil"].year) == (document, 2032)


def test_private_keys_roll_over(iam: Any, provider: str, broker: BrokerServer) -> None:
    def keys() -> list[str]:
        return [key["KeyId"] for key in iam.get_saml_provider(SAMLProviderArn=provider).get("PrivateKeyList", [])]

    first, second = rsa_pem(), rsa_pem(3_072)
    answer = iam.update_saml_provider(SAMLProviderArn=provider, AddPrivateKey=first, AssertionEncryptionMode="Required")
    assert "addPrivateKey" not in broker.event(request_id(answer))["requestParameters"]
    (old,) = keys()
    iam.update_saml_provider(SAMLProviderArn=provider, AddPrivateKey=second)
    assert keys()[0] == old
    assert len(keys()) == 2
    stored = str(broker.query("SELECT settings FROM identity_providers"))
    assert "sealed_private_keys" in stored
    assert not [line for pem in (first, second) for line in pem.splitlines() if line in stored]
    with refused("LimitExceeded", status=409, message="PrivateKeysPerSAMLProvider: 2"):
        iam.update_saml_provider(SAMLProviderArn=provider, AddPrivateKey=second)
    with refused("InvalidInput", status=400, message="separate requests"):
        iam.update_saml_provider(SAMLProviderArn=provider, AddPrivateKey=second, RemovePrivateKey=old)
    iam.update_saml_provider(SAMLProviderArn=provider, RemovePrivateKey=old)
    (new,) = keys()
    assert new != old
    for gone in (old, UNKNOWN_KEY):
        with refused("NoSuchEntity", status=404):
            iam.update_saml_provider(SAMLProviderArn=provider, RemovePrivateKey=gone)
    with refused("InvalidInput", status=400, message="Encryption cannot be required without a private key"):
        iam.update_saml_provider(SAMLProviderArn=provider, RemovePrivateKey=new)
    iam.update_saml_provider(SAMLProviderArn=provider, RemovePrivateKey=new, AssertionEncryptionMode="Allowed")
    assert keys() == []


def test_a_provider_can_be_made_with_a_key(iam: Any, metadata: str) -> None:
    with refused("InvalidInput", status=400, message="without a private key"):
        iam.create_saml_provider(SAMLMetadataDocument=metadata, Name="Sealed", AssertionEncryptionMode="Required")
    here = iam.create_saml_provider(
        SAMLMetadataDocument=metadata, Name="Sealed", AssertionEncryptionMode="Required", AddPrivateKey=rsa_pem()
    )["SAMLProviderArn"]
    found = iam.get_saml_provider(SAMLProviderArn=here)
    assert found["AssertionEncryptionMode"] == "Required"
    assert [sorted(key) for key in found["PrivateKeyList"]] == [["KeyId", "Timestamp"]]
    iam.delete_saml_provider(SAMLProviderArn=here)


@pytest.mark.parametrize(
    "make",
    [ec_pem, lambda: rsa_pem(1_024), lambda: rsa_pem(password=b"secret"), lambda: "no key", lambda: "ü"],
    ids=["elliptic", "short", "password", "text", "latin"],
)
def test_a_private_key_that_cannot_decrypt(iam: Any, provider: str, make: Callable[[], str]) -> None:
    with refused("InvalidInput", status=400, message="The private key"):
        iam.update_saml_provider(SAMLProviderArn=provider, AddPrivateKey=make())


def test_tags(iam: Any, provider: str) -> None:
    iam.tag_saml_provider(SAMLProviderArn=provider, Tags=[{"Key": "team", "Value": "red"}])
    assert iam.list_saml_provider_tags(SAMLProviderArn=provider)["Tags"] == [{"Key": "team", "Value": "red"}]
    iam.untag_saml_provider(SAMLProviderArn=provider, TagKeys=["Team"])
    assert iam.list_saml_provider_tags(SAMLProviderArn=provider)["Tags"] == []
    assert "Tags" not in iam.get_saml_provider(SAMLProviderArn=provider)


def test_no_more_providers_than_the_quota(make_broker: Callable[..., BrokerServer], metadata: str) -> None:
    with serving(make_broker(settings={"quotas.saml_providers": 1})) as small:
        iam = small.client(small.root, service="iam")
        iam.create_saml_provider(SAMLMetadataDocument=metadata, Name="one")
        with refused("LimitExceeded", status=409, message="Cannot exceed quota for SAMLProvidersPerAccount: 1"):
            iam.create_saml_provider(SAMLMetadataDocument=metadata, Name="two")


CALLS: dict[str, dict[str, Any]] = {
    "get_saml_provider": {},
    "update_saml_provider": {"AssertionEncryptionMode": "Allowed"},
    "delete_saml_provider": {},
    "tag_saml_provider": {"Tags": [{"Key": "a", "Value": ""}]},
    "untag_saml_provider": {"TagKeys": ["a"]},
    "list_saml_provider_tags": {},
}


@pytest.mark.parametrize("call", CALLS)
def test_whom_nobody_knows(iam: Any, broker: BrokerServer, users: dict[str, Keys], provider: str, call: str) -> None:
    for here in (arn("None"), arn("okta"), provider.replace(ACCOUNT, OTHER_ACCOUNT)):
        with refused("NoSuchEntity", status=404):
            getattr(iam, call)(SAMLProviderArn=here, **CALLS[call])
    with refused("InvalidInput", status=400):
        getattr(iam, call)(SAMLProviderArn=f"arn:aws:iam::{ACCOUNT}:oidc-provider/Okta", **CALLS[call])
    stranger = broker.client(users["nobody"], service="iam")
    for here in (provider, arn("None")):
        with refused("AccessDenied", status=403, message=f"on resource: {here}"):
            getattr(stranger, call)(SAMLProviderArn=here, **CALLS[call])


def test_who_may_neither_create_nor_list(broker: BrokerServer, users: dict[str, Keys], metadata: str) -> None:
    stranger = broker.client(users["nobody"], service="iam")
    with refused("AccessDenied", message=f"iam:CreateSAMLProvider on resource: {arn('Mine')}"):
        stranger.create_saml_provider(SAMLMetadataDocument=metadata, Name="Mine")
    with refused("AccessDenied", message=f"iam:ListSAMLProviders on resource: {arn('*')}"):
        stranger.list_saml_providers()


def test_what_belongs_to_another_service_is_refused_by_name(iam: Any, provider: str) -> None:
    for more in ({"IdentityCenterInstanceArn": "x"}, {"RemoveContextProvider": True}):
        with refused("InvalidParameterValue", message=f"The parameter {next(iter(more))}"):
            iam.update_saml_provider(SAMLProviderArn=provider, **more)


def test_the_aws_command_reads_files(broker: BrokerServer, iam: Any, metadata: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.xml").write_text(metadata)
    arguments = ("create-saml-provider", "--name", "cli", "--saml-metadata-document", f"file://{tmp_path}/metadata.xml")
    done = subprocess.run(
        [program("aws"), "--endpoint-url", broker.url, "--region", "eu-central-1", "iam", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment() | broker.root.environment() | {"AWS_CONFIG_FILE": os.devnull},
    )
    assert done.returncode == 0, done.stderr
    iam.delete_saml_provider(SAMLProviderArn=arn("cli"))

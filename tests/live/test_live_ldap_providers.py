"""Our own operations from unmodified clients: boto3 and the aws command, with our files on their data path."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from realm.components import program
from realm.own_keys import certificate_pem
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, clean_environment, refused, request_id, serving
from realm.site import OTHER_ACCOUNT, federated, policy, role_arn
from realm.token_issuer import TokenIssuer

from broker.aws.sdk_extras import write_sdk_extras

PASSWORD = "correct horse battery staple"
SETTINGS: dict[str, Any] = {
    "Servers": ["ldaps://ldap1.example.com", "ldap://ldap2.example.com:3389"],
    "BindDN": "cn=broker,ou=services,dc=example,dc=com",
    "UserSearch": {"BaseDN": "ou=people,dc=example,dc=com", "Filter": "(|(uid={username})(mail={username}))"},
    "GroupSearch": {
        "BaseDN": "ou=groups,dc=example,dc=com",
        "Filter": "(member={dn})",
        "NameAttribute": "cn",
        "Nested": "InChain",
    },
    "Attributes": ["mail", "departmentNumber"],
    "SessionTags": [{"Key": "Department", "Attribute": "departmentNumber"}],
    "SourceIdentityAttribute": "uid",
    "SessionNameAttribute": "mail",
}
DEFAULTS: dict[str, Any] = {
    "ReferralServers": [],
    "ConnectTimeoutSeconds": 2,
    "TimeoutSeconds": 5,
    "PageSize": 500,
    "AllowQueryLogin": False,
    "SyncSeconds": 900,
    "RecheckSeconds": 300,
    "SyncThresholdPercent": 20,
}
"""What is shown of members that were not given."""


def arn(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:ldap-provider/{name}"


def changed(**members: Any) -> dict[str, Any]:
    """The settings with other members; those that are None are left out."""
    found = deepcopy(SETTINGS) | members
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    written = write_sdk_extras(directory)
    assert [file.parent.parent.name for file in written] == ["iam", "sts"]
    return directory


@pytest.fixture(scope="module")
def client(broker: BrokerServer, models: Path) -> Iterator[Callable[[Keys], Any]]:
    """Makes clients that know our operations."""
    made = []

    def make(keys: Keys, server: BrokerServer = broker) -> Any:
        inner = botocore.session.Session()
        inner.set_config_variable("data_path", str(models))
        client = boto3.session.Session(botocore_session=inner, region_name=REGION).client(
            "iam",
            endpoint_url=server.url,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            config=Config(retries={"max_attempts": 0}, proxies={}),
        )
        made.append(client)
        return client

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def iam(broker: BrokerServer, client: Callable[[Keys], Any]) -> Any:
    return client(broker.root)


@pytest.fixture
def provider(iam: Any) -> Iterator[str]:
    made = iam.create_ldap_provider(
        Name="Directory", Settings=SETTINGS, BindPassword=PASSWORD, Tags=[{"Key": "Team", "Value": "blue"}]
    )["LDAPProviderArn"]
    yield made
    try:
        iam.delete_ldap_provider(LDAPProviderArn=made)
    except iam.exceptions.NoSuchEntityException:
        pass


def test_a_provider_comes_and_goes(iam: Any, broker: BrokerServer, provider: str) -> None:
    assert provider == arn("Directory")
    found = iam.get_ldap_provider(LDAPProviderArn=provider)
    assert found["Settings"] == DEFAULTS | SETTINGS
    assert found["BindPasswordSet"] is True
    assert found["Tags"] == [{"Key": "Team", "Value": "blue"}]
    with refused("EntityAlreadyExists", status=409):
        iam.create_ldap_provider(Name="dIRECTORY", Settings=SETTINGS, BindPassword=PASSWORD)
    deleted = iam.delete_ldap_provider(LDAPProviderArn=provider)
    assert broker.event(request_id(deleted))["eventName"] == "DeleteLDAPProvider"
    with refused("NoSuchEntity", status=404, message=f"LDAP provider not found for arn {provider}"):
        iam.get_ldap_provider(LDAPProviderArn=provider)


def test_the_password_is_shown_nowhere(iam: Any, broker: BrokerServer, provider: str) -> None:
    answer = iam.update_ldap_provider(LDAPProviderArn=provider, Settings=SETTINGS, BindPassword=PASSWORD)
    assert PASSWORD not in str(answer)
    assert PASSWORD not in str(iam.get_ldap_provider(LDAPProviderArn=provider))
    event = broker.event(request_id(answer))
    assert event["requestParameters"]["settings"]["bindDn"] == SETTINGS["BindDN"]
    assert PASSWORD not in str(broker.events())
    assert PASSWORD not in broker.log()
    stored = str(broker.query("SELECT settings FROM identity_providers"))
    assert "bind_password" in stored
    assert PASSWORD not in stored


def test_an_update_replaces_everything_but_the_password(iam: Any, provider: str) -> None:
    authority = certificate_pem()
    kept = changed(GroupSearch=None, Attributes=None, SessionTags=None, SourceIdentityAttribute=None)
    iam.update_ldap_provider(LDAPProviderArn=provider, Settings=kept)
    found = iam.get_ldap_provider(LDAPProviderArn=provider)
    assert found["Settings"] == DEFAULTS | kept | {"Attributes": [], "SessionTags": []}
    assert found["BindPasswordSet"] is True
    for elsewhere in (
        changed(Servers=["ldaps://attacker.example.com"]),
        changed(ReferralServers=["ldaps://attacker.example.com"]),
        changed(CertificateAuthority=authority),
        changed(BindDN="cn=other,dc=example,dc=com"),
    ):
        with refused("InvalidInput", status=400, message="BindPassword must be given"):
            iam.update_ldap_provider(LDAPProviderArn=provider, Settings=elsewhere)
        iam.update_ldap_provider(LDAPProviderArn=provider, Settings=elsewhere, BindPassword=PASSWORD)
        iam.update_ldap_provider(LDAPProviderArn=provider, Settings=SETTINGS, BindPassword=PASSWORD)
    direct = {"Servers": SETTINGS["Servers"], "UserDNTemplate": "uid={username},ou=people,dc=example,dc=com"}
    iam.update_ldap_provider(LDAPProviderArn=provider, Settings=direct)
    assert iam.get_ldap_provider(LDAPProviderArn=provider)["BindPasswordSet"] is False
    with refused("InvalidInput", status=400):
        iam.update_ldap_provider(LDAPProviderArn=provider, Settings=SETTINGS)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (changed(Servers=["http://ldap.example.com"]), "ValidationError"),
        (changed(Servers=["ldap://ldap.example.com/dc=example"]), "ValidationError"),
        (changed(Servers=["ldap://user@ldap.example.com"]), "ValidationError"),
        (changed(Servers=["ldaps://a.example.com", "ldaps://A.example.com"]), "InvalidInput"),
        (changed(Servers=["ldaps://a.example.com:65536"]), "InvalidInput"),
        (changed(ReferralServers=["ldaps://a.example.com", "ldaps://A.example.com"]), "InvalidInput"),
        (changed(ReferralServers=["ldaps://a.example.com:0"]), "InvalidInput"),
        (changed(ReferralServers=["ldaps://*.example.com"]), "ValidationError"),
        (changed(TimeoutSeconds=61), "ValidationError"),
        (changed(ConnectTimeoutSeconds=61), "ValidationError"),
        (changed(PageSize=1_001), "ValidationError"),
        (changed(SyncThresholdPercent=101), "ValidationError"),
        (changed(RecheckSeconds=86_401), "ValidationError"),
        (changed(UniqueIDAttribute="entryUUID)(x"), "ValidationError"),
        (changed(CertificateAuthority="no certificate"), "InvalidInput"),
        (changed(BindDN=None), "InvalidInput"),
        (changed(BindDN="broker"), "InvalidInput"),
        (changed(BindDN="cn=a,,dc=example"), "InvalidInput"),
        (changed(UserSearch=None), "InvalidInput"),
        (changed(UserDNTemplate="uid={username},dc=example"), "InvalidInput"),
        (changed(UserSearch=None, UserDNTemplate="{username}@ad.example.com"), "InvalidInput"),
        (changed(UserDNTemplate="{username}@ad.example.com,dc=x"), "InvalidInput"),
        (changed(UserDNTemplate="{username}"), "InvalidInput"),
        (changed(UserSearch=None, UserDNTemplate="uid=fixed,dc=example"), "InvalidInput"),
        (changed(UserSearch=None, UserDNTemplate="uid={password},dc=example"), "InvalidInput"),
        (changed(UserSearch={"BaseDN": "dc=x", "Filter": "uid={username}"}), "InvalidInput"),
        (changed(UserSearch={"BaseDN": "dc=x", "Filter": "(uid={username})(x=y)"}), "InvalidInput"),
        (changed(UserSearch={"BaseDN": "dc=x", "Filter": "(&(uid={username})"}), "InvalidInput"),
        (changed(UserSearch={"BaseDN": "dc=x", "Filter": "(uid=somebody)"}), "InvalidInput"),
        (changed(UserSearch={"BaseDN": "dc=x", "Filter": "(uid={username}\n)"}), "ValidationError"),
        (changed(UserSearch={"BaseDN": "people", "Filter": "(uid={username})"}), "InvalidInput"),
        (changed(GroupSearch={"BaseDN": "dc=x", "Filter": "(member={user})"}), "InvalidInput"),
        (changed(GroupSearch={"BaseDN": "dc=x", "Filter": "(member={dn})", "Nested": "Deep"}), "ValidationError"),
        (changed(Attributes=["mail", "MAIL"]), "InvalidInput"),
        (changed(Attributes=["Username"]), "InvalidInput"),
        (changed(Attributes=["mail)(x"]), "ValidationError"),
        (changed(SessionTags=[{"Key": "a", "Attribute": "x"}, {"Key": "A", "Attribute": "y"}]), "InvalidInput"),
        (changed(SessionTags=[{"Key": "aws:a", "Attribute": "x"}]), "InvalidInput"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant(iam: Any, provider: str, settings: dict[str, Any], code: str) -> None:
    before = iam.get_ldap_provider(LDAPProviderArn=provider)["Settings"]
    with refused(code, status=400):
        iam.create_ldap_provider(Name="Bad", Settings=settings, BindPassword=PASSWORD)
    with refused(code, status=400):
        iam.update_ldap_provider(LDAPProviderArn=provider, Settings=settings, BindPassword=PASSWORD)
    assert iam.get_ldap_provider(LDAPProviderArn=provider)["Settings"] == before


@pytest.mark.parametrize(
    "settings",
    [
        changed(UserDNTemplate="{username}@ad.example.com"),
        changed(UserDNTemplate="EXAMPLE\\{username}"),
        changed(Attributes=["*"]),
        changed(GroupSearch={"BaseDN": "dc=x", "Filter": "(|(memberUid={username})(gidNumber={gidNumber}))"}),
        changed(AllowQueryLogin=True, ReferralServers=["ldaps://other.example.com"], SyncSeconds=0),
    ],
    ids=str,
)
def test_settings_that_can_be_meant(iam: Any, provider: str, settings: dict[str, Any]) -> None:
    iam.update_ldap_provider(LDAPProviderArn=provider, Settings=settings, BindPassword=PASSWORD)
    found = iam.get_ldap_provider(LDAPProviderArn=provider)["Settings"]
    groups = {"NameAttribute": "cn", "Nested": "None"} | settings["GroupSearch"]
    assert found == DEFAULTS | settings | {"GroupSearch": groups}


def test_a_name_without_a_password_would_log_in_as_nobody(iam: Any) -> None:
    with refused("InvalidInput", status=400, message="BindDN and BindPassword"):
        iam.create_ldap_provider(Name="Bad", Settings=SETTINGS)


def test_lists_come_in_pages(iam: Any) -> None:
    names = [f"page-{number}" for number in range(5)]
    direct = {"Servers": SETTINGS["Servers"], "UserDNTemplate": "uid={username},dc=example"}
    for name in reversed(names):
        iam.create_ldap_provider(Name=name, Settings=direct)
    seen: list[list[str]] = []
    marker: dict[str, str] = {}
    while True:
        page = iam.list_ldap_providers(MaxItems=2, **marker)
        seen.append([entry["Arn"] for entry in page["LDAPProviderList"]])
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    assert [len(one) for one in seen] == [2, 2, 1]
    assert [one for page in seen for one in page] == [arn(name) for name in names]
    with refused("ValidationError", message="Invalid Marker."):
        iam.list_ldap_providers(Marker="no marker of ours")
    for name in names:
        iam.delete_ldap_provider(LDAPProviderArn=arn(name))


def test_no_more_providers_than_the_quota(make_broker: Callable[..., BrokerServer], client: Any) -> None:
    direct = {"Servers": SETTINGS["Servers"], "UserDNTemplate": "uid={username},dc=example"}
    with serving(make_broker(settings={"quotas.ldap_providers": 1})) as small:
        iam = client(small.root, small)
        iam.create_ldap_provider(Name="one", Settings=direct)
        with refused("LimitExceeded", status=409, message="Cannot exceed quota for LDAPProvidersPerAccount: 1"):
            iam.create_ldap_provider(Name="two", Settings=direct)


def test_tags(iam: Any, provider: str) -> None:
    iam.tag_ldap_provider(LDAPProviderArn=provider, Tags=[{"Key": "team", "Value": "red"}])
    assert iam.list_ldap_provider_tags(LDAPProviderArn=provider)["Tags"] == [{"Key": "team", "Value": "red"}]
    iam.untag_ldap_provider(LDAPProviderArn=provider, TagKeys=["TEAM"])
    assert iam.list_ldap_provider_tags(LDAPProviderArn=provider)["Tags"] == []


CALLS: dict[str, dict[str, Any]] = {
    "get_ldap_provider": {},
    "update_ldap_provider": {"Settings": SETTINGS},
    "delete_ldap_provider": {},
    "tag_ldap_provider": {"Tags": [{"Key": "a", "Value": ""}]},
    "untag_ldap_provider": {"TagKeys": ["a"]},
    "list_ldap_provider_tags": {},
}


@pytest.mark.parametrize("call", CALLS)
def test_whom_nobody_knows(
    iam: Any, broker: BrokerServer, users: dict[str, Keys], client: Any, provider: str, call: str
) -> None:
    for here in (arn("None"), provider.replace(ACCOUNT, OTHER_ACCOUNT)):
        with refused("NoSuchEntity", status=404):
            getattr(iam, call)(LDAPProviderArn=here, **CALLS[call])
    with refused("InvalidInput", status=400):
        getattr(iam, call)(LDAPProviderArn=f"arn:aws:iam::{ACCOUNT}:saml-provider/Directory", **CALLS[call])
    stranger = client(users["nobody"])
    for here in (provider, arn("None")):
        with refused("AccessDenied", status=403, message=f"on resource: {here}"):
            getattr(stranger, call)(LDAPProviderArn=here, **CALLS[call])


def test_who_may_neither_create_nor_list(users: dict[str, Keys], client: Any) -> None:
    stranger = client(users["nobody"])
    with refused("AccessDenied", message=f"iam:CreateLDAPProvider on resource: {arn('Mine')}"):
        stranger.create_ldap_provider(Name="Mine", Settings=SETTINGS, BindPassword=PASSWORD)
    with refused("AccessDenied", message=f"iam:ListLDAPProviders on resource: {arn('*')}"):
        stranger.list_ldap_providers()


def test_keys_of_an_issuer_that_cannot_be_reached(iam: Any, broker: BrokerServer, issuer: TokenIssuer) -> None:
    """Uploaded, they serve; taken away, the issuer would have to be asked, which nobody answers for."""
    url = "https://unreachable.example.com"
    here = iam.create_open_id_connect_provider(Url=url, ClientIDList=["app"])["OpenIDConnectProviderArn"]
    settings = iam.get_open_id_connect_provider_settings(OpenIDConnectProviderArn=here)
    assert settings["LeewaySeconds"] == 60
    assert "JWKSDocument" not in settings
    document = json.dumps(issuer.jwks())
    iam.update_open_id_connect_provider_settings(
        OpenIDConnectProviderArn=here, JWKSDocument=document, LeewaySeconds=5, AllowSeveralAudiences=True
    )
    found = iam.get_open_id_connect_provider_settings(OpenIDConnectProviderArn=here)
    assert (found["JWKSDocument"], found["LeewaySeconds"], found["MaxLifetimeSeconds"]) == (document, 5, 86_400)
    assert found["AllowSeveralAudiences"] is True
    token = issuer.token("job", iss=url, aud="app")
    trusting = policy(federated(url))
    simulated = iam.simulate_trust_policy(TrustPolicyDocument=trusting, AccountId=ACCOUNT, WebIdentityToken=token)
    assert simulated["EvidenceVerified"] is True
    assert simulated["EvalDecision"] == "allowed"
    for bad in ({"JWKSDocument": "{}"}, {"JWKSDocument": '{"keys": []}'}, {"CertificateAuthority": "none"}):
        with refused("InvalidInput", status=400, message=next(iter(bad))):
            iam.update_open_id_connect_provider_settings(OpenIDConnectProviderArn=here, **bad)
    iam.update_open_id_connect_provider_settings(OpenIDConnectProviderArn=here, JWKSDocument="")
    assert "JWKSDocument" not in iam.get_open_id_connect_provider_settings(OpenIDConnectProviderArn=here)
    with refused("IDPCommunicationError"):
        broker.client().assume_role_with_web_identity(
            RoleArn=role_arn("web"), RoleSessionName="job", WebIdentityToken=token
        )
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=here)


def test_settings_of_a_provider_are_for_those_who_may(users: dict[str, Keys], client: Any, issuer: TokenIssuer) -> None:
    stranger, here = client(users["nobody"]), f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.host}"
    for call in ("get_open_id_connect_provider_settings", "update_open_id_connect_provider_settings"):
        with refused("AccessDenied", status=403):
            getattr(stranger, call)(OpenIDConnectProviderArn=here)


def test_the_aws_command_has_our_operations(iam: Any, broker: BrokerServer, models: Path) -> None:
    arguments = ("--name", "cli", "--settings", json.dumps(SETTINGS), "--bind-password", PASSWORD)
    done = subprocess.run(
        [program("aws"), "--endpoint-url", broker.url, "--region", REGION, "iam", "create-ldap-provider", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment()
        | broker.root.environment()
        | {"AWS_CONFIG_FILE": os.devnull, "AWS_DATA_PATH": str(models)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"LDAPProviderArn": arn("cli")}
    iam.delete_ldap_provider(LDAPProviderArn=arn("cli"))

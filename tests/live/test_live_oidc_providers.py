"""OpenID Connect providers, as an administrator has them with boto3, and what tokens are worth meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from realm.components import program
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, clean_environment, refused, request_id, serving
from realm.site import OTHER_ACCOUNT, allow, federated, identity_provider, role, role_arn, user
from realm.token_issuer import AUDIENCE, TokenIssuer

DECLARED = f"arn:aws:iam::{ACCOUNT}:oidc-provider/declared.example.com"
TAGGED = {"StringEquals": {"aws:ResourceTag/Team": "blue"}}
ASKED = {"StringEquals": {"aws:RequestTag/Team": "blue"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}


def arn(host: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:oidc-provider/{host}"


@pytest.fixture(scope="module")
def server(issuer: TokenIssuer, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(
        settings={
            "fetch.allow_http_loopback": True,
            "server.workers": 2,
            "quotas.oidc_providers": 12,
            "quotas.client_ids": 4,
        }
    )
    secret_file = made.directory / "user.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text("s" * 40)
    own = arn("mine.example.com")
    made.add(
        "\n".join(
            (
                f'[[account]]\nid = "{OTHER_ACCOUNT}"\n',
                identity_provider("https://declared.example.com"),
                user("nobody", secret_file="user.secret"),
                user(
                    "blue",
                    may=[
                        allow("iam:*OpenIDConnectProvider*", Condition=TAGGED),
                        allow("iam:CreateOpenIDConnectProvider", own, Condition=ASKED),
                        allow("iam:TagOpenIDConnectProvider", own, Condition=ASKED),
                    ],
                    secret_file="user.secret",
                ),
                user("untagging", may=[allow("iam:CreateOpenIDConnectProvider")], secret_file="user.secret"),
                role("web", federated(issuer.issuer)),
            )
        )
    )
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def keys(server: BrokerServer) -> dict[str, Keys]:
    found = json.loads(accredit("config", "check", "--json", server.directory))["access_keys"]
    return {name: Keys(key_id, "s" * 40) for key_id, name in found.items()}


@pytest.fixture(scope="module")
def iam(server: BrokerServer) -> Any:
    return server.client(server.root, service="iam")


@pytest.fixture
def provider(iam: Any) -> Iterator[str]:
    made = iam.create_open_id_connect_provider(
        Url="https://id.example.com/realm", ClientIDList=["app"], Tags=[{"Key": "Team", "Value": "blue"}]
    )["OpenIDConnectProviderArn"]
    yield made
    try:
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=made)
    except iam.exceptions.NoSuchEntityException:
        pass


def assume(server: BrokerServer, token: str) -> Any:
    return server.client().assume_role_with_web_identity(
        RoleArn=role_arn("web"), RoleSessionName="job", WebIdentityToken=token
    )


def test_tokens_are_worth_what_is_registered_at_this_moment(
    server: BrokerServer, iam: Any, issuer: TokenIssuer
) -> None:
    """In every worker: each question is asked several times."""
    token = issuer.token("job")

    def refused_everywhere(code: str, message: str) -> None:
        for _ in range(6):
            with refused(code, message=message):
                assume(server, token)

    refused_everywhere("InvalidIdentityToken", "No OpenIDConnect provider found in your account for")
    made = iam.create_open_id_connect_provider(Url=issuer.issuer, ClientIDList=[AUDIENCE, "second"])
    here = made["OpenIDConnectProviderArn"]
    assert here == arn(issuer.host)
    for _ in range(6):
        assert assume(server, token)["Provider"] == issuer.issuer
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=here, ClientID=AUDIENCE)
    refused_everywhere("InvalidIdentityToken", "Incorrect token audience")
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=here, ClientID=AUDIENCE)
    for _ in range(6):
        assume(server, token)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=here)
    refused_everywhere("InvalidIdentityToken", "No OpenIDConnect provider found in your account for")


def test_what_is_registered_is_shown(iam: Any, server: BrokerServer) -> None:
    made = iam.create_open_id_connect_provider(
        Url="https://Shown.example.com/Realm/",
        ClientIDList=["b", "a", "b"],
        ThumbprintList=["AB" * 20],
        Tags=[{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}],
    )
    here = made["OpenIDConnectProviderArn"]
    assert here == arn("Shown.example.com/Realm/"), "the URL is case-sensitive"
    event = server.event(request_id(made))
    assert event["readOnly"] is False
    assert event["responseElements"]["openIdConnectProviderArn"] == here
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=here)
    assert found["Url"] == "Shown.example.com/Realm/"
    assert found["ClientIDList"] == ["b", "a"]
    assert found["ThumbprintList"] == ["ab" * 20]
    assert [tag["Key"] for tag in found["Tags"]] == ["a", "b"]
    assert abs(found["CreateDate"].timestamp() - time.time()) < 60
    listed = [entry["Arn"] for entry in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    assert here in listed
    assert DECLARED in listed
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=here)
    assert here not in str(iam.list_open_id_connect_providers())


def test_an_issuer_that_nobody_can_reach_is_registered(iam: Any) -> None:
    here = iam.create_open_id_connect_provider(Url="https://10.0.0.1/realm")["OpenIDConnectProviderArn"]
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=here)["ClientIDList"] == []
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=here)


@pytest.mark.parametrize(
    "url",
    [
        "id.example.com",
        "ftp://id.example.com",
        "HTTPS://id.example.com",
        "https://",
        "https:///realm",
        "https://id.example.com?x=1",
        "https://id.example.com/#x",
        "https://user@id.example.com",
        "https://id.example.com/a b",
        "https://id.example.com/*",
        "https://id.example.com/${aws:username}",
        "https://id.example.com/\x00",
        "https://id.exämple.com",
        "https://aws",
        "https://AWS:443/x",
        "https://sts",
        "https://saml",
        "https://id.example.com:123456",
        " https://id.example.com",
    ],
)
def test_a_url_that_is_no_issuer(iam: Any, url: str) -> None:
    with refused("ValidationError", status=400, message="Invalid Open ID Connect Provider URL"):
        iam.create_open_id_connect_provider(Url=url)


def test_http_is_for_loopback_where_the_configuration_allows_it(broker: BrokerServer, make_broker: Any) -> None:
    with serving(make_broker()) as strict, refused("ValidationError", message="http needs fetch.allow_http_loopback"):
        strict.client(strict.root, service="iam").create_open_id_connect_provider(Url="http://127.0.0.1:9999")


def test_one_url_one_provider(iam: Any, provider: str) -> None:
    for url in ("https://id.example.com/realm", "http://id.example.com/realm"):
        with refused("EntityAlreadyExists", status=409):
            iam.create_open_id_connect_provider(Url=url)
    with refused("EntityAlreadyExists"):
        iam.create_open_id_connect_provider(Url="https://declared.example.com")


def test_of_many_who_register_at_once_one_does(server: BrokerServer, iam: Any) -> None:
    clients = [server.client(server.root, service="iam") for _ in range(8)]

    def register(client: Any) -> str:
        try:
            client.create_open_id_connect_provider(Url="https://raced.example.com")
        except client.exceptions.EntityAlreadyExistsException:
            return "EntityAlreadyExists"
        return "made"

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(register, clients))
    assert answers == ["EntityAlreadyExists"] * 7 + ["made"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn("raced.example.com"))


def test_thumbprints(iam: Any, provider: str) -> None:
    good = [f"{number:040x}" for number in range(5)]
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=provider, ThumbprintList=good)
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider)["ThumbprintList"] == good
    for bad in ([*good, "f" * 40], ["g" * 40]):
        with refused("InvalidInput", status=400):
            iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=provider, ThumbprintList=bad)
        with refused("InvalidInput", status=400):
            iam.create_open_id_connect_provider(Url="https://other.example.com", ThumbprintList=bad)
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=provider, ThumbprintList=[])
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider)["ThumbprintList"] == []


def test_client_ids_come_and_go_idempotently(iam: Any, provider: str) -> None:
    named = {"OpenIDConnectProviderArn": provider}
    for client in ("b", "b", "c", "d"):
        iam.add_client_id_to_open_id_connect_provider(**named, ClientID=client)
    assert iam.get_open_id_connect_provider(**named)["ClientIDList"] == ["app", "b", "c", "d"]
    with refused("LimitExceeded", status=409, message="ClientIdsPerOpenIdConnectProvider: 4"):
        iam.add_client_id_to_open_id_connect_provider(**named, ClientID="e")
    for _ in range(2):
        iam.remove_client_id_from_open_id_connect_provider(**named, ClientID="b")
    assert iam.get_open_id_connect_provider(**named)["ClientIDList"] == ["app", "c", "d"]
    with refused("LimitExceeded", status=409):
        iam.create_open_id_connect_provider(Url="https://other.example.com", ClientIDList=list("12345"))


def test_no_more_providers_than_the_quota(iam: Any) -> None:
    made = []
    with refused("LimitExceeded", status=409, message="Cannot exceed quota for OpenIdConnectProvidersPerAccount: 12"):
        for number in range(20):
            answer = iam.create_open_id_connect_provider(Url=f"https://quota-{number}.example.com")
            made.append(answer["OpenIDConnectProviderArn"])
    assert made
    for here in made:
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=here)


def test_tags(iam: Any, provider: str) -> None:
    named = {"OpenIDConnectProviderArn": provider}
    iam.tag_open_id_connect_provider(**named, Tags=[{"Key": "team", "Value": "red"}, {"Key": "Cost", "Value": ""}])
    first = iam.list_open_id_connect_provider_tags(**named, MaxItems=1)
    assert first["Tags"] == [{"Key": "Cost", "Value": ""}]
    assert first["IsTruncated"] is True
    rest = iam.list_open_id_connect_provider_tags(**named, Marker=first["Marker"])
    assert rest["Tags"] == [{"Key": "team", "Value": "red"}]
    assert rest["IsTruncated"] is False
    iam.untag_open_id_connect_provider(**named, TagKeys=["TEAM", "none"])
    assert [tag["Key"] for tag in iam.list_open_id_connect_provider_tags(**named)["Tags"]] == ["Cost"]
    with refused("LimitExceeded", status=409):
        iam.tag_open_id_connect_provider(**named, Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
    with refused("InvalidInput", status=400, message="Duplicate tag keys"):
        iam.tag_open_id_connect_provider(**named, Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])


CALLS: dict[str, dict[str, Any]] = {
    "get_open_id_connect_provider": {},
    "delete_open_id_connect_provider": {},
    "add_client_id_to_open_id_connect_provider": {"ClientID": "x"},
    "remove_client_id_from_open_id_connect_provider": {"ClientID": "x"},
    "update_open_id_connect_provider_thumbprint": {"ThumbprintList": []},
    "tag_open_id_connect_provider": {"Tags": [{"Key": "a", "Value": ""}]},
    "untag_open_id_connect_provider": {"TagKeys": ["a"]},
    "list_open_id_connect_provider_tags": {},
}
WRITES = [name for name in CALLS if not name.startswith(("get", "list"))]


@pytest.mark.parametrize("call", CALLS)
def test_whom_nobody_knows(iam: Any, server: BrokerServer, keys: dict[str, Keys], provider: str, call: str) -> None:
    """1. Not there. 2. Another account's. 3. No ARN of such a provider. 4. Not told to who may not ask."""
    missing, foreign = arn("none.example.com"), provider.replace(ACCOUNT, OTHER_ACCOUNT)
    for here in (missing, foreign):
        with refused("NoSuchEntity", status=404, message=f"OpenIDConnect Provider not found for arn {here}"):
            getattr(iam, call)(OpenIDConnectProviderArn=here, **CALLS[call])
    for here in (f"arn:aws:iam::{ACCOUNT}:saml-provider/example", "x" * 20, f"{provider}\x00", arn("")):
        with refused("InvalidInput", status=400, message="Invalid ARN"):
            getattr(iam, call)(OpenIDConnectProviderArn=here, **CALLS[call])
    stranger = server.client(keys["nobody"], service="iam")
    for here in (provider, missing):
        with refused("AccessDenied", status=403, message=f"on resource: {here}"):
            getattr(stranger, call)(OpenIDConnectProviderArn=here, **CALLS[call])


@pytest.mark.parametrize("call", WRITES)
def test_what_the_configuration_declares_is_changed_there(iam: Any, call: str) -> None:
    with refused("UnmodifiableEntity", status=400, message="accredit.toml"):
        getattr(iam, call)(OpenIDConnectProviderArn=DECLARED, **CALLS[call])


@pytest.mark.parametrize("call", ["get_open_id_connect_provider", "list_open_id_connect_provider_tags"])
def test_the_tags_of_a_provider_decide_about_it(
    iam: Any, server: BrokerServer, keys: dict[str, Keys], provider: str, call: str
) -> None:
    blue = server.client(keys["blue"], service="iam")
    getattr(blue, call)(OpenIDConnectProviderArn=provider)
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=provider, Tags=[{"Key": "Team", "Value": "red"}])
    with refused("AccessDenied", status=403):
        getattr(blue, call)(OpenIDConnectProviderArn=provider)


def test_the_tags_of_a_request_decide_about_it(iam: Any, server: BrokerServer, keys: dict[str, Keys]) -> None:
    blue = server.client(keys["blue"], service="iam")
    for tags in ([], [{"Key": "Team", "Value": "red"}], [{"Key": "Team", "Value": "blue"}, {"Key": "x", "Value": ""}]):
        with refused("AccessDenied", status=403, message="iam:CreateOpenIDConnectProvider"):
            blue.create_open_id_connect_provider(Url="https://mine.example.com", Tags=tags)
    tags = [{"Key": "Team", "Value": "blue"}]
    made = blue.create_open_id_connect_provider(Url="https://mine.example.com", Tags=tags)
    assert made["Tags"] == tags
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=made["OpenIDConnectProviderArn"])
    untagging = server.client(keys["untagging"], service="iam")
    with refused("AccessDenied", message="iam:TagOpenIDConnectProvider"):
        untagging.create_open_id_connect_provider(Url="https://mine.example.com", Tags=tags)


def test_who_may_not_list(server: BrokerServer, keys: dict[str, Keys]) -> None:
    with refused("AccessDenied", message=f"resource: arn:aws:iam::{ACCOUNT}:oidc-provider/*"):
        server.client(keys["nobody"], service="iam").list_open_id_connect_providers()


def test_the_aws_command(server: BrokerServer) -> None:
    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [program("aws"), "--endpoint-url", server.url, "--region", "eu-central-1", "iam", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment() | server.root.environment() | {"AWS_CONFIG_FILE": os.devnull},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    url = "https://cli.example.com"
    here = run("create-open-id-connect-provider", "--url", url, "--client-id-list", "x")["OpenIDConnectProviderArn"]
    assert run("get-open-id-connect-provider", "--open-id-connect-provider-arn", here)["ClientIDList"] == ["x"]
    run("delete-open-id-connect-provider", "--open-id-connect-provider-arn", here)

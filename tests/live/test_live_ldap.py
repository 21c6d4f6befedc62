"""AssumeRoleWithLDAPIdentity over the wire, with OpenLDAP and a replica behind it."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm.directory import PASSWORD, PEOPLE, UTF8_PASSWORD, OpenLdap, openldap_entry
from realm.ldap_attacks import DN, FILTER
from realm.own_operations import own_client
from realm.server import ACCOUNT, BrokerServer, Keys, refused, request_id, serving
from realm.site import allow, role, role_arn, trust

PROVIDER = f"arn:aws:iam::{ACCOUNT}:ldap-provider/corp"
LOOSE = f"arn:aws:iam::{ACCOUNT}:ldap-provider/loose"
ACTIONS = ["sts:AssumeRoleWithLDAPIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
WRONG = "The user name or the password is incorrect."


def in_group(*groups: str) -> dict[str, Any]:
    return {"ForAnyValue:StringEquals": {"ldap:groups": list(groups)}}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLdap]:
    made = OpenLdap(tmp_path_factory.mktemp("openldap"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(directory: OpenLdap, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 1})
    home = made.directory
    mapped = {
        "session_tags": {"Department": "departmentNumber"},
        "source_identity_attribute": "uid",
        "session_name_attribute": "mail",
    }
    made.add(
        "\n".join(
            (
                openldap_entry(directory, home),
                openldap_entry(directory, home, "loose", allow_query_login=True),
                openldap_entry(directory, home, "mapped", **mapped),
                openldap_entry(
                    directory,
                    home,
                    "direct",
                    bind_dn=None,
                    bind_password_file=None,
                    user_search=None,
                    group_search=None,
                    user_dn_template=f"uid={{username}},{PEOPLE}",
                ),
                openldap_entry(directory, home, "tls", servers=[directory.ldap]),
                role("Admins", trust({"Federated": PROVIDER}, ACTIONS, **in_group("aws-admins")), may=[allow("*")]),
                role("Engineers", trust({"Federated": PROVIDER}, ACTIONS, **in_group("engineering"))),
                role("Readers", trust({"Federated": LOOSE}, ACTIONS, **in_group("aws-readonly"))),
                role(
                    "Everybody",
                    trust(
                        {
                            "Federated": [
                                f"arn:aws:iam::{ACCOUNT}:ldap-provider/{name}" for name in ("mapped", "direct", "tls")
                            ]
                        },
                        ACTIONS,
                    ),
                ),
                role(
                    "Tagged",
                    trust(
                        {"Federated": f"arn:aws:iam::{ACCOUNT}:ldap-provider/mapped"},
                        ACTIONS,
                        StringEquals={"aws:RequestTag/Department": "engineering", "aws:RequestTag/Ticket": "7"},
                    ),
                ),
                role("ByMail", trust({"Federated": PROVIDER}, ACTIONS, StringEquals={"ldap:mail": "carol@realm.test"})),
                role("ByDn", trust({"Federated": PROVIDER}, ACTIONS, StringEquals={"ldap:dn": f"uid=dave,{PEOPLE}"})),
            )
        )
    )
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def sts(server: BrokerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    client = own_client(tmp_path_factory.mktemp("models"), server, "sts")
    yield client
    client.close()


def log_in(sts: Any, name: str, password: str = PASSWORD, provider: str = "corp", **more: Any) -> Any:
    return sts.assume_role_with_ldap_identity(
        LDAPUsername=name,
        LDAPPassword=password,
        ProviderArn=f"arn:aws:iam::{ACCOUNT}:ldap-provider/{provider}",
        **more,
    )


def test_a_login_becomes_credentials(sts: Any, server: BrokerServer) -> None:
    answer = log_in(sts, "alice@realm.test", RoleArn=role_arn("Admins"))
    assert answer["SubjectDN"] == f"uid=alice,{PEOPLE}"
    assert answer["Provider"] == PROVIDER
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Admins/alice"
    who = server.client(Keys.of(answer)).get_caller_identity()
    assert who["Arn"] == answer["AssumedRoleUser"]["Arn"]
    event = server.event(request_id(answer))
    assert event["userIdentity"] == {
        "type": "LDAPUser",
        "principalId": answer["Subject"],
        "userName": "alice",
        "identityProvider": PROVIDER,
    }
    assert PASSWORD not in str(event)


def test_the_subject_is_the_entry_whatever_was_typed(sts: Any) -> None:
    answers = [log_in(sts, name, RoleArn=role_arn("Admins")) for name in ("alice", " ALICE ", "alice@realm.test")]
    assert len({answer["Subject"] for answer in answers}) == 1
    assert {answer["AssumedRoleUser"]["Arn"].rpartition("/")[2] for answer in answers} == {"alice"}


def test_attributes_are_mapped(sts: Any, server: BrokerServer) -> None:
    answer = log_in(sts, "alice", provider="mapped", RoleArn=role_arn("Everybody"))
    assert answer["AssumedRoleUser"]["Arn"].endswith("/alice@realm.test")
    assert answer["SourceIdentity"] == "alice"
    event = server.event(request_id(server.client(Keys.of(answer)).get_caller_identity()))
    assert event["userIdentity"]["sessionContext"]["sourceIdentity"] == "alice"
    passed = {"Tags": [{"Key": "Ticket", "Value": "7"}], "TransitiveTagKeys": ["Ticket", "Department"]}
    assert log_in(sts, "alice", provider="mapped", RoleArn=role_arn("Tagged"), **passed)["Credentials"]
    with refused("AccessDenied", message="Not authorized to perform"):
        log_in(sts, "alice", provider="mapped", RoleArn=role_arn("Tagged"))
    with refused("AccessDenied", message="Not authorized to perform"):
        log_in(sts, "user001", provider="mapped", RoleArn=role_arn("Tagged"), **passed)
    with refused("ValidationError", status=400, message="Duplicate tag keys"):
        log_in(
            sts,
            "alice",
            provider="mapped",
            RoleArn=role_arn("Everybody"),
            Tags=[{"Key": "department", "Value": "hr"}],
        )


def test_the_only_role_needs_no_name(sts: Any) -> None:
    assert "assumed-role/Engineers/" in log_in(sts, "bob")["AssumedRoleUser"]["Arn"]
    assert "assumed-role/ByMail/" in log_in(sts, "carol")["AssumedRoleUser"]["Arn"]
    with refused("ValidationError", status=400, message="RoleArn must be given. You may assume: ") as refusal:
        log_in(sts, "alice")
    assert role_arn("Admins") in refusal.message
    assert role_arn("Engineers") in refusal.message
    assert role_arn("ByMail") not in refusal.message
    with refused("AccessDenied", status=403, message="Not authorized to perform sts:AssumeRoleWithLDAPIdentity"):
        log_in(sts, "comma")


def test_the_only_provider_of_a_role_needs_no_name(sts: Any) -> None:
    answer = sts.assume_role_with_ldap_identity(LDAPUsername="alice", LDAPPassword=PASSWORD, RoleArn=role_arn("Admins"))
    assert answer["Provider"] == PROVIDER
    with refused("ValidationError", status=400, message="ProviderArn must be given"):
        sts.assume_role_with_ldap_identity(LDAPUsername="alice", LDAPPassword=PASSWORD)
    with refused("ValidationError", status=400, message="ProviderArn must be given"):
        sts.assume_role_with_ldap_identity(LDAPUsername="alice", LDAPPassword=PASSWORD, RoleArn=role_arn("Everybody"))
    with refused("InvalidIdentityToken", status=400, message="Specified provider doesn't exist."):
        log_in(sts, "alice", provider="nowhere")


@pytest.mark.parametrize("who", ["carol", "nobody"])
@pytest.mark.parametrize("name", ["Admins", "Missing"])
def test_no_role_says_whether_it_exists(sts: Any, who: str, name: str) -> None:
    sentence = WRONG if who == "nobody" else "Not authorized to perform sts:AssumeRoleWithLDAPIdentity"
    with refused("AccessDenied", status=403, message=sentence):
        log_in(sts, who, RoleArn=role_arn(name))


def test_policies_and_duration_are_those_of_every_session(sts: Any, server: BrokerServer) -> None:
    nothing = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
    answer = log_in(sts, "alice", RoleArn=role_arn("Admins"), Policy=nothing, DurationSeconds=900)
    client = server.client(Keys.of(answer), service="iam")
    with refused("AccessDenied"):
        client.list_roles()
    client = server.client(Keys.of(log_in(sts, "alice", RoleArn=role_arn("Admins"))), service="iam")
    assert client.list_roles()["Roles"]
    with refused("ValidationError"):
        log_in(sts, "alice", RoleArn=role_arn("Admins"), DurationSeconds=7_200)


@pytest.mark.parametrize("provider", ["direct", "tls"])
def test_the_other_ways_in(sts: Any, provider: str) -> None:
    """A template that makes DNs, people searching for themselves; StartTLS."""
    answer = log_in(sts, "alice", provider=provider, RoleArn=role_arn("Everybody"))
    assert answer["SubjectDN"] == f"uid=alice,{PEOPLE}"
    with refused("AccessDenied", status=403, message=WRONG):
        log_in(sts, "alice", "wrong", provider=provider, RoleArn=role_arn("Everybody"))


REASONS = {
    "disabled": "the account is locked",
    "expired": "the password has expired",
    "mustchange": "the password must be changed first",
    "nobody": "nobody, or more than one",
    "carol": "wrong password",
}


@pytest.mark.parametrize("name", REASONS)
def test_refusals_sound_the_same_and_are_told_apart_in_the_record(sts: Any, server: BrokerServer, name: str) -> None:
    with refused("AccessDenied", status=403) as refusal:
        log_in(sts, name, "wrong" if name == "carol" else PASSWORD)
    assert refusal.message == WRONG
    event = server.event(refusal.request_id)
    assert REASONS[name] in event["additionalEventData"]["reason"]
    assert event["requestParameters"]["ldapUsername"] == name


def test_a_lock_after_wrong_passwords(sts: Any, server: BrokerServer) -> None:
    for _ in range(4):
        with refused("AccessDenied", message=WRONG) as refusal:
            log_in(sts, "lockme", "wrong")
    assert "locked" in server.event(refusal.request_id)["additionalEventData"]["reason"]
    with refused("AccessDenied", message=WRONG):
        log_in(sts, "lockme")


ODD = ("comma", "plus", "paren", "star", "bslash", "hash", "space", "quote", "equals", "x*(y)\\z", "o'brien", "multi")


@pytest.mark.parametrize("name", ODD)
def test_odd_names_log_in(sts: Any, name: str) -> None:
    answer = log_in(sts, name, provider="tls", RoleArn=role_arn("Everybody"))
    assert answer["SubjectDN"]


def test_other_alphabets(sts: Any) -> None:
    answer = log_in(sts, "utf8", UTF8_PASSWORD, provider="tls", RoleArn=role_arn("Everybody"))
    assert "Žofie Ďáblíková 日本" in answer["SubjectDN"]


def test_what_replaces_an_apostrophe_is_nobody_elses_name(sts: Any) -> None:
    answer = log_in(sts, "o'brien", provider="tls", RoleArn=role_arn("Everybody"))
    assert answer["AssumedRoleUser"]["Arn"].endswith("/o=27brien")


FORM = {
    "Action": "AssumeRoleWithLDAPIdentity",
    "Version": "2011-06-15",
    "LDAPUsername": "bob",
    "LDAPPassword": PASSWORD,
}


def call(server: BrokerServer, url_parameters: dict[str, str], body: dict[str, str]) -> tuple[int, str]:
    query = f"?{urllib.parse.urlencode(url_parameters)}" if url_parameters else ""
    request = urllib.request.Request(f"{server.url}/{query}", urllib.parse.urlencode(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_secrets_in_the_url_are_refused_unless_the_provider_says_so(server: BrokerServer) -> None:
    status, text = call(server, {**FORM, "ProviderArn": PROVIDER}, {})
    assert (status, "must be sent in the body" in text) == (400, True)
    status, text = call(server, {"LDAPPassword": PASSWORD}, {**FORM, "ProviderArn": PROVIDER})
    assert status == 400
    rest = {name: value for name, value in FORM.items() if name != "LDAPPassword"} | {"ProviderArn": PROVIDER}
    status, text = call(server, {"LDAPPassword": PASSWORD}, rest)
    assert (status, "must be sent in the body" in text) == (400, True)
    assert call(server, {}, {**FORM, "ProviderArn": PROVIDER})[0] == 200
    status, text = call(server, {**FORM, "ProviderArn": LOOSE}, {})
    assert status == 200
    (event,) = server.events(text.partition("<RequestId>")[2].partition("<")[0])
    assert "in the URL" in event["additionalEventData"]["warnings"][0]
    assert PASSWORD not in str(server.events())
    assert PASSWORD not in server.log()
    assert urllib.parse.quote_plus(PASSWORD) not in server.log()


def test_minio_s_client_works_unmodified(directory: OpenLdap, make_broker: Callable[..., BrokerServer]) -> None:
    from minio.credentials import LdapIdentityProvider

    made = make_broker(settings={"server.workers": 1})
    made.add(openldap_entry(directory, made.directory, allow_query_login=True))
    made.add(role("Readers", trust({"Federated": PROVIDER}, ACTIONS, **in_group("aws-readonly"))))
    with serving(made):
        found = LdapIdentityProvider(made.url, "bob", PASSWORD).retrieve()
        keys = Keys(found.access_key, found.secret_key, found.session_token)
        assert made.client(keys).get_caller_identity()["Arn"].endswith("assumed-role/Readers/bob")
        with pytest.raises(ValueError, match="403"):
            LdapIdentityProvider(made.url, "bob", "wrong").retrieve()


@pytest.mark.parametrize("name", [*FILTER, *DN])
@pytest.mark.parametrize("provider", ["tls", "direct"])
def test_no_name_is_anything_but_a_name(sts: Any, provider: str, name: str) -> None:
    with refused("AccessDenied", status=403) as refusal:
        log_in(sts, name, provider=provider, RoleArn=role_arn("Everybody"))
    assert refusal.message == WRONG


FOLDED = ["ALICE", " alice ", "a\u006cice", "\uff41\uff4c\uff49\uff43\uff45", "aliCe"]


@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("provider", ["tls", "direct"])
def test_who_is_let_in_is_one_subject_however_it_is_spelled(sts: Any, provider: str, name: str) -> None:
    """Directories fold case, spaces and widths (RFC 4518): what counts is the entry."""
    exact = log_in(sts, "alice", provider=provider, RoleArn=role_arn("Everybody"))
    try:
        folded = log_in(sts, name, provider=provider, RoleArn=role_arn("Everybody"))
    except sts.exceptions.ClientError as error:
        found = error.response["Error"]
        if found["Code"] != "AccessDenied":
            raise
        return
    assert folded["Subject"] == exact["Subject"]
    assert folded["AssumedRoleUser"]["Arn"] == exact["AssumedRoleUser"]["Arn"]


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("alice", "x" * 1_025, "ValidationError"),
        ("x" * 1_025, PASSWORD, "ValidationError"),
        ("é" * 600, PASSWORD, "AccessDenied"),
        ("alice", "é" * 600, "AccessDenied"),
        ("alice\r\nbob", PASSWORD, "AccessDenied"),
        ("alice\x00", PASSWORD, "AccessDenied"),
        ("alice", f"{PASSWORD}\x00", "AccessDenied"),
        ("ali\u200bce", PASSWORD, "AccessDenied"),
        ("\u202ealice", PASSWORD, "AccessDenied"),
        ("   ", PASSWORD, "AccessDenied"),
        ("аlice", PASSWORD, "AccessDenied"),
    ],
)
def test_what_is_too_long_or_cannot_be_seen(server: BrokerServer, name: str, password: str, code: str) -> None:
    body = {**FORM, "LDAPUsername": name, "LDAPPassword": password, "ProviderArn": PROVIDER}
    status, text = call(server, {}, body)
    assert status in (400, 403)
    assert f"<Code>{code}</Code>" in text
    assert password not in server.log()


@pytest.mark.parametrize("missing", ["LDAPUsername", "LDAPPassword"])
def test_both_must_be_given(server: BrokerServer, missing: str) -> None:
    for body in ({name: value for name, value in FORM.items() if name != missing}, {**FORM, missing: ""}):
        status, text = call(server, {}, {**body, "ProviderArn": PROVIDER})
        assert (status, "<Code>ValidationError</Code>" in text) == (400, True)


def test_four_megabytes_are_not_read(server: BrokerServer) -> None:
    try:
        status, _ = call(server, {}, {**FORM, "LDAPUsername": "x" * 4_000_000, "ProviderArn": PROVIDER})
    except urllib.error.URLError as error:  # the server answers and closes before all is sent
        assert isinstance(error.reason, OSError)  # noqa: PT017
        return
    assert status == 413

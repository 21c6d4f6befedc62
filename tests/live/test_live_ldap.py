"""AssumeRoleWithLDAPIdentity over the wire, with OpenLDAP and a replica behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm.directory import PASSWORD, PEOPLE, OpenLdap, openldap_entry
from realm.own_operations import own_client
from realm.server import ACCOUNT, BrokerServer, Keys, request_id, serving
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

"""Logins by Active Directory's rules, with Samba as the domain controller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm.directory import PASSWORD, ActiveDirectory, active_directory_entry
from realm.ldap_attacks import DN, FILTER
from realm.own_operations import own_client
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, refused, serving
from realm.site import role, role_arn, trust

ACTIONS = ["sts:AssumeRoleWithLDAPIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
WRONG = "The user name or the password is incorrect."
PROVIDERS = ("ad", "walk", "upn", "down", "starttls", "plain")


def provider(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:ldap-provider/{name}"


def in_group(name: str) -> dict[str, Any]:
    return {"ForAnyValue:StringEquals": {"ldap:groups": name}}


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveDirectory]:
    made = ActiveDirectory(tmp_path_factory.mktemp("samba"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(domain: ActiveDirectory, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 1})
    home, base = made.directory, domain.variables["AD_BASE_DN"]
    themselves: dict[str, Any] = {"bind_dn": None, "bind_password_file": None}
    walk = {"group_search": {"base_dn": base, "filter": "(member={dn})", "nested": "Walk"}}
    entries = [
        active_directory_entry(domain, home, attributes=["*"], sync_seconds=0, recheck_seconds=1),
        active_directory_entry(domain, home, "walk", **walk),
        active_directory_entry(domain, home, "upn", user_dn_template="{username}@ad.realm.test", **themselves),
        active_directory_entry(domain, home, "down", user_dn_template="ADREALM\\{username}", **themselves),
        active_directory_entry(domain, home, "starttls", servers=[domain.variables["AD_LDAP_URI"]]),
        active_directory_entry(domain, home, "plain", group_search=None),
    ]
    trusted = {"Federated": [provider(name) for name in PROVIDERS]}
    roles = [role("Everybody", trust(trusted, ACTIONS))]
    for group in ("nest-0", "aws-billing", "Domain Users", "distribution-only", "Odd, group+(x)*\\\\", "cycle-b"):
        roles.append(
            role(group.replace(" ", "").split(",")[0], trust(trusted, ACTIONS, **in_group(group.replace("\\\\", "\\"))))
        )
    made.add("\n".join((*entries, *roles)))
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def sts(server: BrokerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    client = own_client(tmp_path_factory.mktemp("models"), server, "sts")
    yield client
    client.close()


def log_in(sts: Any, name: str, password: str = PASSWORD, of: str = "ad", to: str = "Everybody") -> Any:
    return sts.assume_role_with_ldap_identity(
        LDAPUsername=name, LDAPPassword=password, ProviderArn=provider(of), RoleArn=role_arn(to)
    )


@pytest.mark.parametrize("name", ["erin", "ERIN", "erin@corp.realm.test", "erin@realm.test"])
def test_every_name_of_somebody_is_the_same_subject(sts: Any, name: str) -> None:
    """sAMAccountName, userPrincipalName, mail."""
    answer = log_in(sts, name)
    assert answer["Subject"] == log_in(sts, "erin")["Subject"]
    assert answer["AssumedRoleUser"]["Arn"].endswith("/erin")
    assert answer["SubjectDN"].startswith("CN=Erin Suffix,")


@pytest.mark.parametrize("of", PROVIDERS)
def test_every_way_in(sts: Any, of: str) -> None:
    assert log_in(sts, "alice", of=of)["SubjectDN"].startswith("CN=Alice Example,")
    with refused("AccessDenied", status=403, message=WRONG):
        log_in(sts, "alice", "wrong", of=of)
    with refused("AccessDenied", status=403, message=WRONG):
        log_in(sts, "nobody", of=of)


@pytest.mark.parametrize("of", ["ad", "walk"])
@pytest.mark.parametrize(
    ("name", "group"),
    [("alice", "nest-0"), ("carol", "aws-billing"), ("alice", "DomainUsers"), ("alice", "Odd"), ("bob", "cycle-b")],
)
def test_groups(sts: Any, of: str, name: str, group: str) -> None:
    """Nested, direct, primary, with an odd name, in a circle."""
    assert log_in(sts, name, of=of, to=group)
    with refused("AccessDenied", message="Not authorized to perform"):
        log_in(
            sts,
            "dave" if group != "DomainUsers" else "alice",
            of=of,
            to=group if group != "DomainUsers" else "aws-billing",
        )


@pytest.mark.parametrize("of", ["ad", "walk"])
def test_distribution_groups_grant_nothing(sts: Any, of: str) -> None:
    with refused("AccessDenied", message="Not authorized to perform"):
        log_in(sts, "alice", of=of, to="distribution-only")


REASONS = {
    "disabled": "the account is disabled (data 533)",
    "expired": "the account has expired (data 701)",
    "mustchange": "the password must be changed first (data 773)",
}


@pytest.mark.parametrize("name", REASONS)
@pytest.mark.parametrize("of", ["ad", "upn"])
def test_why_an_account_may_not_log_in(sts: Any, server: BrokerServer, name: str, of: str) -> None:
    with refused("AccessDenied", status=403) as refusal:
        log_in(sts, name, of=of)
    assert refusal.message == WRONG
    assert REASONS[name] in server.event(refusal.request_id)["additionalEventData"]["reason"]


def test_wrong_passwords_lock(sts: Any, server: BrokerServer) -> None:
    reasons = []
    for _ in range(5):
        with refused("AccessDenied", message=WRONG) as refusal:
            log_in(sts, "lockme", "wrong")
        reasons.append(server.event(refusal.request_id)["additionalEventData"]["reason"])
    assert "(data 52e)" in reasons[0]
    assert "(data 775)" in reasons[-1]


@pytest.mark.parametrize(
    "name", ["comma", "plus", "paren", "star", "bslash", "hash", "quote", "equals", "o'brien", "user0099"]
)
def test_odd_names(sts: Any, name: str) -> None:
    assert log_in(sts, name)["SubjectDN"]


def test_other_alphabets(sts: Any) -> None:
    assert log_in(sts, "utf8", "Pässwörd 日本 1")["SubjectDN"].startswith("CN=Žofie")


@pytest.mark.parametrize("name", ["alice@ad.realm.test", "ADREALM\\alice", "alice/x", "alice@elsewhere.test"])
def test_a_template_s_domain_is_the_only_one(sts: Any, name: str) -> None:
    with refused("AccessDenied", message=WRONG):
        log_in(sts, name, of="upn")


@pytest.mark.parametrize("name", [*FILTER[::4], *DN[::2]])
@pytest.mark.parametrize("of", ["ad", "upn", "down"])
def test_names_that_are_nobody_s(sts: Any, of: str, name: str) -> None:
    with refused("AccessDenied", status=403, message=WRONG):
        log_in(sts, name, of=of)


def lives(client: Any) -> bool:
    try:
        client.get_caller_identity()
    except client.exceptions.ClientError:
        return False
    return True


def test_who_is_disabled_loses_the_sessions(domain: ActiveDirectory, server: BrokerServer, sts: Any) -> None:
    answer = log_in(sts, "user0007")
    client = server.client(Keys.of(answer))
    client.get_caller_identity()
    domain.change(
        f"dn: {answer['SubjectDN']}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n"
    )
    deadline = time.monotonic() + 15
    while lives(client):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    with refused("ExpiredToken"):
        client.get_caller_identity()


def test_the_command_says_what_is_what(domain: ActiveDirectory, server: BrokerServer) -> None:
    text = accredit("ldap", "test", server.directory, "--provider", "ad", "--user", "alice")
    for words in ("✓ TLS", "✓ bind", "✓ base", "✓ user", "✓ groups", "1.2.840.113556.1.4.1941", "✓ session   alice"):
        assert words in text
    assert f"✓ role      {role_arn('nest-0')}" in text
    assert f"✗ role      {role_arn('aws-billing')}" in text

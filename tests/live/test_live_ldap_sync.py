"""Changes in a directory reach the sessions: re-checks, syncs, the threshold, and revocation by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm.directory import PASSWORD, OpenLdap, openldap_entry
from realm.own_operations import own_client
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, refused, serving
from realm.site import allow, role, trust

ACTIONS = ["sts:AssumeRoleWithLDAPIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
PROVIDERS = ("recheck", "scheduled", "byhand", "guarded", "positive", "renewed")
WAIT_SECONDS = 15.0


def arn(provider: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:ldap-provider/{provider}"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLdap]:
    made = OpenLdap(tmp_path_factory.mktemp("openldap"), NO_REPLICA="1")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(directory: OpenLdap, make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 2})
    often = {
        "recheck": {"sync_seconds": 0, "recheck_seconds": 1},
        "scheduled": {"sync_seconds": 2, "recheck_seconds": 0},
        "positive": {"sync_seconds": 0, "recheck_seconds": 1},
    }
    for name in PROVIDERS:
        settings = often.get(name, {"sync_seconds": 0, "recheck_seconds": 0})
        made.add(openldap_entry(directory, made.directory, name, servers=[directory.ldaps], **settings))
        made.add(role(name, trust({"Federated": arn(name)}, ACTIONS), may=[allow("sts:*")]))
    made.add(role("Chained", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})))
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def sts(server: BrokerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    client = own_client(tmp_path_factory.mktemp("models"), server, "sts")
    yield client
    client.close()


def log_in(sts: Any, name: str, provider: str) -> Any:
    return sts.assume_role_with_ldap_identity(LDAPUsername=name, LDAPPassword=PASSWORD, ProviderArn=arn(provider))


def lives(server: BrokerServer, answer: Any) -> bool:
    client = server.client(Keys.of(answer))
    try:
        client.get_caller_identity()
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ExpiredToken":
            raise
        return False
    return True


def wait_until_over(server: BrokerServer, answer: Any) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while lives(server, answer):
        assert time.monotonic() < deadline, "the session lives on"
        time.sleep(0.25)


def synced(server: BrokerServer, provider: str, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        accredit("ldap", "sync", server.directory, "--provider", provider, "--json", *options)
    )
    return found


@pytest.mark.parametrize("provider", ["recheck", "scheduled"])
@pytest.mark.parametrize("how", ["lock", "delete"])
def test_an_account_that_goes_takes_its_sessions_along(
    directory: OpenLdap, server: BrokerServer, sts: Any, provider: str, how: str
) -> None:
    name = f"{provider}{how}"
    dn = directory.add_person(name)
    answer, other = log_in(sts, name, provider), log_in(sts, "alice", provider)
    chained = server.client(Keys.of(answer)).assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Chained", RoleSessionName="next"
    )
    time.sleep(2)
    assert lives(server, answer)
    getattr(directory, how)(dn)
    wait_until_over(server, answer)
    assert not lives(server, chained)
    assert lives(server, other)
    (event,) = server.events(eventName="RevokeSessions", recipientAccountId=ACCOUNT)[-1:]
    assert event["requestParameters"]["dn"] == dn
    assert event["requestParameters"]["value"] == answer["Subject"]
    assert ("locked for good" if how == "lock" else "no such account") in event["additionalEventData"]["reason"]


def test_a_lock_by_wrong_passwords_ends_nobody_s_session(directory: OpenLdap, server: BrokerServer, sts: Any) -> None:
    directory.add_person("guessed")
    answer = log_in(sts, "guessed", "positive")
    for _ in range(4):
        with refused("AccessDenied"):
            sts.assume_role_with_ldap_identity(LDAPUsername="guessed", LDAPPassword="x", ProviderArn=arn("positive"))
    for _ in range(8):
        assert lives(server, answer)
        time.sleep(0.5)


def test_by_hand(directory: OpenLdap, server: BrokerServer, sts: Any) -> None:
    dn = directory.add_person("byhand")
    answer = log_in(sts, "byhand", "byhand")
    assert synced(server, "byhand")["ended"] == []
    directory.lock(dn)
    dry = synced(server, "byhand", "--dry-run")
    assert [(one["dn"], one["reason"]) for one in dry["ended"]] == [(dn, "the account is locked for good")]
    assert dry["applied"] is False
    assert lives(server, answer)
    done = synced(server, "byhand")
    assert (done["applied"], done["ended"]) == (True, dry["ended"])
    time.sleep(1)
    assert not lives(server, answer)
    with refused("AccessDenied"):
        log_in(sts, "byhand", "byhand")
    directory.unlock(dn)
    time.sleep(1.1)  # sessions until the second of the revocation are over
    again = log_in(sts, "byhand", "byhand")
    assert again["Subject"] == answer["Subject"]
    assert lives(server, again)
    assert not lives(server, answer)
    directory.lock(dn)
    assert len(synced(server, "byhand")["ended"]) == 1


def test_too_many_at_once_are_nobody(directory: OpenLdap, server: BrokerServer, sts: Any) -> None:
    names = [f"guard{number}" for number in range(10)]
    dns = [directory.add_person(name) for name in names]
    answers = [log_in(sts, name, "guarded") for name in names]
    for dn in dns[:4]:
        directory.delete(dn)
    with pytest.raises(RuntimeError, match=r"would deactivate 40 % \(4 of 10\)"):
        synced(server, "guarded")
    assert all(lives(server, answer) for answer in answers)
    (event,) = server.events(eventName="SyncDirectory")
    assert event["errorCode"] == "SyncRefused"
    assert "would deactivate 40 %" in event["errorMessage"]
    assert len(synced(server, "guarded", "--force")["ended"]) == 4
    time.sleep(1)
    assert [lives(server, answer) for answer in answers] == [False] * 4 + [True] * 6


def test_the_same_name_again_is_somebody_else(directory: OpenLdap, server: BrokerServer, sts: Any) -> None:
    dn = directory.add_person("renewed")
    first = log_in(sts, "renewed", "renewed")
    directory.delete(dn)
    directory.add_person("renewed")
    second = log_in(sts, "renewed", "renewed")
    assert first["Subject"] != second["Subject"]
    assert len(synced(server, "renewed")["ended"]) == 1
    time.sleep(1)
    assert (lives(server, first), lives(server, second)) == (False, True)


def test_somebody_who_moves_stays_the_same(directory: OpenLdap, server: BrokerServer, sts: Any) -> None:
    dn = directory.add_person("moving")
    first = log_in(sts, "moving", "renewed")
    directory.change(f"dn: {dn}\nchangetype: modrdn\nnewrdn: uid=moved\ndeleteoldrdn: 1\n")
    second = log_in(sts, "moved", "renewed")
    assert first["Subject"] == second["Subject"]
    assert synced(server, "renewed")["ended"] == []
    assert lives(server, first)


@pytest.mark.parametrize("by", ["name", "subject"])
def test_a_subject_s_sessions_end_by_hand(directory: OpenLdap, server: BrokerServer, sts: Any, by: str) -> None:
    name = f"revoked{by}"
    directory.add_person(name)
    answer = log_in(sts, name, "byhand")
    listed = json.loads(accredit("sessions", "list", server.directory, "--json"))
    assert answer["Subject"] in {one["subject"] for one in listed}
    who = name if by == "name" else answer["Subject"]
    accredit("sessions", "revoke", server.directory, "--subject", who, "--provider", arn("byhand"))
    time.sleep(1)
    assert not lives(server, answer)

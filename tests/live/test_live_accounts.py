"""Accounts made by the command line beside a running server: trust needs both sides, and deletion ends everything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, refused, serving
from realm.site import allow, policy, role_arn, trust
from realm.store import give_key, give_policies

ALPHA, BETA = "111122223333", "444455556666"


@pytest.fixture(scope="module")
def server(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    with serving(make_broker()) as made:
        yield made


def make_account(server: BrokerServer, account: str) -> Keys:
    made = json.loads(accredit("account", "create", server.directory, "--account-id", account, "--json"))
    return Keys(made["access_key_id"], made["secret_access_key"])


@pytest.fixture
def alpha(server: BrokerServer) -> Iterator[Keys]:
    """The root key of an account with a user ``Anna`` in it."""
    yield make_account(server, ALPHA)
    if ALPHA in accredit("account", "list", server.directory):
        accredit("account", "delete", server.directory, "--force", ALPHA)


@pytest.fixture
def beta(server: BrokerServer) -> Iterator[Keys]:
    yield make_account(server, BETA)
    accredit("account", "delete", server.directory, "--force", BETA)


def test_an_account_works_at_once(server: BrokerServer, alpha: Keys) -> None:
    who = server.client(alpha).get_caller_identity()
    assert (who["Account"], who["Arn"]) == (ALPHA, f"arn:aws:iam::{ALPHA}:root")
    iam = server.client(alpha, service="iam")
    assert iam.list_users()["Users"] == iam.list_roles()["Roles"] == []
    assert iam.create_user(UserName="Anna")["User"]["Arn"] == f"arn:aws:iam::{ALPHA}:user/Anna"
    server.client(server.root, service="iam").create_user(UserName="Anna")  # another account, another Anna


def test_a_foreign_role_needs_both_sides(server: BrokerServer, alpha: Keys, beta: Keys) -> None:
    anna = server.client(alpha, service="iam").create_user(UserName="Anna")["User"]
    keys = give_key(server, anna["UserId"], ALPHA)
    theirs = server.client(beta, service="iam")
    made = theirs.create_role(RoleName="Guest", AssumeRolePolicyDocument=policy(trust({"AWS": BETA})))["Role"]
    arn = role_arn("Guest", BETA)
    sts = server.client(keys)

    def assume() -> Any:
        return sts.assume_role(RoleArn=arn, RoleSessionName="visit")

    denial = f"User: {anna['Arn']} is not authorized to perform: sts:AssumeRole on resource: {arn} "
    may, may_not = [allow("sts:AssumeRole", arn)], [allow("sts:AssumeRole", role_arn("Guest", ALPHA))]
    for own, trusted in (
        ([], {"AWS": BETA}),  # neither
        (may, {"AWS": BETA}),  # her own policies alone
        ([], {"AWS": ALPHA}),  # the role's alone
        ([], {"AWS": anna["Arn"]}),  # naming her in person does not replace them in another account
        ([], {"AWS": "*"}),
        (may_not, {"AWS": ALPHA}),
    ):
        give_policies(server, anna["UserId"], *own)
        theirs.update_assume_role_policy(RoleName="Guest", PolicyDocument=policy(trust(trusted)))
        with refused("AccessDenied", status=403, message=denial):
            assume()
    for trusted in ({"AWS": ALPHA}, {"AWS": anna["Arn"]}):
        give_policies(server, anna["UserId"], *may)
        theirs.update_assume_role_policy(RoleName="Guest", PolicyDocument=policy(trust(trusted)))
        session = Keys.of(assume())
    # inside she is Beta's, and has of Alpha nothing
    give_policies(server, made["RoleId"], allow("iam:*"))
    inside = server.client(session, service="iam")
    assert [one["RoleName"] for one in inside.list_roles()["Roles"]] == ["Guest"]
    with refused("NoSuchEntity"):
        inside.get_user(UserName="Anna")


def test_a_deleted_account_ends_all_its_credentials(server: BrokerServer, alpha: Keys, beta: Keys) -> None:
    iam = server.client(alpha, service="iam")
    anna = iam.create_user(UserName="Anna")["User"]
    made = iam.create_role(RoleName="Inner", AssumeRolePolicyDocument=policy(trust({"AWS": ALPHA})))["Role"]
    guest = server.client(beta, service="iam")
    guest.create_role(RoleName="Guest", AssumeRolePolicyDocument=policy(trust({"AWS": [anna["Arn"], ALPHA]})))
    guest_arn = role_arn("Guest", BETA)
    for unique_id in (anna["UserId"], made["RoleId"]):
        give_policies(server, unique_id, allow("*"))
    keys = give_key(server, anna["UserId"], ALPHA)
    user, root = server.client(keys), server.client(alpha)
    role_session = Keys.of(user.assume_role(RoleArn=role_arn("Inner", ALPHA), RoleSessionName="session"))
    user_session = Keys.of(user.get_session_token())
    everything = policy(allow("*"))
    federated = Keys.of(root.get_federation_token(Name="federated", Policy=everything))
    asking = {"PolicySourceArn": anna["Arn"], "ActionNames": ["iam:GetUser"]}
    server.client(role_session, service="iam").simulate_principal_policy(**asking)

    with pytest.raises(RuntimeError, match=r"is not empty: it has users, groups and roles \(2\)\."):
        accredit("account", "delete", server.directory, ALPHA)
    accredit("account", "delete", server.directory, "--force", ALPHA)
    for held in (alpha, keys):
        with refused("InvalidClientTokenId", status=403):
            server.client(held).get_caller_identity()
    trusted = guest.get_role(RoleName="Guest")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
    assert trusted == [anna["UserId"], ALPHA]

    def ended() -> None:
        for session in (role_session, user_session):
            with refused("AccessDenied", status=403):
                server.client(session).assume_role(RoleArn=guest_arn, RoleSessionName="session")
        with refused("AccessDenied", status=403):
            server.client(role_session, service="iam").simulate_principal_policy(**asking)
        validator = server.client(federated, service="accessanalyzer")
        with refused("AccessDeniedException", status=403):
            validator.validate_policy(policyDocument=everything, policyType="IDENTITY_POLICY")

    ended()
    again = make_account(server, ALPHA)
    iam = server.client(again, service="iam")
    anew = iam.create_user(UserName="Anna")["User"]
    iam.create_role(RoleName="Inner", AssumeRolePolicyDocument=policy(trust({"AWS": ALPHA})))
    assert anew["Arn"] == anna["Arn"]
    ended()
    trusted = guest.get_role(RoleName="Guest")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
    assert trusted == [anna["UserId"], ALPHA]


def test_the_account_of_the_configuration_stays(server: BrokerServer) -> None:
    with pytest.raises(RuntimeError, match=r"is declared in accredit\.toml"):
        accredit("account", "delete", server.directory, "--force", ACCOUNT)
    assert server.client(server.root).get_caller_identity()["Account"] == ACCOUNT

"""``accredit access`` on a served broker: what is used, what a change would do, who can become whom."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, refused, serving


def arn(kind: str, name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{kind}/{name}"


def policy(action: object, resource: object = "*", **more: object) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": resource, **more}}
    )


def trust(*names: str, **more: object) -> str:
    principal = {"AWS": [arn(*name.split("/")) for name in names]}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


@pytest.fixture(scope="module")
def worked(make_broker):
    made = make_broker(settings={"audit.seal_seconds": 0.1, "server.workers": 1})
    with serving(made):
        iam = made.client(made.root, service="iam")
        for name in ("alice", "bob", "carol"):
            iam.create_user(UserName=name)
        managed = iam.create_policy(PolicyName="work", PolicyDocument=policy(["iam:List*", "iam:Get*"]))["Policy"]
        iam.attach_user_policy(UserName="alice", PolicyArn=managed["Arn"])
        iam.put_user_policy(UserName="alice", PolicyName="roles", PolicyDocument=policy("sts:*"))
        iam.create_role(RoleName="step", AssumeRolePolicyDocument=trust("user/alice"))
        iam.put_role_policy(
            RoleName="step", PolicyName="p", PolicyDocument=policy("sts:AssumeRole", arn("role", "top"))
        )
        iam.create_role(RoleName="top", AssumeRolePolicyDocument=trust("role/step"))
        iam.put_role_policy(RoleName="top", PolicyName="p", PolicyDocument=policy("iam:*"))
        iam.create_role(RoleName="apart", AssumeRolePolicyDocument=trust("user/bob"))
        issuer = "https://issuer.example.com"
        provider = iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["app"])["OpenIDConnectProviderArn"]
        web = json.loads(trust("user/bob"))
        web["Statement"] |= {"Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
        iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps(web))
        alice = _keys(iam, "alice")
        own = made.client(alice, service="iam")
        for _ in range(3):
            own.list_users()
        own.get_user(UserName="bob")
        with refused("AccessDenied"):
            own.create_user(UserName="more")
        iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=policy("iam:ListGroups"))
        made.client(_keys(iam, "bob"), service="iam").list_groups()
        step = Keys.of(made.client(alice).assume_role(RoleArn=arn("role", "step"), RoleSessionName="way"))
        made.client(step).assume_role(RoleArn=arn("role", "top"), RoleSessionName="way")
        iam.create_policy_version(PolicyArn=managed["Arn"], PolicyDocument=policy("iam:List*"))
        deadline = time.monotonic() + 10
        time.sleep(0.3)
        while made.query("SELECT count(*) FROM audit_events") != made.query("SELECT max(size) FROM audit_heads"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    return made


def _keys(iam, name: str) -> Keys:
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Keys(key["AccessKeyId"], key["SecretAccessKey"])


def told(broker: BrokerServer, *arguments: str | Path):
    return json.loads(accredit("access", arguments[0], broker.directory, *arguments[1:], "--json"))


def test_what_is_used_and_what_is_not(worked: BrokerServer) -> None:
    found = told(worked, "permissions", arn("user", "alice"))
    assert set(found["used"]) == {"iam:ListUsers", "iam:GetUser", "sts:AssumeRole"}
    assert {"iam:ListRoles", "iam:GetRole", "sts:GetFederationToken"} <= set(found["unused"])
    assert "iam:CreateUser" not in found["unused"], "what is not granted is not unused"
    assert set(told(worked, "permissions", arn("role", "step"))["used"]) == {"sts:AssumeRole"}
    assert told(worked, "permissions", arn("user", "carol")) == {"used": {}, "unused": []}
    with pytest.raises(RuntimeError, match="there is no user or role"):
        told(worked, "permissions", arn("user", "nobody"))


def test_the_smallest_policy(worked: BrokerServer) -> None:
    document = json.loads(accredit("access", "generate", worked.directory, arn("user", "alice")))
    allowed = {action: one["Resource"] for one in document["Statement"] for action in one["Action"]}
    assert allowed["iam:GetUser"] == [arn("user", "bob")]
    assert allowed["sts:AssumeRole"] == [arn("role", "step")]
    assert set(allowed) == {"iam:GetUser", "iam:ListUsers", "sts:AssumeRole"}


def test_a_shadow_version_is_judged_before_it_becomes_the_default(worked: BrokerServer) -> None:
    found = told(worked, "replay", "--policy", arn("policy", "work"), "--version", "v2")
    assert found["denied"] == [[arn("user", "alice"), "iam:GetUser", 1]]
    assert found["allowed"] == []
    assert told(worked, "replay", "--policy", arn("policy", "work"), "--version", "v1")["denied"] == []
    text = accredit("access", "replay", worked.directory, "--policy", arn("policy", "work"), "--version", "v2")
    assert "1 allows become denials" in text
    with pytest.raises(RuntimeError, match="there is no version v9"):
        told(worked, "replay", "--policy", arn("policy", "work"), "--version", "v9")


def test_a_changed_document_is_judged(worked: BrokerServer, tmp_path: Path) -> None:
    document = tmp_path / "policy.json"
    document.write_text(policy("iam:*"))
    found = told(worked, "replay", "--policy", arn("policy", "work"), "--document", document)
    assert (found["denied"], found["allowed"]) == ([], [[arn("user", "alice"), "iam:CreateUser", 1]])
    document.write_text(policy("iam:Get*"))
    inline = ("--inline", "user/bob inline policy own", "--account", ACCOUNT)
    assert told(worked, "replay", *inline, "--document", document)["denied"] == [
        [arn("user", "bob"), "iam:ListGroups", 1]
    ]
    assert told(worked, "replay", "--inline", "user/bob inline policy absent", *inline[2:], "--document", document)[
        "concerned"
    ] == 0  # fmt: skip
    document.write_text(trust("user/bob"))
    found = told(worked, "replay", "--trust", arn("role", "step"), "--document", document)
    assert found["denied"] == [[arn("user", "alice"), "sts:AssumeRole", 1]]
    document.write_text("{")
    with pytest.raises(RuntimeError, match="Error"):
        told(worked, "replay", "--trust", arn("role", "step"), "--document", document)


def test_who_can_become_whom(worked: BrokerServer) -> None:
    alice, step, top = arn("user", "alice"), arn("role", "step"), arn("role", "top")
    assert told(worked, "paths", "--from", alice) == [[alice, step], [alice, step, top]]
    assert told(worked, "paths", "--to", top) == [[step, top], [alice, step, top]]
    assert told(worked, "paths", "--to", arn("role", "apart")) == [[arn("user", "bob"), arn("role", "apart")]]
    assert told(worked, "paths", "--from", arn("user", "carol")) == []
    provider = arn("oidc-provider", "issuer.example.com")
    assert told(worked, "paths", "--from", provider) == [[provider, arn("role", "web")]]
    assert told(worked, "paths", "--to-administrator", "--from", alice) == [[alice, step, top]]
    assert told(worked, "paths", "--to-administrator", "--account", ACCOUNT) == [[top], [step, top], [alice, step, top]]
    with pytest.raises(RuntimeError, match="there is no user"):
        told(worked, "paths", "--from", arn("user", "nobody"))

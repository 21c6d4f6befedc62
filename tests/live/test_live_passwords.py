"""Console passwords and the account's password policy, with boto3 and the aws command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm import site
from realm.components import BIN
from realm.server import ACCOUNT, BrokerServer, Keys, clean_environment, refused, request_id, serving

FIRST, SECOND, THIRD = "Wolf7!lantern", "Quay-of-9-Geese", "Marble+42+river"


@pytest.fixture(scope="module")
def own_broker(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    """The password policy is the account's: these tests have an account of their own."""
    made = make_broker(settings={"server.workers": 1})
    made.add(site.user("declared"))
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def iam(own_broker: BrokerServer) -> Any:
    return own_broker.client(own_broker.root, service="iam")


@pytest.fixture
def user(iam: Any) -> Iterator[str]:
    iam.create_user(UserName="Pat")
    yield "Pat"
    try:
        iam.delete_login_profile(UserName="Pat")
    except iam.exceptions.NoSuchEntityException:
        pass
    for key in iam.list_access_keys(UserName="Pat")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="Pat", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="Pat")


@pytest.fixture
def pat(iam: Any, user: str, own_broker: BrokerServer) -> Any:
    """A client that signs as the user, who has no policies."""
    made = iam.create_access_key(UserName=user)["AccessKey"]
    return own_broker.client(Keys(made["AccessKeyId"], made["SecretAccessKey"]), service="iam")


@pytest.fixture
def policy(iam: Any) -> Iterator[Callable[..., None]]:
    yield lambda **settings: iam.update_account_password_policy(**settings)
    try:
        iam.delete_account_password_policy()
    except iam.exceptions.NoSuchEntityException:
        pass


def test_a_password_comes_and_goes(iam: Any, user: str, own_broker: BrokerServer) -> None:
    made = iam.create_login_profile(UserName=user, Password=FIRST, PasswordResetRequired=True)
    assert made["LoginProfile"]["UserName"] == "Pat"
    assert FIRST not in json.dumps(own_broker.event(request_id(made)))
    assert FIRST not in own_broker.log()
    assert iam.get_login_profile(UserName="pat")["LoginProfile"]["PasswordResetRequired"] is True
    with refused("EntityAlreadyExists", status=409, message="Login Profile for user Pat already exists."):
        iam.create_login_profile(UserName=user, Password=SECOND)
    with refused("DeleteConflict", status=409, message="must delete login profile first"):
        iam.delete_user(UserName=user)
    iam.update_login_profile(UserName=user, PasswordResetRequired=False)
    assert iam.get_login_profile(UserName=user)["LoginProfile"]["PasswordResetRequired"] is False
    iam.delete_login_profile(UserName=user)
    for call in (iam.get_login_profile, iam.delete_login_profile):
        with refused("NoSuchEntity", status=404, message="Login Profile for User Pat cannot be found."):
            call(UserName=user)
    with refused("NoSuchEntity"):
        iam.update_login_profile(UserName=user, Password=SECOND)


def test_hashes_alone_are_stored(iam: Any, user: str, own_broker: BrokerServer) -> None:
    iam.create_login_profile(UserName=user, Password=FIRST)
    raw = own_broker.database.read_bytes() + own_broker.database.with_name("accredit.db-wal").read_bytes()
    assert FIRST.encode() not in raw
    assert b"$argon2id$" in raw


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("Wolf7!x", "minimum length of 8"),
        ("wolflantern", "at least three of"),
        ("Password1!", "common"),
        ("Pat-2026!", "resemble"),
        ("123456789012-Ab", "resemble"),
    ],
)
def test_bad_passwords(iam: Any, user: str, password: str, rule: str) -> None:
    with refused("PasswordPolicyViolation", status=400, message=rule):
        iam.create_login_profile(UserName=user, Password=password)


def test_what_is_not_a_password(iam: Any, user: str) -> None:
    with refused("ValidationError", message="must not be null"):
        iam.create_login_profile(UserName=user)
    with refused("ValidationError", message="less than or equal to 128") as refusal:
        iam.create_login_profile(UserName=user, Password="Aa1!" * 33)
    assert "Aa1!" not in refusal.message
    with refused("NoSuchEntity"):
        iam.create_login_profile(UserName="Nobody-Here", Password=FIRST)
    with refused("InvalidParameterValue", message="MaxSigninSessionDuration"):
        iam.create_login_profile(UserName=user, Password=FIRST, MaxSigninSessionDuration=3_600)


def test_without_a_policy_there_is_none(iam: Any) -> None:
    message = f"The Password Policy with domain name {ACCOUNT} cannot be found."
    for call in (iam.get_account_password_policy, iam.delete_account_password_policy):
        with refused("NoSuchEntity", status=404, message=message):
            call()


def test_an_update_replaces_all_of_the_policy(iam: Any, policy: Callable[..., None], own_broker: BrokerServer) -> None:
    policy(MinimumPasswordLength=14, RequireSymbols=True, MaxPasswordAge=90, PasswordReusePrevention=3, HardExpiry=True)
    assert iam.get_account_password_policy()["PasswordPolicy"] == {
        "MinimumPasswordLength": 14,
        "RequireSymbols": True,
        "RequireNumbers": False,
        "RequireUppercaseCharacters": False,
        "RequireLowercaseCharacters": False,
        "AllowUsersToChangePassword": False,
        "ExpirePasswords": True,
        "MaxPasswordAge": 90,
        "PasswordReusePrevention": 3,
        "HardExpiry": True,
    }
    policy(RequireNumbers=True)
    found = iam.get_account_password_policy()["PasswordPolicy"]
    assert (found["MinimumPasswordLength"], found["RequireSymbols"], found["ExpirePasswords"]) == (6, False, False)
    assert "MaxPasswordAge" not in found
    unchecked = own_broker.client(own_broker.root, service="iam", parameter_validation=False)
    for wrong in ({"MinimumPasswordLength": 5}, {"MinimumPasswordLength": 129}, {"MaxPasswordAge": 1_096}):
        with refused("ValidationError"):
            unchecked.update_account_password_policy(**wrong)
    assert iam.get_account_password_policy()["PasswordPolicy"] == found


def test_each_rule_of_the_policy_is_named(iam: Any, user: str, policy: Callable[..., None]) -> None:
    policy(
        MinimumPasswordLength=12,
        RequireSymbols=True,
        RequireNumbers=True,
        RequireUppercaseCharacters=True,
        RequireLowercaseCharacters=True,
    )
    for password, rule in (
        ("Wolf7!lant", "minimum length of 12"),
        ("wolf7!lantern", "one uppercase letter"),
        ("WOLF7!LANTERN", "one lowercase letter"),
        ("Wolf!lanterns", "one number"),
        ("Wolf7lanterns", "one symbol"),
    ):
        with refused("PasswordPolicyViolation", message=rule):
            iam.create_login_profile(UserName=user, Password=password)
    iam.create_login_profile(UserName=user, Password=FIRST)


def test_passwords_are_not_used_again(iam: Any, user: str, policy: Callable[..., None]) -> None:
    policy(PasswordReusePrevention=2)
    iam.create_login_profile(UserName=user, Password=FIRST)
    for again in (FIRST,):
        with refused("PasswordPolicyViolation", message="last 2 passwords"):
            iam.update_login_profile(UserName=user, Password=again)
    iam.update_login_profile(UserName=user, Password=SECOND)
    for again in (FIRST, SECOND):
        with refused("PasswordPolicyViolation", message="last 2 passwords"):
            iam.update_login_profile(UserName=user, Password=again)
    iam.update_login_profile(UserName=user, Password=THIRD)
    iam.update_login_profile(UserName=user, Password=FIRST)


def test_users_change_their_own_if_the_policy_lets_them(
    iam: Any, pat: Any, user: str, policy: Callable[..., None]
) -> None:
    iam.create_login_profile(UserName=user, Password=FIRST, PasswordResetRequired=True)
    with refused("AccessDenied", status=403, message="iam:ChangePassword on resource: arn:aws:iam::"):
        pat.change_password(OldPassword=FIRST, NewPassword=SECOND)
    policy(AllowUsersToChangePassword=True)
    with refused("AccessDenied", message="Your authentication information is incorrect."):
        pat.change_password(OldPassword=THIRD, NewPassword=SECOND)
    with refused("PasswordPolicyViolation", message="should not be the old one"):
        pat.change_password(OldPassword=FIRST, NewPassword=FIRST)
    with refused("PasswordPolicyViolation", message="common"):
        pat.change_password(OldPassword=FIRST, NewPassword="dragon")
    answer = pat.change_password(OldPassword=FIRST, NewPassword=SECOND)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert iam.get_login_profile(UserName=user)["LoginProfile"]["PasswordResetRequired"] is False
    with refused("AccessDenied"):
        pat.change_password(OldPassword=FIRST, NewPassword=THIRD)
    with refused("AccessDenied", message="no identity-based policy"):
        pat.get_login_profile()
    policy()
    with refused("AccessDenied", message="no identity-based policy"):
        pat.change_password(OldPassword=SECOND, NewPassword=THIRD)


def test_guessing_ones_old_password_is_slowed_down(iam: Any, pat: Any, user: str, policy: Callable[..., None]) -> None:
    policy(AllowUsersToChangePassword=True)
    iam.create_login_profile(UserName=user, Password=FIRST)
    for _ in range(5):
        with refused("AccessDenied"):
            pat.change_password(OldPassword=THIRD, NewPassword=SECOND)
    with refused("Throttling", status=400, message="Too many attempts"):
        pat.change_password(OldPassword=FIRST, NewPassword=SECOND)


def test_who_has_no_password_changes_none(iam: Any, pat: Any, policy: Callable[..., None]) -> None:
    policy(AllowUsersToChangePassword=True)
    with refused("NoSuchEntity", message="Login Profile for User Pat cannot be found."):
        pat.change_password(OldPassword=FIRST, NewPassword=SECOND)
    with refused("InvalidUserType", status=400, message="Only IAM Users can change their own password"):
        iam.change_password(OldPassword=FIRST, NewPassword=SECOND)


def test_a_declared_user_may_have_a_password_too(iam: Any) -> None:
    iam.create_login_profile(UserName="declared", Password=FIRST)
    iam.delete_login_profile(UserName="declared")


def test_strangers_learn_nothing(broker: BrokerServer, ci: Keys) -> None:
    stranger = broker.client(ci, service="iam")
    for name in ("nobody", "does-not-exist"):
        for call in (
            lambda name: stranger.create_login_profile(UserName=name, Password="x"),
            lambda name: stranger.get_login_profile(UserName=name),
            lambda name: stranger.update_login_profile(UserName=name),
            lambda name: stranger.delete_login_profile(UserName=name),
        ):
            with refused("AccessDenied", status=403, message=f"user/{name} because"):
                call(name)
    for account_call in ("get", "delete", "update"):
        with refused("AccessDenied", message="on resource: *"):
            getattr(stranger, f"{account_call}_account_password_policy")()


def test_the_aws_command(own_broker: BrokerServer, iam: Any, policy: Callable[..., None]) -> None:
    policy(MinimumPasswordLength=10)
    done = subprocess.run(
        [BIN / "aws", "iam", "get-account-password-policy", "--endpoint-url", own_broker.url, "--output", "json"],
        capture_output=True,
        text=True,
        env=clean_environment() | own_broker.root.environment() | {"AWS_DEFAULT_REGION": "eu-west-1"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["PasswordPolicy"]["MinimumPasswordLength"] == 10

"""Virtual MFA devices, from the QR code to a call that needs one: with boto3, pyotp and the clock."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyotp
import pytest
from realm import site
from realm.server import ACCOUNT, BrokerServer, Keys, refused, request_id, serving
from realm.site import allow

PHONE = f"arn:aws:iam::{ACCOUNT}:mfa/Phone"
NOT_VALID = "Authentication code for device is not valid."


def codes(seed: str, steps: int = -1) -> dict[str, str]:
    """Two codes that follow each other; the first is of the step before the present one."""
    now = int(time.time()) // 30
    first, second = (pyotp.TOTP(seed).generate_otp(now + steps + offset) for offset in (0, 1))
    return {"AuthenticationCode1": first, "AuthenticationCode2": second}


@pytest.fixture(scope="module")
def own_broker(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 1, "quotas.mfa_devices_per_user": 2})
    for name, text in (("seed", "JBSWY3DPEHPK3PXPJBSWY3DP"), ("secret", "s" * 40)):
        file = made.directory / name
        file.touch(mode=0o600)
        file.write_text(text)
    may = [
        allow(["iam:*MFA*", "iam:ListAccessKeys"], "arn:aws:iam::*:user/${aws:username}"),
        allow(["iam:CreateVirtualMFADevice", "iam:TagMFADevice"], "arn:aws:iam::*:mfa/${aws:username}*"),
        allow("iam:DeleteVirtualMFADevice", Condition={"StringEquals": {"aws:ResourceTag/Team": "blue"}}),
        allow("sts:*"),
        allow("iam:ListUsers", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
    ]
    made.add(site.user("declared", may=may, secret_file="secret"))
    made.add('[[user.mfa_device]]\nname = "declared"\nseed_file = "seed"\n')
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def iam(own_broker: BrokerServer) -> Any:
    return own_broker.client(own_broker.root, service="iam")


@pytest.fixture(scope="module")
def keys(iam: Any) -> Keys:
    return Keys(iam.list_access_keys(UserName="declared")["AccessKeyMetadata"][0]["AccessKeyId"], "s" * 40)


@pytest.fixture
def user(iam: Any) -> Iterator[str]:
    iam.create_user(UserName="Mo")
    yield "Mo"
    for device in iam.list_mfa_devices(UserName="Mo")["MFADevices"]:
        iam.deactivate_mfa_device(UserName="Mo", SerialNumber=device["SerialNumber"])
    for device in iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"]:
        iam.delete_virtual_mfa_device(SerialNumber=device["SerialNumber"])
    iam.delete_user(UserName="Mo")


def make(iam: Any, name: str = "Phone", **fields: Any) -> tuple[str, str]:
    """A new device: its serial number and seed."""
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName=name, **fields)["VirtualMFADevice"]
    return made["SerialNumber"], made["Base32StringSeed"].decode()


def test_a_device_from_its_picture_to_its_end(iam: Any, user: str) -> None:
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="Phone")["VirtualMFADevice"]
    assert made["SerialNumber"] == PHONE
    assert made["QRCodePNG"].startswith(b"\x89PNG\r\n")
    seed = made["Base32StringSeed"].decode()
    assert len(base64.b32decode(seed)) >= 20
    iam.enable_mfa_device(UserName="mo", SerialNumber=PHONE, **codes(seed))
    [device] = iam.list_mfa_devices(UserName=user)["MFADevices"]
    assert (device["UserName"], device["SerialNumber"]) == ("Mo", PHONE)
    assert iam.get_mfa_device(UserName=user, SerialNumber=PHONE)["EnableDate"] == device["EnableDate"]
    with refused("DeleteConflict", status=409, message="must delete MFA devices first"):
        iam.delete_user(UserName=user)
    with refused("DeleteConflict", status=409, message="MFA VirtualDevice in use. Must deactivate first."):
        iam.delete_virtual_mfa_device(SerialNumber=PHONE)
    iam.deactivate_mfa_device(UserName=user, SerialNumber=PHONE)
    assert iam.list_mfa_devices(UserName=user)["MFADevices"] == []
    iam.delete_virtual_mfa_device(SerialNumber=PHONE)
    with refused("NoSuchEntity", status=404, message=f"VirtualMFADevice with serial number {PHONE} doesn't exist."):
        iam.delete_virtual_mfa_device(SerialNumber=PHONE)


def test_the_seed_is_in_the_answer_alone(iam: Any, user: str, own_broker: BrokerServer) -> None:
    answer = iam.create_virtual_mfa_device(VirtualMFADeviceName="Phone", Tags=[{"Key": "Team", "Value": "blue"}])
    seed = answer["VirtualMFADevice"]["Base32StringSeed"].decode()
    event = json.dumps(own_broker.event(request_id(answer)))
    assert PHONE in event
    raw = own_broker.database.read_bytes() + own_broker.database.with_name("accredit.db-wal").read_bytes()
    for place in (event.encode(), own_broker.log().encode(), raw):
        assert seed.encode() not in place
        assert answer["VirtualMFADevice"]["Base32StringSeed"] not in place
    assert "Base32StringSeed" not in json.dumps(iam.list_virtual_mfa_devices()["VirtualMFADevices"], default=str)


def test_names_are_unique_without_regard_to_case(iam: Any, user: str) -> None:
    make(iam)
    with refused("EntityAlreadyExists", status=409, message="at the same path and name already exists."):
        make(iam, "pHONE")
    assert make(iam, "Phone", Path="/team/")[0] == f"arn:aws:iam::{ACCOUNT}:mfa/team/Phone"
    with refused("ValidationError", message="too long together"):
        make(iam, "x" * 200, Path="/" + "y" * 200 + "/")


@pytest.mark.parametrize("steps", [-10, 2, 3])
def test_codes_of_another_time_enable_nothing(iam: Any, user: str, steps: int) -> None:
    serial_number, seed = make(iam)
    with refused("InvalidAuthenticationCode", status=403, message=NOT_VALID):
        iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed, steps))


def test_codes_that_do_not_follow_each_other_enable_nothing(iam: Any, user: str) -> None:
    serial_number, seed = make(iam)
    right = codes(seed)
    for first, second in (
        (right["AuthenticationCode2"], right["AuthenticationCode1"]),
        (right["AuthenticationCode1"], right["AuthenticationCode1"]),
        (right["AuthenticationCode1"], "000000"),
    ):
        with refused("InvalidAuthenticationCode"):
            iam.enable_mfa_device(
                UserName=user, SerialNumber=serial_number, AuthenticationCode1=first, AuthenticationCode2=second
            )
    with refused("ValidationError") as refusal:
        iam.enable_mfa_device(
            UserName=user, SerialNumber=serial_number, AuthenticationCode1="12345a", AuthenticationCode2="123456"
        )
    assert "12345a" not in refusal.message


def test_who_cannot_have_it(iam: Any, user: str) -> None:
    serial_number, seed = make(iam)
    with refused("NoSuchEntity", message="The user with name Nobody-Here cannot be found."):
        iam.enable_mfa_device(UserName="Nobody-Here", SerialNumber=serial_number, **codes(seed))
    with refused("NoSuchEntity", message="doesn't exist"):
        iam.enable_mfa_device(UserName=user, SerialNumber=f"{serial_number}2", **codes(seed))
    with refused("InvalidInput", status=400, message="nor that of an imported token"):
        iam.enable_mfa_device(UserName=user, SerialNumber="GAHT12345678", **codes(seed))
    with refused("NoSuchEntity"):
        iam.resync_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed))
    iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed))
    with refused("EntityAlreadyExists", status=409, message="already in use"):
        iam.enable_mfa_device(UserName="declared", SerialNumber=serial_number, **codes(seed, 0))
    for call in (iam.deactivate_mfa_device, iam.get_mfa_device):
        with refused("NoSuchEntity"):
            call(UserName="declared", SerialNumber=serial_number)


def test_two_devices_and_no_third(iam: Any, user: str) -> None:
    for number in range(2):
        serial_number, seed = make(iam, f"Phone{number}")
        iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed))
    serial_number, seed = make(iam, "Phone2")
    with refused("LimitExceeded", status=409, message="Cannot exceed quota for MFADevicesPerUser: 2"):
        iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed))
    pages = iam.get_paginator("list_mfa_devices").paginate(UserName=user, PaginationConfig={"PageSize": 1})
    assert [len(page["MFADevices"]) for page in pages] == [1, 1]


def test_lists(iam: Any, user: str) -> None:
    make(iam, "Free")
    serial_number, seed = make(iam)
    iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed))

    def listed(status: str) -> dict[str, str | None]:
        pages = iam.get_paginator("list_virtual_mfa_devices").paginate(
            AssignmentStatus=status, PaginationConfig={"PageSize": 1}
        )
        found = [device for page in pages for device in page["VirtualMFADevices"]]
        return {one["SerialNumber"].rpartition("/")[2]: one.get("User", {}).get("UserName") for one in found}

    assert listed("Any") == {"Free": None, "Phone": "Mo", "declared": "declared"}
    assert listed("Assigned") == {"Phone": "Mo", "declared": "declared"}
    assert listed("Unassigned") == {"Free": None}


def test_no_code_counts_twice(iam: Any, user: str, own_broker: BrokerServer) -> None:
    serial_number, seed = make(iam)
    given = codes(seed)
    iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **given)
    with refused("InvalidAuthenticationCode"):
        iam.resync_mfa_device(UserName=user, SerialNumber=serial_number, **given)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    sts = own_broker.client(Keys(made["AccessKeyId"], made["SecretAccessKey"]))
    try:
        with refused("AccessDenied", message="invalid MFA one time pass code"):
            sts.get_session_token(SerialNumber=serial_number, TokenCode=given["AuthenticationCode2"])
        later = codes(seed, 0)
        sts.get_session_token(SerialNumber=serial_number, TokenCode=later["AuthenticationCode2"])
        with refused("InvalidAuthenticationCode"):
            iam.resync_mfa_device(UserName=user, SerialNumber=serial_number, **later)
    finally:
        iam.delete_access_key(UserName=user, AccessKeyId=made["AccessKeyId"])


def test_of_many_at_once_one_enables(iam: Any, user: str) -> None:
    serial_number, seed = make(iam)
    given = codes(seed)

    def attempt(_: int) -> bool:
        try:
            iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **given)
        except iam.exceptions.EntityAlreadyExistsException:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(attempt, range(12))).count(True) == 1


def test_a_device_counts_while_it_is_enabled(iam: Any, user: str, own_broker: BrokerServer) -> None:
    serial_number, seed = make(iam)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    sts = own_broker.client(Keys(made["AccessKeyId"], made["SecretAccessKey"]))
    failed = "unable to validate MFA code"
    try:
        with refused("AccessDenied", message=failed):
            sts.get_session_token(SerialNumber=serial_number, TokenCode=pyotp.TOTP(seed).now())
        iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed))
        iam.deactivate_mfa_device(UserName=user, SerialNumber=serial_number)
        with refused("AccessDenied", message=failed):
            sts.get_session_token(SerialNumber=serial_number, TokenCode=codes(seed, 0)["AuthenticationCode2"])
    finally:
        iam.delete_access_key(UserName=user, AccessKeyId=made["AccessKeyId"])


def test_wrong_codes_stop_a_device_and_a_resync_starts_it(iam: Any, user: str, own_broker: BrokerServer) -> None:
    serial_number, seed = make(iam)
    iam.enable_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed, -2))
    made = iam.create_access_key(UserName=user)["AccessKey"]
    sts = own_broker.client(Keys(made["AccessKeyId"], made["SecretAccessKey"]))
    try:
        for _ in range(5):
            with refused("AccessDenied"):
                sts.get_session_token(SerialNumber=serial_number, TokenCode=codes(seed, 50)["AuthenticationCode1"])

        def reason() -> str:
            """Why a right code is refused."""
            with refused("AccessDenied") as refusal:
                sts.get_session_token(SerialNumber=serial_number, TokenCode=codes(seed, 0)["AuthenticationCode1"])
            return str(own_broker.event(refusal.request_id)["additionalEventData"]["reason"])

        assert "too many wrong codes" in reason()
        with refused("InvalidAuthenticationCode", message=NOT_VALID):
            iam.resync_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed, 50))
        assert "too many wrong codes" in reason()
        iam.resync_mfa_device(UserName=user, SerialNumber=serial_number, **codes(seed, 0))
        assert reason() == "the code was used before"
    finally:
        iam.delete_access_key(UserName=user, AccessKeyId=made["AccessKeyId"])


def test_root_has_devices_too(iam: Any, own_broker: BrokerServer) -> None:
    serial_number, seed = make(iam, "root-phone")
    iam.enable_mfa_device(UserName=ACCOUNT, SerialNumber=serial_number, **codes(seed))
    [device] = iam.list_mfa_devices()["MFADevices"]
    assert device["SerialNumber"] == serial_number
    [listed] = [
        one
        for one in iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
        if one["SerialNumber"] == serial_number
    ]
    assert listed["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    answer = own_broker.client(own_broker.root).get_session_token(
        SerialNumber=serial_number, TokenCode=codes(seed, 0)["AuthenticationCode2"]
    )
    session = own_broker.client(Keys.of(answer), service="iam")
    session.deactivate_mfa_device(SerialNumber=serial_number)
    session.delete_virtual_mfa_device(SerialNumber=serial_number)


def test_tags(iam: Any, user: str) -> None:
    serial_number, _ = make(iam, Tags=[{"Key": "Team", "Value": "blue"}])
    iam.tag_mfa_device(SerialNumber=serial_number, Tags=[{"Key": "team", "Value": "red"}, {"Key": "A", "Value": ""}])
    assert iam.list_mfa_device_tags(SerialNumber=serial_number)["Tags"] == [
        {"Key": "A", "Value": ""},
        {"Key": "team", "Value": "red"},
    ]
    iam.untag_mfa_device(SerialNumber=serial_number, TagKeys=["TEAM", "none"])
    assert iam.list_mfa_device_tags(SerialNumber=serial_number)["Tags"] == [{"Key": "A", "Value": ""}]
    with refused("LimitExceeded"):
        iam.tag_mfa_device(
            SerialNumber=serial_number, Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)]
        )
    with refused("NoSuchEntity"):
        iam.tag_mfa_device(SerialNumber=f"{serial_number}2", Tags=[{"Key": "A", "Value": ""}])
    with refused("InvalidInput"):
        iam.tag_mfa_device(SerialNumber="GAHT12345678", Tags=[{"Key": "A", "Value": ""}])


def test_declared_devices_are_changed_in_the_file(iam: Any) -> None:
    serial_number = f"arn:aws:iam::{ACCOUNT}:mfa/declared"
    for call in (
        lambda: iam.deactivate_mfa_device(UserName="declared", SerialNumber=serial_number),
        lambda: iam.delete_virtual_mfa_device(SerialNumber=serial_number),
        lambda: iam.tag_mfa_device(SerialNumber=serial_number, Tags=[{"Key": "A", "Value": ""}]),
    ):
        with refused("UnmodifiableEntity", status=400, message="accredit.toml"):
            call()


def test_a_user_cares_for_its_own(iam: Any, user: str, own_broker: BrokerServer, keys: Keys) -> None:
    own = own_broker.client(keys, service="iam")
    with refused("AccessDenied", message=f"CreateVirtualMFADevice on resource: {PHONE}"):
        make(own)
    serial_number, seed = make(own, "declared-2", Tags=[{"Key": "Team", "Value": "blue"}])
    own.enable_mfa_device(UserName="declared", SerialNumber=serial_number, **codes(seed))
    assert len(own.list_mfa_devices()["MFADevices"]) == 2
    own.deactivate_mfa_device(SerialNumber=serial_number)
    own.delete_virtual_mfa_device(SerialNumber=serial_number)
    make(iam, Tags=[{"Key": "Team", "Value": "red"}])
    for call in (
        lambda: own.delete_virtual_mfa_device(SerialNumber=PHONE),
        lambda: own.delete_virtual_mfa_device(SerialNumber=f"{PHONE}2"),
        lambda: own.list_mfa_device_tags(SerialNumber=PHONE),
        lambda: own.list_virtual_mfa_devices(),
        lambda: own.enable_mfa_device(UserName=user, SerialNumber=PHONE, **codes(seed)),
        lambda: own.deactivate_mfa_device(UserName=user, SerialNumber=PHONE),
        lambda: own.list_mfa_devices(UserName=user),
        lambda: own.get_mfa_device(UserName="Nobody-Here", SerialNumber=PHONE),
    ):
        with refused("AccessDenied", status=403, message="because no identity-based policy"):
            call()


def test_what_needs_mfa_is_had_with_it(own_broker: BrokerServer, keys: Keys) -> None:
    with refused("AccessDenied"):
        own_broker.client(keys, service="iam").list_users()
    answer = own_broker.client(keys).get_session_token(
        SerialNumber=f"arn:aws:iam::{ACCOUNT}:mfa/declared", TokenCode=pyotp.TOTP("JBSWY3DPEHPK3PXPJBSWY3DP").now()
    )
    assert own_broker.client(Keys.of(answer), service="iam").list_users()["Users"]

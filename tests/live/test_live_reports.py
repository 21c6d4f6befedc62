"""The account's alias, the credential report and services last accessed, with boto3 and the accredit command."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pyotp
import pytest
from realm import site
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, refused, serving
from realm.site import allow, role, trust

OTHER = "210987654321"
DAY = 86_400
SECONDS = 10.0


@pytest.fixture(scope="module")
def own_broker(make_broker: Callable[..., BrokerServer]) -> Iterator[BrokerServer]:
    made = make_broker(settings={"server.workers": 1, "iam.access_key_reminder_days": 30})
    for name in ("ada", "reader"):
        secret = made.directory / f"{name}.secret"
        secret.touch(mode=0o600)
        secret.write_text("s" * 40)
    made.add(f'[[account]]\nid = "{OTHER}"\nalias = "the-other"\n')
    made.add(site.user("ada", may=[allow(["iam:List*", "sts:*"]), allow("s3:*")], secret_file="ada.secret"))
    own = f"arn:aws:iam::{ACCOUNT}:user/reader"
    may = [allow("iam:GenerateServiceLastAccessedDetails", own), allow("iam:GetServiceLastAccessedDetails")]
    made.add(site.user("reader", may=may, secret_file="reader.secret"))
    made.add(role("worker", trust({"AWS": ACCOUNT}), may=[allow("sts:GetCallerIdentity")]))
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def iam(own_broker: BrokerServer) -> Any:
    return own_broker.client(own_broker.root, service="iam")


def keys_of(iam: Any, name: str) -> Keys:
    return Keys(iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["AccessKeyId"], "s" * 40)


def rows(iam: Any) -> dict[str, dict[str, str]]:
    """A report of this moment, by user."""
    iam.generate_credential_report()
    text = iam.get_credential_report()["Content"].decode()
    return {row["user"]: row for row in csv.DictReader(io.StringIO(text))}


def change(broker: BrokerServer, statement: str) -> None:
    """Make time pass, in the only place that remembers it."""
    with contextlib.closing(sqlite3.connect(broker.database, timeout=10)) as connection, connection:
        connection.execute(statement)


def eventually(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_an_alias(iam: Any, own_broker: BrokerServer) -> None:
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias="example-corp")
    iam.create_account_alias(AccountAlias="example-inc")
    assert iam.list_account_aliases()["AccountAliases"] == ["example-inc"]
    with refused("EntityAlreadyExists", status=409, message="The account alias the-other already exists."):
        iam.create_account_alias(AccountAlias="the-other")
    for wrong in ("ab", "-ab", "ab-", "a--b", "Abc", "x" * 64, "a_b"):
        with refused("ValidationError", status=400):
            own_broker.client(own_broker.root, service="iam", parameter_validation=False).create_account_alias(
                AccountAlias=wrong
            )
    with refused("ValidationError", message="must not look like an account ID"):
        iam.create_account_alias(AccountAlias="123456789012")
    for wrong in ("example-corp", "the-other"):
        with refused("NoSuchEntity", status=404, message=f"The account alias {wrong} cannot be found."):
            iam.delete_account_alias(AccountAlias=wrong)
    iam.delete_account_alias(AccountAlias="example-inc")
    assert iam.list_account_aliases()["AccountAliases"] == []


def test_a_declared_alias_is_changed_in_the_file(make_broker: Callable[..., BrokerServer]) -> None:
    made = make_broker(settings={"server.workers": 1})
    path = made.directory / "accredit.toml"
    path.write_text(path.read_text().replace(f'id = "{ACCOUNT}"', f'id = "{ACCOUNT}"\nalias = "declared-one"'))
    with serving(made):
        client = made.client(made.root, service="iam")
        assert client.list_account_aliases()["AccountAliases"] == ["declared-one"]
        with refused("UnmodifiableEntity", status=400, message="accredit.toml"):
            client.create_account_alias(AccountAlias="another-one")
        with refused("UnmodifiableEntity"):
            client.delete_account_alias(AccountAlias="declared-one")


def test_no_report_before_one_was_made(own_broker: BrokerServer, iam: Any) -> None:
    change(own_broker, "DELETE FROM reports")
    with refused("ReportNotPresent", status=410):
        iam.get_credential_report()
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    found = iam.get_credential_report()
    assert found["ReportFormat"] == "text/csv"
    first = found["GeneratedTime"]
    change(own_broker, f"UPDATE reports SET created_at = created_at - {4 * 3_600 - 60}")
    iam.generate_credential_report()
    assert (first - iam.get_credential_report()["GeneratedTime"]).total_seconds() > 3 * 3_600
    change(own_broker, "UPDATE reports SET created_at = created_at - 61")
    with refused("ReportExpired", status=410):
        iam.get_credential_report()
    iam.generate_credential_report()
    assert iam.get_credential_report()["GeneratedTime"] >= first


def test_the_report_has_all_of_awss_columns(own_broker: BrokerServer, iam: Any) -> None:
    iam.create_user(UserName="Rey")
    iam.create_login_profile(UserName="Rey", Password="Wolf7!lantern")
    iam.update_account_password_policy(MaxPasswordAge=90)
    key = iam.create_access_key(UserName="Rey")["AccessKey"]
    own_broker.client(Keys(key["AccessKeyId"], key["SecretAccessKey"])).get_caller_identity()
    second = iam.create_access_key(UserName="Rey")["AccessKey"]["AccessKeyId"]
    change(own_broker, f"UPDATE access_keys SET created_at = created_at + 1 WHERE id = '{second}'")
    iam.update_access_key(UserName="Rey", AccessKeyId=second, Status="Inactive")
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="rey")["VirtualMFADevice"]
    totp, now = pyotp.TOTP(made["Base32StringSeed"].decode()), int(time.time()) // 30
    iam.enable_mfa_device(
        UserName="Rey",
        SerialNumber=made["SerialNumber"],
        AuthenticationCode1=totp.generate_otp(now - 1),
        AuthenticationCode2=totp.generate_otp(now),
    )

    def used() -> bool:
        change(own_broker, "DELETE FROM reports")
        return rows(iam)["Rey"]["access_key_1_last_used_service"] == "sts"

    eventually(used)
    found = rows(iam)
    rey, root, ada = found["Rey"], found["<root_account>"], found["ada"]
    assert ",".join(rey) == (
        "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
        "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
        "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
        "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
        "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
    )
    assert (rey["password_enabled"], rey["password_last_used"], rey["mfa_active"]) == ("true", "no_information", "true")
    assert rey["password_next_rotation"] > rey["password_last_changed"]
    assert (rey["access_key_1_active"], rey["access_key_2_active"]) == ("true", "false")
    assert rey["access_key_2_last_used_date"] == "N/A"
    assert rey["access_key_1_last_used_region"] == "eu-central-1"
    assert (root["password_enabled"], root["access_key_1_active"], root["mfa_active"]) == (
        "not_supported",
        "true",
        "false",
    )
    assert (ada["password_enabled"], ada["password_last_changed"], ada["access_key_2_active"]) == (
        "false",
        "N/A",
        "false",
    )


def test_old_keys_are_named(own_broker: BrokerServer, iam: Any) -> None:
    old = keys_of(iam, "ada").access_key_id
    change(own_broker, f"UPDATE access_keys SET created_at = created_at - {31 * DAY + 60} WHERE id = '{old}'")
    lines = accredit("report", "credentials", own_broker.directory).splitlines()
    assert [line for line in lines if "WARNING" in line] == [
        f"arn:aws:iam::{ACCOUNT}:user/ada: password: false, MFA: false, active access keys: 1;"
        " WARNING: access key 1 is 31 days old"
    ]
    assert any(line.startswith(f"arn:aws:iam::{OTHER}:root: ") for line in lines)
    found = json.loads(accredit("report", "credentials", own_broker.directory, "--json", "--account", ACCOUNT))
    assert {row["user"]: row["warnings"] for row in found}["ada"] == "access key 1 is 31 days old"
    assert all(f"::{ACCOUNT}:" in row["arn"] for row in found)
    table = list(csv.DictReader(io.StringIO(accredit("report", "credentials", own_broker.directory, "--csv"))))
    assert {row["warnings"] for row in table if row["user"] == "ada"} == {"access key 1 is 31 days old"}
    with pytest.raises(RuntimeError, match="there is no account"):
        accredit("report", "credentials", own_broker.directory, "--account", "999999999999")


def test_services_last_accessed(own_broker: BrokerServer, iam: Any) -> None:
    ada = own_broker.client(keys_of(iam, "ada"), service="iam")
    ada.list_users()
    with refused("AccessDenied"):
        ada.get_user(UserName="reader")
    arn = f"arn:aws:iam::{ACCOUNT}:user/ada"

    def job(**fields: str) -> str:
        return str(iam.generate_service_last_accessed_details(**{"Arn": arn, **fields})["JobId"])

    def found(job_id: str) -> dict[str, Any]:
        answer = iam.get_service_last_accessed_details(JobId=job_id)
        assert answer["JobStatus"] == "COMPLETED"
        return {one["ServiceNamespace"]: one for one in answer["ServicesLastAccessed"]}

    eventually(lambda: "LastAuthenticated" in found(job())["iam"])
    services = found(job())
    assert list(services) == ["iam", "s3", "sts"]
    assert services["iam"]["ServiceName"] == "AWS Identity and Access Management"
    assert (services["iam"]["LastAuthenticatedEntity"], services["iam"]["TotalAuthenticatedEntities"]) == (arn, 1)
    assert services["s3"]["TotalAuthenticatedEntities"] == 0
    assert "LastAuthenticated" not in services["s3"]
    assert "TrackedActionsLastAccessed" not in services["iam"]
    tracked = found(job(Granularity="ACTION_LEVEL"))["iam"]["TrackedActionsLastAccessed"]
    actions = {one["ActionName"]: one for one in tracked}
    assert actions["ListUsers"]["LastAccessedEntity"] == arn
    assert "LastAccessedTime" not in actions["ListRoles"], "what is allowed and was never used"
    assert "GetUser" in actions, "attempts count"
    entities = iam.get_service_last_accessed_details_with_entities(JobId=job(), ServiceNamespace="iam")
    assert [one["EntityInfo"]["Name"] for one in entities["EntityDetailsList"]] == ["ada"]
    assert entities["EntityDetailsList"][0]["EntityInfo"]["Type"] == "USER"
    first = iam.get_service_last_accessed_details(JobId=job(), MaxItems=1)
    assert (len(first["ServicesLastAccessed"]), first["IsTruncated"]) == (1, True)


def test_a_role_is_used_by_its_sessions(own_broker: BrokerServer, iam: Any) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/worker"
    answer = own_broker.client(keys_of(iam, "ada")).assume_role(RoleArn=arn, RoleSessionName="session")
    own_broker.client(Keys.of(answer)).get_caller_identity()

    def used() -> bool:
        job = iam.generate_service_last_accessed_details(Arn=arn)["JobId"]
        [service] = iam.get_service_last_accessed_details(JobId=job)["ServicesLastAccessed"]
        return bool(service["ServiceNamespace"] == "sts" and service.get("LastAuthenticatedEntity") == arn)

    eventually(used)


def test_jobs_that_cannot_be_had(own_broker: BrokerServer, iam: Any) -> None:
    for arn in (
        f"arn:aws:iam::{ACCOUNT}:user/nobody-here",
        f"arn:aws:iam::{OTHER}:root",
        f"arn:aws:iam::{ACCOUNT}:policy/none",
    ):
        with refused("NoSuchEntity", status=404):
            iam.generate_service_last_accessed_details(Arn=arn)
    with refused("ValidationError"):
        iam.generate_service_last_accessed_details(Arn="not-an-arn-but-long-enough")
    job = iam.generate_service_last_accessed_details(Arn=f"arn:aws:iam::{ACCOUNT}:user/ada")["JobId"]
    with refused("NoSuchEntity"):
        iam.get_service_last_accessed_details(JobId=str(uuid.uuid4()))
    with refused("NoSuchEntity", message="The service ec2 is not in the report"):
        iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="ec2")
    change(own_broker, f"UPDATE reports SET account = '{OTHER}' WHERE id = '{job}'")
    with refused("NoSuchEntity", message=f"The job {job} cannot be found."):
        iam.get_service_last_accessed_details(JobId=job)


def test_who_may_ask(own_broker: BrokerServer, iam: Any) -> None:
    reader = own_broker.client(keys_of(iam, "reader"), service="iam")
    own = reader.generate_service_last_accessed_details(Arn=f"arn:aws:iam::{ACCOUNT}:user/reader")["JobId"]
    assert reader.get_service_last_accessed_details(JobId=own)["ServicesLastAccessed"]
    for call in (
        lambda: reader.generate_service_last_accessed_details(Arn=f"arn:aws:iam::{ACCOUNT}:user/ada"),
        lambda: reader.generate_service_last_accessed_details(Arn=f"arn:aws:iam::{ACCOUNT}:user/nobody-here"),
        lambda: reader.get_service_last_accessed_details_with_entities(JobId=own, ServiceNamespace="iam"),
        lambda: reader.generate_credential_report(),
        lambda: reader.get_credential_report(),
        lambda: reader.list_account_aliases(),
        lambda: reader.create_account_alias(AccountAlias="the-other"),
        lambda: reader.delete_account_alias(AccountAlias="the-other"),
    ):
        with refused("AccessDenied", status=403, message="no identity-based policy"):
            call()

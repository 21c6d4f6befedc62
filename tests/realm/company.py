"""A company on the broker: built with boto3 and the aws command as its administrators would, then used and reorganised.

``build`` makes at least 150 calls, checks what each leaves behind and returns how many there were. Everything is made
and removed through the IAM and STS wire; nothing is declared in a file.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyotp
from realm.components import BIN
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, clean_environment, refused

DEPARTMENTS = {
    "engineering": ["ada", "grace", "linus", "barbara"],
    "finance": ["luca", "mary"],
    "support": ["tim", "vint"],
}
PASSWORD = "correct-Horse-7-battery"
NEW_PASSWORD = "another-Horse-8-battery"


@dataclass
class Company:
    """The calls made so far, with the root key's clients."""

    broker: BrokerServer
    calls: int = 0
    keys: dict[str, Keys] = field(default_factory=dict)
    seeds: dict[str, str] = field(default_factory=dict)

    def client(self, keys: Keys, service: str = "iam") -> Any:
        client = self.broker.client(keys, service=service)
        client.meta.events.register("before-send", self._count)
        return client

    def cli(self, *arguments: str, keys: Keys | None = None) -> Any:
        """What ``aws ARGUMENTS`` prints, as JSON; None if nothing."""
        keys = keys or self.broker.root
        environment = clean_environment() | keys.environment()
        environment |= {"AWS_ENDPOINT_URL": self.broker.url, "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": ""}
        environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        command = [BIN / "aws", *arguments, "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr}"
        self.calls += 1
        return json.loads(done.stdout) if done.stdout.strip() else None

    def _count(self, **_: object) -> None:
        self.calls += 1


def build(broker: BrokerServer) -> int:
    """Build it, use it, take it down again; the number of calls. Raises AssertionError where something is not so."""
    company = Company(broker)
    root = company.client(broker.root)
    for chapter in (
        _account,
        _people,
        _groups,
        _policies,
        _roles,
        _access_keys,
        _passwords,
        _second_factors,
        _providers,
        _work,
        _reports,
        _reorganisation,
        _closing_down,
    ):
        chapter(company, root)
    return company.calls


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: object, resource: object = "*", **more: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal: Mapping[str, object], action: object = "sts:AssumeRole", **condition: object) -> str:
    statement: dict[str, object] = {"Effect": "Allow", "Principal": principal, "Action": action}
    return document(statement | ({"Condition": condition} if condition else {}))


def people() -> list[str]:
    return [name for names in DEPARTMENTS.values() for name in names]


def user_arn(name: str, path: str = "/") -> str:
    return f"arn:aws:iam::{ACCOUNT}:user{path}{name}"


def policy_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def _account(company: Company, root: Any) -> None:
    root.create_account_alias(AccountAlias="example-company")
    assert root.list_account_aliases()["AccountAliases"] == ["example-company"]
    assert root.get_account_summary()["SummaryMap"]["Users"] == 0
    with refused("NoSuchEntity"):
        root.get_account_password_policy()
    root.update_account_password_policy(
        MinimumPasswordLength=14,
        RequireSymbols=True,
        RequireNumbers=True,
        RequireUppercaseCharacters=True,
        RequireLowercaseCharacters=True,
        AllowUsersToChangePassword=True,
        MaxPasswordAge=90,
        PasswordReusePrevention=5,
    )
    found = company.cli("iam", "get-account-password-policy")["PasswordPolicy"]
    assert (found["MinimumPasswordLength"], found["ExpirePasswords"], found["HardExpiry"]) == (14, True, False)


def _people(company: Company, root: Any) -> None:
    for department, names in DEPARTMENTS.items():
        for name in names:
            made = root.create_user(
                UserName=name, Path=f"/{department}/", Tags=[{"Key": "Department", "Value": department}]
            )["User"]
            assert made["Arn"] == user_arn(name, f"/{department}/")
    root.get_waiter("user_exists").wait(UserName="ada")
    assert company.cli("iam", "get-user", "--user-name", "Ada")["User"]["UserName"] == "ada"
    pages = root.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3})
    assert [user["UserName"] for page in pages for user in page["Users"]] == sorted(people())
    assert len(root.list_users(PathPrefix="/engineering/")["Users"]) == 4
    with refused("EntityAlreadyExists"):
        root.create_user(UserName="ADA")
    root.tag_user(UserName="ada", Tags=[{"Key": "Level", "Value": "lead"}])
    assert len(root.list_user_tags(UserName="ada")["Tags"]) == 2


def _groups(company: Company, root: Any) -> None:
    for department, names in DEPARTMENTS.items():
        root.create_group(GroupName=department)
        for name in names:
            root.add_user_to_group(GroupName=department, UserName=name)
    company.cli("iam", "create-group", "--group-name", "admins")
    root.add_user_to_group(GroupName="admins", UserName="ada")
    assert len(root.list_groups()["Groups"]) == 4
    assert [user["UserName"] for user in root.get_group(GroupName="finance")["Users"]] == ["luca", "mary"]
    assert {group["GroupName"] for group in root.list_groups_for_user(UserName="ada")["Groups"]} == {
        "admins",
        "engineering",
    }
    with refused("DeleteConflict"):
        root.delete_group(GroupName="finance")


def _policies(company: Company, root: Any) -> None:
    own = "arn:aws:iam::*:*/${aws:username}"
    self_service = document(
        allow(
            ["iam:ChangePassword", "iam:GetUser", "iam:*AccessKey*"],
            [f"arn:aws:iam::{ACCOUNT}:user/*/${{aws:username}}"],
        ),
        allow(["iam:*MFADevice", "iam:*VirtualMFADevice"], own),
        allow(["iam:GetAccountPasswordPolicy", "iam:ListVirtualMFADevices"]),
    )
    made = root.create_policy(PolicyName="SelfService", PolicyDocument=self_service, Description="Own keys and codes")
    assert made["Policy"]["Arn"] == policy_arn("SelfService")
    root.create_policy(PolicyName="Ceiling", PolicyDocument=document(allow(["sts:*", "iam:Get*", "iam:List*"])))
    root.create_policy(PolicyName="AuditOnly", PolicyDocument=document(allow("iam:Get*")))
    for group in DEPARTMENTS:
        root.attach_group_policy(GroupName=group, PolicyArn=policy_arn("SelfService"))
    root.attach_group_policy(GroupName="admins", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    company.cli(
        *("iam", "attach-group-policy", "--group-name", "support"),
        *("--policy-arn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"),
    )
    version = root.create_policy_version(
        PolicyArn=policy_arn("AuditOnly"),
        PolicyDocument=document(allow(["iam:Get*", "iam:List*"])),
        SetAsDefault=True,
    )["PolicyVersion"]
    assert (version["VersionId"], version["IsDefaultVersion"]) == ("v2", True)
    assert [one["VersionId"] for one in root.list_policy_versions(PolicyArn=policy_arn("AuditOnly"))["Versions"]] == [
        "v2",
        "v1",
    ]
    stored = root.get_policy_version(PolicyArn=policy_arn("AuditOnly"), VersionId="v1")["PolicyVersion"]
    assert stored["Document"]["Statement"][0]["Action"] == "iam:Get*"
    with refused("DeleteConflict"):
        root.delete_policy_version(PolicyArn=policy_arn("AuditOnly"), VersionId="v2")
    root.delete_policy_version(PolicyArn=policy_arn("AuditOnly"), VersionId="v1")
    root.put_user_policy(UserName="mary", PolicyName="audits", PolicyDocument=document(allow("iam:GetUser")))
    assert root.list_user_policies(UserName="mary")["PolicyNames"] == ["audits"]
    assert root.get_user_policy(UserName="mary", PolicyName="audits")["PolicyDocument"]["Version"] == "2012-10-17"
    root.put_group_policy(GroupName="finance", PolicyName="reads", PolicyDocument=document(allow("iam:List*")))
    assert root.get_group_policy(GroupName="finance", PolicyName="reads")["GroupName"] == "finance"
    with refused("MalformedPolicyDocument"):
        root.put_user_policy(UserName="mary", PolicyName="broken", PolicyDocument='{"Version": "2012-10-17"}')
    root.put_user_permissions_boundary(UserName="linus", PermissionsBoundary=policy_arn("Ceiling"))
    root.attach_user_policy(UserName="linus", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    assert len(root.list_attached_user_policies(UserName="linus")["AttachedPolicies"]) == 1
    entities = root.list_entities_for_policy(PolicyArn=policy_arn("SelfService"))
    assert len(entities["PolicyGroups"]) == 3
    local = root.list_policies(Scope="Local")["Policies"]
    assert {policy["PolicyName"] for policy in local} == {"SelfService", "Ceiling", "AuditOnly"}
    root.tag_policy(PolicyArn=policy_arn("Ceiling"), Tags=[{"Key": "Owner", "Value": "security"}])
    assert root.list_policy_tags(PolicyArn=policy_arn("Ceiling"))["Tags"][0]["Value"] == "security"
    assert root.get_policy(PolicyArn=policy_arn("Ceiling"))["Policy"]["PermissionsBoundaryUsageCount"] == 1


def _roles(company: Company, root: Any) -> None:
    account = {"AWS": ACCOUNT}
    root.create_role(
        RoleName="Deployer",
        AssumeRolePolicyDocument=trust({"AWS": user_arn("grace", "/engineering/")}),
        MaxSessionDuration=7200,
        Tags=[{"Key": "Stage", "Value": "production"}],
    )
    root.create_role(
        RoleName="Auditor",
        AssumeRolePolicyDocument=trust(account, Bool={"aws:MultiFactorAuthPresent": "true"}),
        Description="Needs a second factor",
    )
    company.cli(
        *("iam", "create-role", "--role-name", "Helper", "--assume-role-policy-document"),
        trust(account, StringEquals={"sts:ExternalId": "ticket-1"}),
    )
    root.get_waiter("role_exists").wait(RoleName="Helper")
    root.attach_role_policy(RoleName="Auditor", PolicyArn=policy_arn("AuditOnly"))
    root.put_role_policy(RoleName="Deployer", PolicyName="deploys", PolicyDocument=document(allow("sts:*")))
    found = root.get_role(RoleName="Deployer")["Role"]
    assert found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"] == user_arn("grace", "/engineering/")
    assert root.list_role_policies(RoleName="Deployer")["PolicyNames"] == ["deploys"]
    assert root.list_attached_role_policies(RoleName="Auditor")["AttachedPolicies"][0]["PolicyName"] == "AuditOnly"
    root.update_role(RoleName="Helper", Description="First aid", MaxSessionDuration=3600)
    root.update_role_description(RoleName="Helper", Description="Second aid")
    assert root.get_role(RoleName="Helper")["Role"]["Description"] == "Second aid"
    with refused("MalformedPolicyDocument"):
        root.update_assume_role_policy(RoleName="Helper", PolicyDocument=trust({"AWS": user_arn("nobody-like-this")}))
    root.put_role_permissions_boundary(RoleName="Helper", PermissionsBoundary=policy_arn("Ceiling"))
    root.tag_role(RoleName="Helper", Tags=[{"Key": "Stage", "Value": "any"}])
    assert root.list_role_tags(RoleName="Helper")["Tags"] == [{"Key": "Stage", "Value": "any"}]
    assert {role["RoleName"] for role in root.list_roles()["Roles"]} == {"Auditor", "Deployer", "Helper"}
    root.create_instance_profile(InstanceProfileName="build-host")
    root.add_role_to_instance_profile(InstanceProfileName="build-host", RoleName="Helper")
    assert len(root.list_instance_profiles_for_role(RoleName="Helper")["InstanceProfiles"]) == 1


def _access_keys(company: Company, root: Any) -> None:
    for name in people():
        made = root.create_access_key(UserName=name)["AccessKey"]
        company.keys[name] = Keys(made["AccessKeyId"], made["SecretAccessKey"])
    root.create_access_key(UserName="tim")
    with refused("LimitExceeded"):
        root.create_access_key(UserName="tim")
    tims = [key["AccessKeyId"] for key in root.list_access_keys(UserName="tim")["AccessKeyMetadata"]]
    spare = next(key for key in tims if key != company.keys["tim"].access_key_id)
    root.update_access_key(UserName="tim", AccessKeyId=spare, Status="Inactive")
    root.delete_access_key(UserName="tim", AccessKeyId=spare)
    assert company.client(company.keys["tim"], "sts").get_caller_identity()["Arn"] == user_arn("tim", "/support/")
    company.cli(
        *("iam", "update-access-key", "--user-name", "vint", "--status", "Inactive"),
        *("--access-key-id", company.keys["vint"].access_key_id),
    )
    with refused("InvalidClientTokenId"):
        company.client(company.keys["vint"], "sts").get_caller_identity()


def _passwords(company: Company, root: Any) -> None:
    with refused("PasswordPolicyViolation"):
        root.create_login_profile(UserName="grace", Password="short")
    for name in ("grace", "luca"):
        root.create_login_profile(UserName=name, Password=PASSWORD, PasswordResetRequired=name == "luca")
    assert root.get_login_profile(UserName="luca")["LoginProfile"]["PasswordResetRequired"] is True
    root.update_login_profile(UserName="luca", PasswordResetRequired=False)
    grace = company.client(company.keys["grace"])
    with refused("AccessDenied"):
        company.client(company.keys["tim"]).update_login_profile(UserName="grace", Password=PASSWORD)
    grace.change_password(OldPassword=PASSWORD, NewPassword=NEW_PASSWORD)
    with refused("PasswordPolicyViolation"):
        grace.change_password(OldPassword=NEW_PASSWORD, NewPassword=PASSWORD)


def _second_factors(company: Company, root: Any) -> None:
    for name in ("ada", "mary"):
        client = company.client(company.keys[name]) if name == "ada" else root
        made = client.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]
        assert made["QRCodePNG"].startswith(b"\x89PNG")
        company.seeds[name] = made["Base32StringSeed"].decode()
        before, now = _two_codes(company.seeds[name])
        with refused("InvalidAuthenticationCode", status=403):
            client.enable_mfa_device(
                UserName=name,
                SerialNumber=made["SerialNumber"],
                AuthenticationCode1=now,
                AuthenticationCode2=before,
            )
        client.enable_mfa_device(
            UserName=name, SerialNumber=made["SerialNumber"], AuthenticationCode1=before, AuthenticationCode2=now
        )
        assert [device["SerialNumber"] for device in root.list_mfa_devices(UserName=name)["MFADevices"]] == [
            made["SerialNumber"]
        ]
    assert len(root.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]) == 2
    with refused("DeleteConflict"):
        root.delete_virtual_mfa_device(SerialNumber=f"arn:aws:iam::{ACCOUNT}:mfa/ada")


def _providers(company: Company, root: Any) -> None:
    made = root.create_open_id_connect_provider(Url="https://issuer.example.com/tenant", ClientIDList=["sts.example"])
    arn = made["OpenIDConnectProviderArn"]
    root.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="second")
    root.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="sts.example")
    assert root.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["second"]
    root.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "For", "Value": "ci"}])
    assert len(root.list_open_id_connect_providers()["OpenIDConnectProviderList"]) == 1
    root.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert root.list_saml_providers()["SAMLProviderList"] == []


def _work(company: Company, root: Any) -> None:
    """What people can do now, and what not."""
    ada = company.client(company.keys["ada"])
    assert ada.get_user()["User"]["UserName"] == "ada"
    assert len(ada.list_users()["Users"]) == len(people())
    with refused("AccessDenied"):
        company.client(company.keys["luca"]).create_user(UserName="mallory")
    assert len(company.client(company.keys["luca"]).list_users()["Users"]) == len(people())
    linus = company.client(company.keys["linus"])
    assert linus.get_user(UserName="ada")["User"]["UserName"] == "ada"
    with refused("AccessDenied", message="no permissions boundary allows"):
        linus.create_user(UserName="mallory")
    deployer = company.client(company.keys["grace"], "sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Deployer", RoleSessionName="release", DurationSeconds=7200
    )
    assert company.client(Keys.of(deployer), "sts").get_caller_identity()["Arn"].endswith("Deployer/release")
    with refused("AccessDenied"):
        company.client(company.keys["tim"], "sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Deployer", RoleSessionName="release"
        )
    root.put_user_policy(UserName="mary", PolicyName="may", PolicyDocument=document(allow("sts:AssumeRole")))
    mary = company.client(company.keys["mary"], "sts")
    auditor = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/Auditor", "RoleSessionName": "audit"}
    with refused("AccessDenied"):
        mary.assume_role(**auditor)
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/mary"
    session = mary.assume_role(**auditor, SerialNumber=serial, TokenCode=_next_code(company.seeds["mary"]))
    found = company.client(Keys.of(session)).get_role(RoleName="Auditor")["Role"]
    assert found["RoleName"] == "Auditor"
    result = root.simulate_principal_policy(
        PolicySourceArn=user_arn("linus", "/engineering/"), ActionNames=["iam:GetUser", "iam:DeleteUser"]
    )["EvaluationResults"]
    assert [one["EvalDecision"] for one in result] == ["allowed", "implicitDeny"]
    keys = root.get_context_keys_for_principal_policy(PolicySourceArn=user_arn("ada", "/engineering/"))
    assert "aws:username" in keys["ContextKeyNames"]


def _reports(company: Company, root: Any) -> None:
    while root.generate_credential_report()["State"] != "COMPLETE":
        time.sleep(0.1)
    rows = list(csv.DictReader(io.StringIO(root.get_credential_report()["Content"].decode())))
    assert {row["user"] for row in rows} == {"<root_account>", *people()}
    assert {row["user"] for row in rows if row["mfa_active"] == "true"} == {"ada", "mary"}
    details = list(root.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 5}))
    assert sorted(user["UserName"] for page in details for user in page["UserDetailList"]) == sorted(people())
    job = root.generate_service_last_accessed_details(Arn=user_arn("ada", "/engineering/"))["JobId"]
    while (answer := root.get_service_last_accessed_details(JobId=job))["JobStatus"] == "IN_PROGRESS":
        time.sleep(0.1)
    assert "iam" in {service["ServiceNamespace"] for service in answer["ServicesLastAccessed"]}
    summary = company.cli("iam", "get-account-summary")["SummaryMap"]
    assert (summary["Users"], summary["Groups"], summary["Roles"]) == (len(people()), 4, 3)


def _reorganisation(company: Company, root: Any) -> None:
    root.update_user(UserName="grace", NewPath="/platform/")
    root.update_group(GroupName="support", NewGroupName="customer-care")
    assert company.client(company.keys["grace"], "sts").get_caller_identity()["Arn"] == user_arn("grace", "/platform/")
    shown = root.get_role(RoleName="Deployer")["Role"]["AssumeRolePolicyDocument"]
    assert shown["Statement"][0]["Principal"]["AWS"] == user_arn("grace", "/platform/")
    root.remove_user_from_group(GroupName="engineering", UserName="linus")
    root.detach_user_policy(UserName="linus", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    root.delete_user_permissions_boundary(UserName="linus")
    with refused("AccessDenied"):
        company.client(company.keys["linus"]).get_user(UserName="ada")


def _closing_down(company: Company, root: Any) -> None:
    _remove_roles(root)
    for name in people():
        _remove_user(root, name)
    assert root.list_users()["Users"] == []
    for group in [one["GroupName"] for one in root.list_groups()["Groups"]]:
        for policy in root.list_attached_group_policies(GroupName=group)["AttachedPolicies"]:
            root.detach_group_policy(GroupName=group, PolicyArn=policy["PolicyArn"])
        for name in root.list_group_policies(GroupName=group)["PolicyNames"]:
            root.delete_group_policy(GroupName=group, PolicyName=name)
        root.delete_group(GroupName=group)
    for name in ("SelfService", "Ceiling", "AuditOnly"):
        root.delete_policy(PolicyArn=policy_arn(name))
    root.delete_account_password_policy()
    company.cli("iam", "delete-account-alias", "--account-alias", "example-company")
    summary = root.get_account_summary()["SummaryMap"]
    assert [summary[kind] for kind in ("Users", "Groups", "Roles", "Policies", "MFADevices")] == [0, 0, 0, 0, 0]


def _remove_roles(root: Any) -> None:
    with refused("DeleteConflict"):
        root.delete_role(RoleName="Helper")
    root.remove_role_from_instance_profile(InstanceProfileName="build-host", RoleName="Helper")
    root.delete_instance_profile(InstanceProfileName="build-host")
    root.delete_role_permissions_boundary(RoleName="Helper")
    root.detach_role_policy(RoleName="Auditor", PolicyArn=policy_arn("AuditOnly"))
    root.delete_role_policy(RoleName="Deployer", PolicyName="deploys")
    for name in ("Helper", "Auditor", "Deployer"):
        root.delete_role(RoleName=name)


def _remove_user(root: Any, name: str) -> None:
    with refused("DeleteConflict"):
        root.delete_user(UserName=name)
    for key in root.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        root.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for device in root.list_mfa_devices(UserName=name)["MFADevices"]:
        root.deactivate_mfa_device(UserName=name, SerialNumber=device["SerialNumber"])
        root.delete_virtual_mfa_device(SerialNumber=device["SerialNumber"])
    for group in root.list_groups_for_user(UserName=name)["Groups"]:
        root.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
    for policy in root.list_user_policies(UserName=name)["PolicyNames"]:
        root.delete_user_policy(UserName=name, PolicyName=policy)
    if name in ("grace", "luca"):
        root.delete_login_profile(UserName=name)
    root.delete_user(UserName=name)


def _two_codes(seed: str) -> Sequence[str]:
    """The code of the step before and that of now, as somebody types one after the other."""
    totp = pyotp.TOTP(seed)
    now = time.time()
    return totp.at(int(now - 30)), totp.at(int(now))


def _next_code(seed: str) -> str:
    """The code of the step to come, which the verifier's drift allows: that of now was used to enrol."""
    return pyotp.TOTP(seed).at(int(time.time() + 30))

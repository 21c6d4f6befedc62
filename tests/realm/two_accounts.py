"""An account with one of everything, and a neighbour that tries to get at it with whatever its names are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer
from realm.server import ACCOUNT, REGION, BrokerServer, Keys
from realm.site import allow, policy, trust
from realm.store import give_key, give_policies, store
from realm.wire import Answer, ask
from sqlalchemy import insert, select

from broker.accounts import create_account, new_account_id
from broker.aws.model import load_extensions
from broker.credentials.keyids import LONG_TERM, new_access_key_id
from broker.credentials.masterkey import load_master_key
from broker.store import tables

MARK = "alphamark"
"""In descriptions, tags and statements of the first account, and in no request."""

_IDS = re.compile(r"\bA(?:IDA|ROA|GPA|NPA|IPA)[A-Z2-7]{17}\b")

OBJECTS = f"""
[[identity_provider]]
issuer = "https://{MARK}.example"
client_ids = ["{MARK}"]
[[policy]]
name = "Victim"
document = '{policy(allow("iam:GetUser", Sid=MARK))}'
[[user]]
name = "Declared"
policies = ["Victim"]
tags = {{ "{MARK}" = "{MARK}" }}
[[user.access_key]]
secret_file = "victim.secret"
[[user.mfa_device]]
name = "Victim"
seed_file = "victim.seed"
"""


@dataclass(frozen=True, slots=True)
class Names:
    """How requests call the things of the first account: what is there, or what is not."""

    name: str
    access_key_id: str
    issuer: str

    def arguments(self) -> dict[str, Any]:
        """Member of a request -> value."""
        name = self.name
        arns = {kind: f"arn:aws:iam::{ACCOUNT}:{kind}/{name}" for kind in ("user", "group", "role", "policy", "mfa")}
        return {
            "UserName": name,
            "GroupName": name,
            "RoleName": name,
            "InstanceProfileName": name,
            "PolicyName": name,
            "VirtualMFADeviceName": name,
            "Name": name,
            "NewUserName": f"{name}2",
            "NewGroupName": f"{name}2",
            "AccessKeyId": self.access_key_id,
            "AccountAlias": name.lower(),
            "AccountId": ACCOUNT,
            "Arn": arns["user"],
            "CallerArn": arns["user"],
            "JobId": "0" * 35 + ("1" if name == "Victim" else "2"),
            "jobId": "0" * 35 + ("3" if name == "Victim" else "4"),
            "policyGenerationDetails": {"principalArn": arns["role"]},
            "LDAPProviderArn": f"arn:aws:iam::{ACCOUNT}:ldap-provider/{name}",
            "OpenIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{self.issuer}",
            "PermissionsBoundary": arns["policy"],
            "PolicyArn": arns["policy"],
            "PolicyArns": [{"arn": arns["policy"]}],
            "PolicySourceArn": arns["user"],
            "PrincipalArn": arns["user"],
            "ProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{self.issuer}",
            "ResourceArns": [arns["role"]],
            "ResourceOwner": f"arn:aws:iam::{ACCOUNT}:root",
            "RoleArn": arns["role"],
            "SAMLProviderArn": f"arn:aws:iam::{ACCOUNT}:saml-provider/{name}",
            "SerialNumber": arns["mfa"],
            "Url": f"https://{self.issuer}",
        }


class Alpha:
    """The first account of ``server``, which is about to start, filled with one of everything."""

    def __init__(self, server: BrokerServer) -> None:
        self.server = server
        for name, text in (("victim.secret", "s" * 40), ("victim.seed", "A" * 32)):
            file = server.directory / name
            file.touch(mode=0o600)
            file.write_text(text)
        server.add(OBJECTS)

    def fill(self) -> None:
        iam = self.server.client(self.server.root, service="iam")
        tags = [{"Key": MARK, "Value": MARK}]
        user = iam.create_user(UserName="Victim", Tags=tags)["User"]["UserId"]
        role = iam.create_role(
            RoleName="Victim",
            AssumeRolePolicyDocument=policy({**trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/Victim"}), "Sid": MARK}),
            Description=MARK,
            Tags=tags,
        )["Role"]["RoleId"]
        group = iam.create_group(GroupName="Victim")["Group"]["GroupId"]
        iam.add_user_to_group(GroupName="Victim", UserName="Victim")
        iam.create_instance_profile(InstanceProfileName="Victim", Tags=tags)
        iam.add_role_to_instance_profile(InstanceProfileName="Victim", RoleName="Victim")
        iam.enable_outbound_web_identity_federation()
        for unique_id in (user, role, group):
            give_policies(
                self.server,
                unique_id,
                allow("*", Sid=MARK),
                attached=f"arn:aws:iam::{ACCOUNT}:policy/Victim",
            )
        self.key = give_key(self.server, user)
        self._insert(user)
        self.names = Names("Victim", self.key.access_key_id, f"{MARK}.example")
        self.absent = Names("Absent", new_access_key_id(LONG_TERM, ACCOUNT), "absent.example")
        self.marks = {MARK.upper(), MARK, *_IDS.findall(str(self.rows()))}

    def _insert(self, user: str) -> None:
        """What operations make that not every broker has."""
        now = int(datetime.now(UTC).timestamp())
        report = {"account": ACCOUNT, "kind": "services", "settings": {}, "content": MARK, "created_at": now}
        password = {"user_id": user, "password_hash": MARK, "created_at": now, "changed_at": now}
        usage = {"service": "iam", "action": MARK, "region": MARK, "used_at": now}
        rows: list[tuple[Any, dict[str, Any]]] = [
            (tables.login_profiles, {**password, "reset_required": False}),
            (tables.old_passwords, {"user_id": user, "replaced_at": now, "password_hash": MARK}),
            (tables.password_attempts, {"subject": f"user:{user}", "failures": 1, "failed_at": now}),
            (tables.password_policies, {"account": ACCOUNT, "settings": {}}),
            (tables.reports, {**report, "id": f"credentials:{ACCOUNT}", "subject": MARK}),
            (tables.reports, {**report, "id": "0" * 35 + "1", "subject": f"arn:aws:iam::{ACCOUNT}:user/Victim"}),
            (tables.reports, {**report, "id": "0" * 35 + "3", "kind": "policy-generation", "subject": MARK}),
            (tables.usages, {**usage, "subject": user}),
            (tables.usages, {**usage, "subject": self.key.access_key_id}),
        ]
        with store(self.server) as database, database.change() as connection:
            for table, values in rows:
                connection.execute(insert(table).values(**values))

    def rows(self) -> dict[str, list[str]]:
        """Every row that speaks of the account, but for the audit record."""
        wanted = {ACCOUNT, MARK, *getattr(self, "marks", ())}
        with store(self.server) as database, database.read() as connection:
            return {
                table.name: sorted(
                    text
                    for text in (str(tuple(row)) for row in connection.execute(select(table)))
                    if any(mark in text for mark in wanted)
                )
                for table in tables.metadata.sorted_tables
                if table is not tables.audit_events
            }

    def neighbour(self) -> tuple[Keys, Keys]:
        """A new account next door: its root key, and the key of a user who may do everything."""
        account = new_account_id()
        master_key = load_master_key(self.server.directory / "master.key", os.environ)
        with store(self.server) as database:
            made = create_account(database, master_key, account)
        root = Keys(made.access_key_id, made.secret_access_key.reveal())
        iam = self.server.client(root, service="iam")
        user = iam.create_user(UserName="Administrator")["User"]["UserId"]
        give_policies(self.server, user, allow("*"))
        return root, give_key(self.server, user, account)


@cache
def model(service: str) -> ServiceModel:
    """The service's model with the operations that are ours alone."""
    data = Loader().load_service_model(service, "service-2")
    added = {part: {**data[part], **found} for part, found in load_extensions().get(service, {}).items()}
    return ServiceModel({**data, **added}, service)


def call(server: BrokerServer, keys: Keys, operation: OperationModel, arguments: Mapping[str, Any]) -> Answer:
    """As botocore sends it, with no check of its own."""
    found = operation.service_model
    serialized = create_serializer(found.metadata["protocol"], False).serialize_to_request(dict(arguments), operation)
    request = AWSRequest(
        serialized["method"],
        server.url + serialized["url_path"],
        data=serialized["body"],
        headers=serialized["headers"],
    )
    if operation.auth_type != "none":
        credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
        SigV4Auth(credentials, found.signing_name, REGION).add_auth(request)
    prepared = request.prepare()
    headers = {"Host": server.host, **dict(prepared.headers.items())}
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
    return ask(server, serialized["method"], serialized["url_path"], body, headers)

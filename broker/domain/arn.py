"""Amazon resource names, the identifiers of every object.

AWS General Reference, "Amazon Resource Names": ``arn:partition:service:region:account:resource``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.errors import ValidationFailed

ACCOUNT_ID = re.compile(r"[0-9]{12}")
PRODUCT_ACCOUNT = "aws"
"""In the place of an account: of managed policies that the product brings along for all accounts."""


@dataclass(frozen=True, slots=True)
class Arn:
    """A parsed ARN; ``resource`` keeps everything after the fifth colon."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Split ``text`` into its six parts. Raises ValidationFailed if it is no ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2] or not parts[5]:
            raise ValidationFailed(f"{text} is invalid")
        return cls(*parts[1:])

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def kind(self) -> str:
        """The resource type: ``role`` of ``role/path/name``."""
        return self.resource.partition("/")[0]

    @property
    def name(self) -> str:
        """The last path segment: ``name`` of ``role/path/name``."""
        return self.resource.rpartition("/")[2]


def root_arn(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def role_arn(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:role{path}{name}"


def user_arn(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:user{path}{name}"


def group_arn(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:group{path}{name}"


def instance_profile_arn(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:instance-profile{path}{name}"


def policy_arn(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:policy{path}{name}"


def assumed_role_arn(account: str, role_name: str, session_name: str) -> str:
    """The session's ARN names the role without its path (IAM User Guide, "IAM identifiers")."""
    return f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}"


def federated_user_arn(account: str, name: str) -> str:
    return f"arn:aws:sts::{account}:federated-user/{name}"


def mfa_device_arn(account: str, name: str) -> str:
    """The serial number of a virtual MFA device."""
    return f"arn:aws:iam::{account}:mfa/{name}"


def saml_provider_arn(account: str, name: str) -> str:
    return f"arn:aws:iam::{account}:saml-provider/{name}"


def oidc_provider_arn(account: str, issuer: str) -> str:
    return f"arn:aws:iam::{account}:oidc-provider/{issuer.removeprefix('https://').removeprefix('http://')}"


def ldap_provider_arn(account: str, name: str) -> str:
    return f"arn:aws:iam::{account}:ldap-provider/{name}"

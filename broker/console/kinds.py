"""The kinds of objects that have a list, a page and a form each: one row a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """An input of a form. ``name`` is the operation's parameter; ``kind`` an HTML input type, or ``textarea``."""

    name: str
    title: str
    hint: str = ""
    kind: str = "text"
    required: bool = True
    value: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """``items`` is the list answer's field, ``name`` the item's field that names it, ``parameter`` the operations'
    parameter for that name. ``facts`` are the item's fields that lists show beside the name."""

    key: str
    title: str
    one: str
    list_operation: str
    items: str
    name: str
    parameter: str
    delete_operation: str
    create_operation: str
    fields: tuple[Field, ...]
    facts: tuple[str, ...]
    about: str = ""
    list_parameters: Mapping[str, str] | None = None


_TRUST = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {"AWS": "ACCOUNT"},
      "Action": "sts:AssumeRole"
    }
  ]
}"""
POLICY = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": "*"
    }
  ]
}"""
_NAME_HINT = "Letters, digits and any of _+=,.@-"

KINDS: Mapping[str, Kind] = {
    kind.key: kind
    for kind in (
        Kind(
            "users",
            "Users",
            "user",
            "ListUsers",
            "users",
            "user_name",
            "UserName",
            "DeleteUser",
            "CreateUser",
            (Field("UserName", "User name", _NAME_HINT), Field("Path", "Path", "/ if left empty.", required=False)),
            ("path", "password_last_used", "create_date"),
            "People and programs with credentials of their own.",
        ),
        Kind(
            "groups",
            "Groups",
            "group",
            "ListGroups",
            "groups",
            "group_name",
            "GroupName",
            "DeleteGroup",
            "CreateGroup",
            (Field("GroupName", "Group name", _NAME_HINT), Field("Path", "Path", "/ if left empty.", required=False)),
            ("path", "create_date"),
            "Users that share policies.",
        ),
        Kind(
            "roles",
            "Roles",
            "role",
            "ListRoles",
            "roles",
            "role_name",
            "RoleName",
            "DeleteRole",
            "CreateRole",
            (
                Field("RoleName", "Role name", _NAME_HINT),
                Field("Description", "Description", required=False),
                Field("MaxSessionDuration", "Longest session", "Seconds, 3600 to 43200.", "number", False, "3600"),
                Field("AssumeRolePolicyDocument", "Trust policy", "Who may assume it.", "textarea", True, _TRUST),
            ),
            ("description", "max_session_duration", "create_date"),
            "What people and programs assume for a while.",
        ),
        Kind(
            "policies",
            "Policies",
            "policy",
            "ListPolicies",
            "policies",
            "arn",
            "PolicyArn",
            "DeletePolicy",
            "CreatePolicy",
            (
                Field("PolicyName", "Policy name", _NAME_HINT),
                Field("Description", "Description", required=False),
                Field("PolicyDocument", "Policy", "What it allows and denies.", "textarea", True, POLICY),
            ),
            ("attachment_count", "default_version_id", "update_date"),
            "Managed policies: of this account, and those that the product brings along.",
        ),
        Kind(
            "oidc",
            "OpenID Connect",
            "OpenID Connect provider",
            "ListOpenIDConnectProviders",
            "open_id_connect_provider_list",
            "arn",
            "OpenIDConnectProviderArn",
            "DeleteOpenIDConnectProvider",
            "CreateOpenIDConnectProvider",
            (
                Field("Url", "Issuer", "https://…, exactly as tokens say it.", "url"),
                Field("ClientIDList.member.1", "Client id", "The audience of its tokens."),
            ),
            (),
            "Issuers whose tokens roles may trust.",
        ),
        Kind(
            "saml",
            "SAML",
            "SAML provider",
            "ListSAMLProviders",
            "saml_provider_list",
            "arn",
            "SAMLProviderArn",
            "DeleteSAMLProvider",
            "CreateSAMLProvider",
            (
                Field("Name", "Name", "Letters, digits and ._-"),
                Field("SAMLMetadataDocument", "Metadata", "The provider's metadata document (XML).", "textarea"),
            ),
            ("create_date", "valid_until"),
            "Identity providers whose assertions roles may trust.",
        ),
        Kind(
            "ldap",
            "LDAP",
            "LDAP provider",
            "ListLDAPProviders",
            "ldap_provider_list",
            "arn",
            "LDAPProviderArn",
            "DeleteLDAPProvider",
            "",
            (),
            ("create_date",),
            "Directories whose people roles may trust.",
        ),
    )
}
"""Key (as in addresses) -> kind."""

"""The whole account in pages, its numbers, and which policies give access to a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from account import ACCOUNT, OTHER, Account, arn, policy
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st
from simulated_account import allow, deny
from sqlalchemy import event

from broker.domain.session import Tag
from broker.errors import AccessDenied, InvalidInput, NotFound, ValidationFailed
from broker.iam.account_summary import get_account_summary
from broker.iam.authorization_details import get_account_authorization_details
from broker.iam.groups import create_group
from broker.iam.instance_profile_roles import add_role_to_instance_profile
from broker.iam.instance_profiles import create_instance_profile
from broker.iam.managed_policies import create_policy
from broker.iam.memberships import add_user_to_group
from broker.iam.policy_entities import list_entities_for_policy
from broker.iam.policy_versions import create_policy_version
from broker.iam.service_access import grants, list_policies_granting_service_access
from broker.iam.users import create_user
from broker.services import Caller
from broker.store.policy_usage import attach

DOCUMENT, NEWER = policy(allow("sts:*")), policy(allow("iam:GetPolicy"))
AUDIT, READER = "arn:aws:iam::aws:policy/SecurityAudit", "arn:aws:iam::aws:policy/ReadOnlyAccess"
MADE = arn("policy", "team/Made")


@pytest.fixture
def company(account: Account) -> Account:
    """Two users, a group and a role, with policies of every kind, besides those of the configuration."""
    services, root = account.services, account.root
    create_policy(services, root, policy_name="Made", path="/team/", policy_document=DOCUMENT, description="For tests")
    create_policy_version(services, root, policy_arn=MADE, policy_document=NEWER, set_as_default=True)
    create_group(services, root, group_name="Readers")
    user = account.make("user", "Ada", allow("sts:GetCallerIdentity"), boundary=READER, tags={"Team": "blue"})
    group = account.make("group", "Writers", allow("iam:GetUser"), path="/team/")
    role = account.make("role", "deploy", allow("iam:GetRole"), tags={"Env": "live"})
    for name in ("Readers", "Writers"):
        add_user_to_group(services, root, group_name=name, user_name="Ada")
    create_instance_profile(services, root, instance_profile_name="machines")
    add_role_to_instance_profile(services, root, instance_profile_name="machines", role_name="deploy")
    with services.database.change() as connection:
        for entity, policy_arn in ((user, MADE), (group, AUDIT), (group, MADE), (role, AUDIT)):
            attach(connection, entity.id, policy_arn)
    create_user(services, account.foreign_root, user_name="Eve")
    create_policy(services, account.foreign_root, policy_name="Theirs", policy_document=DOCUMENT)
    return account


def _details(company: Account, caller: Caller | None = None, **arguments: Any) -> Any:
    return get_account_authorization_details(company.services, caller or company.root, **arguments)


def test_the_whole_account(company: Account) -> None:
    answer = _details(company)
    assert not answer.is_truncated
    users = {user.user_name: user for user in answer.user_detail_list}
    assert sorted(users, key=str.lower) == list(users)
    assert {"Ada", "alice"} <= users.keys()
    assert "Eve" not in users
    ada = users["Ada"]
    assert [found.policy_name for found in ada.user_policy_list] == ["made"]
    assert ada.user_policy_list[0].policy_document == policy(allow("sts:GetCallerIdentity"))
    assert list(ada.group_list) == ["Readers", "Writers"]
    assert [found.policy_arn for found in ada.attached_managed_policies] == [MADE]
    assert ada.permissions_boundary.permissions_boundary_arn == READER
    assert ada.tags == [Tag("Team", "blue")]
    groups = {group.group_name: group for group in answer.group_detail_list}
    assert [found.policy_arn for found in groups["Writers"].attached_managed_policies] == [MADE, AUDIT]
    assert [found.policy_name for found in groups["Writers"].group_policy_list] == ["made"]
    assert list(groups["Readers"].group_policy_list) == []
    roles = {role.role_name: role for role in answer.role_detail_list}
    deploy = roles["deploy"]
    assert [profile.instance_profile_name for profile in deploy.instance_profile_list] == ["machines"]
    assert [role.role_name for role in deploy.instance_profile_list[0].roles] == ["deploy"]
    assert [found.policy_arn for found in deploy.attached_managed_policies] == [AUDIT]
    assert arn("user", "bob") in roles["bound"].assume_role_policy_document, "unique ids are shown as ARNs"
    policies = {found.policy_name: found for found in answer.policies}
    assert policies.keys() == {"limit", "Made", "reads", "ReadOnlyAccess", "SecurityAudit"}
    made = policies["Made"]
    assert (made.attachment_count, made.description, made.default_version_id) == (2, "For tests", "v2")
    assert [(version.version_id, version.document) for version in made.policy_version_list] == [
        ("v2", NEWER),
        ("v1", DOCUMENT),
    ]
    assert policies["ReadOnlyAccess"].permissions_boundary_usage_count == 1


@pytest.mark.parametrize(
    ("kinds", "lists"),
    [
        (["User"], ["user_detail_list"]),
        (["Group", "Role"], ["group_detail_list", "role_detail_list"]),
        (["LocalManagedPolicy"], ["policies"]),
        (["AWSManagedPolicy"], ["policies"]),
    ],
)
def test_a_filter_leaves_what_it_names(company: Account, kinds: list[str], lists: list[str]) -> None:
    answer = _details(company, filter=kinds)
    names = ("user_detail_list", "group_detail_list", "role_detail_list", "policies")
    assert [name for name in names if getattr(answer, name)] == [name for name in names if name in lists]
    if kinds == ["AWSManagedPolicy"]:
        assert [found.arn for found in answer.policies] == [READER, AUDIT]
    if kinds == ["LocalManagedPolicy"]:
        assert [found.policy_name for found in answer.policies] == ["limit", "Made", "reads"]


def _all(answer: Any) -> list[str]:
    parts = (answer.user_detail_list, answer.group_detail_list, answer.role_detail_list, answer.policies)
    return [found.arn for part in parts for found in part]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pages_are_of_one_sequence(company: Account, size: int) -> None:
    whole = _all(_details(company))
    seen: list[str] = []
    marker, truncated = None, True
    while truncated:
        answer = _details(company, max_items=size, marker=marker)
        assert len(_all(answer)) <= size
        seen += _all(answer)
        marker, truncated = answer.marker, answer.is_truncated
    assert seen == whole
    assert len(seen) == len(set(seen)) > 10


def test_a_page_costs_the_same_however_many_it_shows(company: Account) -> None:
    """Everything of a page is read together, and nothing else is read."""

    def queries(size: int) -> int:
        seen: list[str] = []

        def note(*arguments: Any) -> None:
            seen.append(arguments[2])

        event.listen(company.services.database.engine, "before_cursor_execute", note)
        _details(company, max_items=size, filter=["User"])
        event.remove(company.services.database.engine, "before_cursor_execute", note)
        return len(seen)

    for number in range(30):
        company.make("user", f"many-{number}", allow("sts:*"))
    assert queries(30) == queries(5)


def test_a_marker_that_no_page_had(company: Account) -> None:
    with pytest.raises(ValidationFailed, match="Invalid Marker"):
        _details(company, marker="no marker of ours")


@pytest.mark.parametrize("call", [get_account_authorization_details, get_account_summary])
def test_account_wide_answers_need_the_permission_on_everything(account: Account, call: Any) -> None:
    action = f"iam:{''.join(word.capitalize() for word in call.__name__.split('_'))}"
    for caller in (account.who(), account.who(allow(action, arn("user", "*"))), account.who(allow("*"), deny(action))):
        with pytest.raises(AccessDenied, match=rf"{action} on resource: \* "):
            call(account.services, caller)
    call(account.services, account.who(allow(action)))


def test_the_summary_has_every_key_of_the_model(company: Account) -> None:
    summary = get_account_summary(company.services, company.root).summary_map
    model = Loader().load_service_model("iam", "service-2")
    assert set(summary) == set(model["shapes"]["summaryKeyType"]["enum"])
    assert (summary["Groups"], summary["Policies"], summary["PolicyVersionsInUse"]) == (2, 3, 4)
    assert (summary["InstanceProfiles"], summary["Providers"], summary["AccountMFAEnabled"]) == (1, 1, 0)
    assert (summary["UsersQuota"], summary["RolePolicySizeQuota"], summary["VersionsPerPolicyQuota"]) == (
        5000,
        10240,
        5,
    )
    theirs = get_account_summary(company.services, company.foreign_root).summary_map
    assert (theirs["Policies"], theirs["Groups"], theirs["PolicyVersionsInUse"]) == (1, 0, 1)


def _users(company: Account, **arguments: Any) -> Any:
    return list_entities_for_policy(company.services, company.root, policy_arn=MADE, **arguments)


def _names(answer: Any) -> list[str]:
    return [
        *(found.group_name for found in answer.policy_groups),
        *(found.role_name for found in answer.policy_roles),
        *(found.user_name for found in answer.policy_users),
    ]


def test_who_uses_a_policy(company: Account) -> None:
    company.make("role", "bounded", boundary=MADE, path="/team/")
    assert _names(_users(company)) == ["Writers", "bounded", "Ada"]
    for kind, names in {
        "User": ["Ada"],
        "Group": ["Writers"],
        "Role": ["bounded"],
        "LocalManagedPolicy": [],
        "AWSManagedPolicy": [],
    }.items():
        assert _names(_users(company, entity_filter=kind)) == names
    assert _names(_users(company, policy_usage_filter="PermissionsPolicy")) == ["Writers", "Ada"]
    assert _names(_users(company, policy_usage_filter="PermissionsBoundary")) == ["bounded"]
    assert _names(_users(company, path_prefix="/team/")) == ["Writers", "bounded"]
    seen: list[str] = []
    marker, truncated = None, True
    while truncated:
        answer = _users(company, max_items=1, marker=marker)
        seen += _names(answer)
        marker, truncated = answer.marker, answer.is_truncated
    assert seen == ["Writers", "bounded", "Ada"]


def test_of_the_products_policies_only_ones_own_uses_are_told(company: Account) -> None:
    answer = list_entities_for_policy(company.services, company.foreign_root, policy_arn=AUDIT)
    assert _names(answer) == []
    for caller, policy_arn, error in (
        (company.foreign_root, MADE, NotFound),
        (company.root, arn("policy", "none"), NotFound),
        (company.who(), MADE, AccessDenied),
        (company.who(allow("iam:ListEntitiesForPolicy", AUDIT)), MADE, AccessDenied),
        (company.root, arn("user", "Ada"), InvalidInput),
    ):
        with pytest.raises(error):
            list_entities_for_policy(company.services, caller, policy_arn=policy_arn)


def _access(company: Account, of: str, *services: str) -> dict[str, list[Any]]:
    answer = list_policies_granting_service_access(company.services, company.root, arn=of, service_namespaces=services)
    return {
        entry.service_namespace: [(found.policy_name, found.policy_type, found.entity_name) for found in entry.policies]
        for entry in answer.policies_granting_service_access
    }


def test_policies_that_give_a_user_access_to_a_service(company: Account) -> None:
    assert _access(company, arn("user", "Ada"), "sts", "iam", "s3") == {
        "iam": [("Made", "MANAGED", None), ("SecurityAudit", "MANAGED", None), ("made", "INLINE", "Writers")],
        "s3": [],
        "sts": [("SecurityAudit", "MANAGED", None), ("made", "INLINE", "Ada")],
    }
    assert _access(company, arn("group", "team/Writers"), "sts") == {"sts": [("SecurityAudit", "MANAGED", None)]}
    assert _access(company, arn("role", "deploy"), "iam") == {
        "iam": [("SecurityAudit", "MANAGED", None), ("made", "INLINE", "deploy")]
    }


def test_whom_one_may_ask_about(company: Account) -> None:
    action = "iam:ListPoliciesGrantingServiceAccess"

    def ask(caller: Caller, of: str) -> None:
        list_policies_granting_service_access(company.services, caller, arn=of, service_namespaces=["iam"])

    ask(company.who(allow(action, Condition={"StringEquals": {"aws:ResourceTag/Team": "blue"}})), arn("user", "Ada"))
    for caller, of, error in (
        (company.who(), arn("user", "Ada"), AccessDenied),
        (company.who(), arn("user", "none"), AccessDenied),
        (company.who(allow(action, arn("user", "Ada"))), arn("role", "deploy"), AccessDenied),
        (company.root, arn("user", "none"), NotFound),
        (company.root, arn("user", "ada"), NotFound),
        (company.root, arn("user", "Eve", OTHER), NotFound),
        (company.root, MADE, InvalidInput),
        (company.root, f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/x", InvalidInput),
        (company.root, "x" * 20, InvalidInput),
    ):
        with pytest.raises(error):
            ask(caller, of)


def _statements() -> Iterator[tuple[dict[str, Any], bool]]:
    """Statements, and whether they let into iam."""
    yield allow("*"), True
    yield allow("*:*"), True
    yield allow("iam:*"), True
    yield allow("IAM:Get*"), True
    yield allow(["s3:*", "iam:GetUser"]), True
    yield allow("s3:*"), False
    yield allow("iamx:*"), False
    yield deny("iam:*"), False
    nothing_of = {"Effect": "Allow", "Resource": "*"}
    yield {**nothing_of, "NotAction": "s3:*"}, True
    yield {**nothing_of, "NotAction": "iam:Get*"}, True
    yield {**nothing_of, "NotAction": ["s3:*", "IAM:*"]}, False
    yield {**nothing_of, "NotAction": "*"}, False


@pytest.mark.parametrize(("statement", "granting"), list(_statements()))
def test_what_gives_access(statement: dict[str, Any], granting: bool) -> None:
    assert grants(policy(statement), "iam") is granting
    assert grants(policy(deny("*"), statement), "iam") is granting


@given(st.lists(st.sampled_from([statement for statement, _ in _statements()]), min_size=1, max_size=4))
def test_more_statements_give_no_less(statements: list[dict[str, Any]]) -> None:
    assert grants(policy(*statements), "iam") is any(grants(policy(one), "iam") for one in statements)

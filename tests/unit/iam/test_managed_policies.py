"""Managed policies: made, listed, counted, tagged and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from account import OTHER, Account, arn, policy
from simulated_account import allow, deny

from broker.domain.session import Tag
from broker.errors import (
    AccessDenied,
    AlreadyExists,
    DeleteConflict,
    InvalidInput,
    LimitExceeded,
    MalformedPolicy,
    NotFound,
    Unmodifiable,
)
from broker.iam.boundaries import put_boundary
from broker.iam.managed_policies import (
    create_policy,
    delete_policy,
    get_policy,
    list_policies,
    list_policy_tags,
    tag_policy,
    untag_policy,
)
from broker.iam.policy_versions import create_policy_version
from broker.iam.user_policies import attach_user_policy, detach_user_policy
from broker.services import Caller
from broker.store.entities import delete_entity

DOCUMENT = policy(allow("sts:*"))
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
MADE = arn("policy", "team/Made")


def make(account: Account, name: str = "Made", path: str = "/team/", **more: Any) -> str:
    answer = create_policy(
        account.services, account.root, policy_name=name, path=path, policy_document=DOCUMENT, **more
    )
    return answer.policy.arn


def test_a_policy_as_it_was_made(account: Account) -> None:
    answer = create_policy(
        account.services,
        account.root,
        policy_name="Made",
        path="/team/",
        policy_document=DOCUMENT,
        description="What it is for",
        tags=[Tag("Team", "blue")],
    )
    made = answer.policy
    assert (made.arn, made.path, made.default_version_id) == (MADE, "/team/", "v1")
    assert (made.attachment_count, made.permissions_boundary_usage_count, made.is_attachable) == (0, 0, True)
    assert made.policy_id.startswith("ANPA")
    assert made.create_date == made.update_date
    assert made.tags == [Tag("Team", "blue")]
    assert get_policy(account.services, account.root, policy_arn=MADE) == answer


def test_names_are_unique_whatever_their_case_and_path(account: Account) -> None:
    make(account)
    with pytest.raises(
        AlreadyExists, match=r"^A policy called mADE already exists\. Duplicate names are not allowed\.$"
    ):
        make(account, "mADE", "/")
    assert create_policy(
        account.services, account.foreign_root, policy_name="Made", policy_document=DOCUMENT
    ).policy.arn == arn("policy", "Made", OTHER)
    make(account, "SecurityAudit", "/")  # the product's is another one


def test_the_document_is_checked(account: Account) -> None:
    for document in ("", "[]", policy({"Effect": "Allow"}), policy({**allow("sts:*"), "Principal": "*"})):
        with pytest.raises(MalformedPolicy, match="line 1"):
            create_policy(account.services, account.root, policy_name="Made", policy_document=document)
    services = account.limited(managed_policy=len(DOCUMENT.replace(" ", "")))
    create_policy(services, account.root, policy_name="Fits", policy_document=DOCUMENT.replace(" ", "   "))
    with pytest.raises(LimitExceeded, match=r"^Cannot exceed quota for PolicySize: "):
        create_policy(services, account.root, policy_name="Made", policy_document=policy(allow("sts:**")))
    with pytest.raises(NotFound):
        get_policy(account.services, account.root, policy_arn=arn("policy", "Made"))


def test_the_quota_counts_the_accounts_own(account: Account) -> None:
    services = account.limited(policies=3)  # the configuration has declared two
    create_policy(services, account.root, policy_name="Third", policy_document=DOCUMENT)
    with pytest.raises(LimitExceeded, match=r"^Cannot exceed quota for PoliciesPerAccount: 3$"):
        create_policy(services, account.root, policy_name="Fourth", policy_document=DOCUMENT)
    create_policy(services, account.foreign_root, policy_name="Theirs", policy_document=DOCUMENT)


def test_making_needs_the_permission_on_that_arn_and_for_those_tags(account: Account) -> None:
    def create(caller: Caller, *tags: Tag) -> None:
        create_policy(account.services, caller, policy_name="Made", path="/team/", policy_document=DOCUMENT, tags=tags)

    below = arn("policy", "team/*")
    blue = {"StringEquals": {"aws:RequestTag/Team": "blue"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}
    tagger = account.who(allow(["iam:CreatePolicy", "iam:TagPolicy"], below, Condition=blue))
    for caller, tags in (
        (account.who(), ()),
        (account.who(allow("iam:CreatePolicy", arn("policy", "Made"))), ()),
        (account.who(allow("iam:CreatePolicy", below)), (Tag("Team", "blue"),)),
        (account.who(allow("iam:TagPolicy", below)), (Tag("Team", "blue"),)),
        (tagger, ()),
        (tagger, (Tag("Team", "red"),)),
        (tagger, (Tag("Team", "blue"), Tag("More", ""))),
    ):
        with pytest.raises(AccessDenied, match=f"iam:(Create|Tag)Policy on resource: {MADE} "):
            create(caller, *tags)
    create(tagger, Tag("Team", "blue"))


def test_uses_are_counted(account: Account) -> None:
    make(account)
    user, bounded = account.make("user", "one"), account.make("role", "two")
    attach_user_policy(account.services, account.root, user_name="one", policy_arn=MADE)
    attach_user_policy(account.services, account.root, user_name="one", policy_arn=AUDIT)
    put_boundary(account.services, account.root, "iam:PutRolePermissionsBoundary", "role", bounded.name, MADE)
    found = get_policy(account.services, account.root, policy_arn=MADE).policy
    assert (found.attachment_count, found.permissions_boundary_usage_count) == (1, 1)
    assert get_policy(account.services, account.root, policy_arn=AUDIT).policy.attachment_count == 1
    assert get_policy(account.services, account.foreign_root, policy_arn=AUDIT).policy.attachment_count == 0
    with account.services.database.change() as connection:
        delete_entity(connection, user.id)
        delete_entity(connection, bounded.id)
    found = get_policy(account.services, account.root, policy_arn=MADE).policy
    assert (found.attachment_count, found.permissions_boundary_usage_count) == (0, 0)


def _names(account: Account, caller: Caller | None = None, **filters: Any) -> list[str]:
    answer = list_policies(account.services, caller or account.root, **filters)
    assert not answer.is_truncated
    return [found.policy_name for found in answer.policies]


def test_lists_by_owner_path_and_use(account: Account) -> None:
    make(account)
    assert _names(account, scope="Local") == ["limit", "Made", "reads"]
    assert _names(account, scope="Local", path_prefix="/team/") == ["Made"]
    assert _names(account, scope="Local", path_prefix="/Team/") == []
    assert "Made" not in _names(account, scope="AWS")
    assert sorted(_names(account, scope="AWS") + _names(account, scope="Local")) == sorted(_names(account))
    assert _names(account) == sorted(_names(account), key=str.lower)
    assert _names(account, only_attached=True) == ["reads"]
    assert _names(account, policy_usage_filter="PermissionsPolicy") == ["reads"]
    assert _names(account, policy_usage_filter="PermissionsBoundary") == ["limit"]
    assert _names(account, policy_usage_filter="PermissionsBoundary", only_attached=True) == ["limit"]
    assert _names(account, scope="AWS", only_attached=True) == []


def test_other_accounts_see_the_products_and_their_own_alone(account: Account) -> None:
    make(account)
    create_policy(account.services, account.foreign_root, policy_name="Theirs", policy_document=DOCUMENT)
    assert _names(account, account.foreign_root, scope="Local") == ["Theirs"]
    assert "Theirs" not in _names(account)


def test_pages_hide_and_repeat_nothing(account: Account) -> None:
    for name in ("ReadOnlyAccess", "readonly", "Zeta"):
        make(account, name)
    whole = [found.arn for found in list_policies(account.services, account.root).policies]
    seen: list[str] = []
    marker = None
    while marker is not None or not seen:
        answer = list_policies(account.services, account.root, max_items=2, marker=marker)
        seen += [found.arn for found in answer.policies]
        marker = answer.marker
    assert seen == whole
    assert len(whole) == len(set(whole)) == 12


def test_a_policy_goes_when_nobody_uses_it_and_it_has_one_version(account: Account) -> None:
    make(account)
    account.make("user", "one")
    attach_user_policy(account.services, account.root, user_name="one", policy_arn=MADE)
    in_use = r"^Cannot delete a policy attached to entities\.$"
    with pytest.raises(DeleteConflict, match=in_use):
        delete_policy(account.services, account.root, policy_arn=MADE)
    detach_user_policy(account.services, account.root, user_name="one", policy_arn=MADE)
    put_boundary(account.services, account.root, "iam:PutUserPermissionsBoundary", "user", "one", MADE)
    with pytest.raises(DeleteConflict, match=in_use):
        delete_policy(account.services, account.root, policy_arn=MADE)
    with account.services.database.change() as connection:
        connection.exec_driver_sql("UPDATE entities SET permissions_boundary = NULL WHERE name = 'one'")
    create_policy_version(account.services, account.root, policy_arn=MADE, policy_document=DOCUMENT)
    with pytest.raises(DeleteConflict, match=r"^This policy has more than one version"):
        delete_policy(account.services, account.root, policy_arn=MADE)
    with account.services.database.change() as connection:
        connection.exec_driver_sql("DELETE FROM policy_versions WHERE version = 2")
    delete_policy(account.services, account.root, policy_arn=MADE)
    for call in (delete_policy, get_policy):
        with pytest.raises(NotFound, match=f"^Policy {MADE} was not found.$"):
            call(account.services, account.root, policy_arn=MADE)
    made_again = get_policy(account.services, account.root, policy_arn=make(account)).policy
    assert made_again.default_version_id == "v1"


def test_tags(account: Account) -> None:
    make(account, tags=[Tag("Team", "blue")])
    services, root = account.services, account.root
    tag_policy(services, root, policy_arn=MADE, tags=[Tag("team", "red"), Tag("Cost", "")])
    assert list_policy_tags(services, root, policy_arn=MADE).tags == [Tag("Cost", ""), Tag("team", "red")]
    untag_policy(services, root, policy_arn=MADE, tag_keys=["TEAM"])
    assert list_policy_tags(services, root, policy_arn=MADE).tags == [Tag("Cost", "")]
    with pytest.raises(LimitExceeded):
        tag_policy(services, root, policy_arn=MADE, tags=[Tag(f"k{number}", "") for number in range(50)])
    with pytest.raises(InvalidInput):
        tag_policy(services, root, policy_arn=MADE, tags=[Tag("aws:x", "")])
    page = list_policy_tags(services, root, policy_arn=AUDIT, max_items=1)
    assert (page.tags, page.is_truncated) == ([], False)


Call = Callable[[Account, Caller, str], object]
READING: dict[str, Call] = {
    "iam:GetPolicy": lambda account, caller, of: get_policy(account.services, caller, policy_arn=of),
    "iam:ListPolicyTags": lambda account, caller, of: list_policy_tags(account.services, caller, policy_arn=of),
}
CHANGING: dict[str, Call] = {
    "iam:DeletePolicy": lambda account, caller, of: delete_policy(account.services, caller, policy_arn=of),
    "iam:TagPolicy": lambda account, caller, of: tag_policy(
        account.services, caller, policy_arn=of, tags=[Tag("a", "b")]
    ),
    "iam:UntagPolicy": lambda account, caller, of: untag_policy(
        account.services, caller, policy_arn=of, tag_keys=["Team"]
    ),
}


@pytest.mark.parametrize("action", [*READING, *CHANGING])
def test_each_call_needs_its_own_permission_on_this_policy(account: Account, action: str) -> None:
    make(account, tags=[Tag("Team", "blue")])
    call = (READING | CHANGING)[action]
    for caller in (
        account.who(),
        account.who(allow("*"), deny(action)),
        account.who(allow(action, arn("policy", "Made"))),
        account.who(allow(action, Condition={"StringEquals": {"aws:ResourceTag/Team": "red"}})),
    ):
        with pytest.raises(AccessDenied, match=f"perform: {action} on resource: {MADE} "):
            call(account, caller, MADE)
        with pytest.raises(AccessDenied):
            call(account, account.who(), arn("policy", "none"))
    call(account, account.who(allow(action, MADE, Condition={"StringEquals": {"iam:ResourceTag/Team": "blue"}})), MADE)


def test_tagging_is_limited_by_the_tags_of_the_request(account: Account) -> None:
    make(account, tags=[Tag("Team", "blue")])
    tagger = account.who(allow("iam:TagPolicy", Condition={"StringEquals": {"aws:RequestTag/Team": "red"}}))
    with pytest.raises(AccessDenied):
        tag_policy(account.services, tagger, policy_arn=MADE, tags=[Tag("Team", "blue")])
    tag_policy(account.services, tagger, policy_arn=MADE, tags=[Tag("Team", "red")])
    untagger = account.who(allow("iam:UntagPolicy", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["Cost"]}}))
    with pytest.raises(AccessDenied):
        untag_policy(account.services, untagger, policy_arn=MADE, tag_keys=["Team"])
    untag_policy(account.services, untagger, policy_arn=MADE, tag_keys=["Cost"])


def test_listing_needs_the_permission_on_everything(account: Account) -> None:
    for caller in (account.who(), account.who(allow("iam:ListPolicies", arn("policy", "*")))):
        with pytest.raises(AccessDenied, match=r"iam:ListPolicies on resource: \* "):
            list_policies(account.services, caller)
    list_policies(account.services, account.who(allow("iam:ListPolicies")))


@pytest.mark.parametrize("action", [*READING, *CHANGING])
def test_policies_of_others(account: Account, action: str) -> None:
    theirs = create_policy(account.services, account.foreign_root, policy_name="Theirs", policy_document=DOCUMENT)
    missing = arn("policy", "None", OTHER)
    for of in (theirs.policy.arn, missing):
        if action in READING:
            with pytest.raises(NotFound, match=f"^Policy {of} was not found.$"):
                READING[action](account, account.root, of)
        else:
            with pytest.raises(AccessDenied, match=r"^Policy is outside your own account\.$"):
                CHANGING[action](account, account.root, of)
    if action in CHANGING:
        with pytest.raises(AccessDenied, match=r"^Policy is outside your own account\.$"):
            CHANGING[action](account, account.root, AUDIT)
    else:
        READING[action](account, account.root, AUDIT)


@pytest.mark.parametrize("action", CHANGING)
def test_what_the_configuration_declares_is_changed_there(account: Account, action: str) -> None:
    with pytest.raises(Unmodifiable, match=r"The policy limit cannot be changed\. .*accredit\.toml"):
        CHANGING[action](account, account.root, arn("policy", "limit"))


@pytest.mark.parametrize("action", [*READING, *CHANGING])
@pytest.mark.parametrize(
    "of", ["x" * 20, arn("user", "alice"), arn("policy", ""), "arn:aws:sts::123456789012:policy/a"]
)
def test_what_is_no_policys_arn(account: Account, action: str, of: str) -> None:
    with pytest.raises(InvalidInput, match=f"^ARN {of} is not valid.$"):
        (READING | CHANGING)[action](account, account.root, of)

"""Versions of managed policies: five at most, one of them decides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from account import OTHER, Account, arn, policy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from simulated_account import allow, deny

from broker.errors import (
    AccessDenied,
    BrokerError,
    DeleteConflict,
    InvalidInput,
    LimitExceeded,
    MalformedPolicy,
    NotFound,
    Unmodifiable,
)
from broker.iam.managed_policies import create_policy, get_policy
from broker.iam.policy_versions import (
    create_policy_version,
    delete_policy_version,
    get_policy_version,
    list_policy_versions,
    set_default_policy_version,
)
from broker.iam.user_policies import attach_user_policy
from broker.services import Caller
from broker.store.managed_policies import find_managed_policy
from broker.store.policies import find_policy
from broker.store.policy_versions import find_version, list_versions

DOCUMENT, NEWER = policy(allow("sts:*")), policy(allow("iam:GetPolicy"))
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
MADE = arn("policy", "Made")


@pytest.fixture
def made(account: Account) -> Account:
    create_policy(account.services, account.root, policy_name="Made", policy_document=DOCUMENT)
    return account


def add(account: Account, document: str = NEWER, *, default: bool = False) -> str:
    answer = create_policy_version(
        account.services, account.root, policy_arn=MADE, policy_document=document, set_as_default=default
    )
    assert answer.policy_version.document is None
    return answer.policy_version.version_id


def ids(account: Account) -> list[str]:
    """Of all versions, the newest first; the default one is marked."""
    answer = list_policy_versions(account.services, account.root, policy_arn=MADE)
    assert all(version.document is None for version in answer.versions)
    return [version.version_id + "*" * version.is_default_version for version in answer.versions]


def test_a_version_is_added_and_made_the_default_one(made: Account) -> None:
    assert add(made) == "v2"
    assert ids(made) == ["v2", "v1*"]
    set_default_policy_version(made.services, made.root, policy_arn=MADE, version_id="v2")
    assert ids(made) == ["v2*", "v1"]
    assert add(made, DOCUMENT, default=True) == "v3"
    assert get_policy(made.services, made.root, policy_arn=MADE).policy.default_version_id == "v3"
    found = get_policy_version(made.services, made.root, policy_arn=MADE, version_id="v2").policy_version
    assert (found.document, found.is_default_version) == (NEWER, False)


def test_numbers_never_come_again(made: Account) -> None:
    add(made)
    delete_policy_version(made.services, made.root, policy_arn=MADE, version_id="v2")
    assert add(made) == "v3"
    assert ids(made) == ["v3", "v1*"]


def test_there_are_five_at_most(made: Account) -> None:
    for number in range(2, 6):
        assert add(made) == f"v{number}"
    full = (
        r"^A managed policy can have up to 5 versions\. Before you create a new version, you must delete an existing "
        r"version\.$"
    )
    for default in (False, True):
        with pytest.raises(LimitExceeded, match=full):
            add(made, default=default)
    delete_policy_version(made.services, made.root, policy_arn=MADE, version_id="v3")
    assert add(made) == "v6"


def test_the_default_version_stays(made: Account) -> None:
    add(made, default=True)
    with pytest.raises(DeleteConflict, match=r"^Cannot delete the default version of a policy\.$"):
        delete_policy_version(made.services, made.root, policy_arn=MADE, version_id="v2")
    delete_policy_version(made.services, made.root, policy_arn=MADE, version_id="v1")
    assert ids(made) == ["v2*"]


@pytest.mark.parametrize("version_id", ["v2", "v10", "v99999999999999999999", "v1.", "v1.draft"])
def test_what_is_no_version(made: Account, version_id: str) -> None:
    for call in (get_policy_version, set_default_policy_version, delete_policy_version):
        with pytest.raises(NotFound, match=f"^Policy {MADE} version {version_id} does not exist"):
            call(made.services, made.root, policy_arn=MADE, version_id=version_id)


def test_the_document_is_checked(made: Account) -> None:
    with pytest.raises(MalformedPolicy):
        add(made, policy({"Effect": "Allow"}))
    with pytest.raises(LimitExceeded, match="PolicySize: 6144"):
        add(made, policy(*(allow(f"sts:{number:060}") for number in range(60))))
    assert ids(made) == ["v1*"]


def test_only_a_new_version_counts_as_an_update(made: Account) -> None:
    def updated() -> object:
        return get_policy(made.services, made.root, policy_arn=MADE).policy.update_date

    later = replace(made.root, now=made.root.now + timedelta(hours=1))
    before = updated()
    create_policy_version(made.services, later, policy_arn=MADE, policy_document=NEWER)
    after = updated()
    assert (after, before) == (later.now, later.now - timedelta(hours=1))
    set_default_policy_version(
        made.services, replace(later, now=later.now + timedelta(hours=1)), policy_arn=MADE, version_id="v2"
    )
    assert updated() == after


def test_pages_begin_with_the_newest(made: Account) -> None:
    for _ in range(4):
        add(made)
    first = list_policy_versions(made.services, made.root, policy_arn=MADE, max_items=3)
    second = list_policy_versions(made.services, made.root, policy_arn=MADE, max_items=3, marker=first.marker)
    assert [version.version_id for version in (*first.versions, *second.versions)] == ["v5", "v4", "v3", "v2", "v1"]
    assert (first.is_truncated, second.is_truncated) == (True, False)


def test_the_next_decision_reads_the_new_default_version(made: Account) -> None:
    user = made.make("user", "thing")
    attach_user_policy(made.services, made.root, user_name="thing", policy_arn=MADE)

    def may() -> bool:
        try:
            get_policy(made.services, made.calling(user), policy_arn=MADE)
        except AccessDenied:
            return False
        return True

    assert not may()
    add(made)
    assert not may()
    set_default_policy_version(made.services, made.root, policy_arn=MADE, version_id="v2")
    assert may()
    set_default_policy_version(made.services, made.root, policy_arn=MADE, version_id="v1")
    assert not may()
    add(made, default=True)
    assert may()
    add(made, policy(allow("*"), deny("iam:GetPolicy")), default=True)
    assert not may()


Call = Callable[[Account, Caller, str], object]
READING: dict[str, Call] = {
    "iam:GetPolicyVersion": lambda account, caller, of: get_policy_version(
        account.services, caller, policy_arn=of, version_id="v1"
    ),
    "iam:ListPolicyVersions": lambda account, caller, of: list_policy_versions(account.services, caller, policy_arn=of),
}
CHANGING: dict[str, Call] = {
    "iam:CreatePolicyVersion": lambda account, caller, of: create_policy_version(
        account.services, caller, policy_arn=of, policy_document=NEWER
    ),
    "iam:SetDefaultPolicyVersion": lambda account, caller, of: set_default_policy_version(
        account.services, caller, policy_arn=of, version_id="v1"
    ),
    "iam:DeletePolicyVersion": lambda account, caller, of: delete_policy_version(
        account.services, caller, policy_arn=of, version_id="v2"
    ),
}


@pytest.mark.parametrize("action", [*READING, *CHANGING])
def test_each_call_needs_its_own_permission_on_this_policy(made: Account, action: str) -> None:
    add(made)
    call = (READING | CHANGING)[action]
    for caller in (
        made.who(),
        made.who(allow("*"), deny(action)),
        made.who(allow(action, arn("policy", "Mad"))),
        made.who(allow(action, Condition={"StringEquals": {"aws:ResourceTag/Team": "red"}})),
    ):
        with pytest.raises(AccessDenied, match=f"perform: {action} on resource: {MADE} "):
            call(made, caller, MADE)
    with pytest.raises(AccessDenied):
        call(made, made.who(), arn("policy", "none"))
    call(made, made.who(allow(action, MADE)), MADE)


@pytest.mark.parametrize("action", [*READING, *CHANGING])
def test_policies_of_others_and_those_declared(made: Account, action: str) -> None:
    theirs = create_policy(made.services, made.foreign_root, policy_name="Theirs", policy_document=DOCUMENT).policy.arn
    declared = arn("policy", "limit")
    for of in (theirs, arn("policy", "None", OTHER)):
        with pytest.raises(NotFound if action in READING else AccessDenied):
            (READING | CHANGING)[action](made, made.root, of)
    if action in READING:
        READING[action](made, made.root, AUDIT)
        READING[action](made, made.root, declared)
    else:
        with pytest.raises(AccessDenied, match=r"^Policy is outside your own account\.$"):
            CHANGING[action](made, made.root, AUDIT)
        with pytest.raises(Unmodifiable):
            CHANGING[action](made, made.root, declared)
    with pytest.raises(InvalidInput):
        (READING | CHANGING)[action](made, made.root, arn("role", "x" * 20))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["add", "default", "delete"]), st.integers(1, 9)), max_size=12))
def test_whatever_happens_the_document_is_the_default_versions(account: Account, steps: list[tuple[str, int]]) -> None:
    name = f"P{account.root.record.request_id}-{hash(tuple(steps)) & 0xFFFF_FFFF_FFFF}"
    of = create_policy(account.services, account.root, policy_name=name, policy_document=DOCUMENT).policy.arn
    seen = {1}
    for step, number in steps:
        try:
            if step == "add":
                text = policy(allow("sts:*", Sid=f"n{number}"))
                answer = create_policy_version(
                    account.services, account.root, policy_arn=of, policy_document=text, set_as_default=number > 5
                )
                made = int(answer.policy_version.version_id[1:])
                assert made == max(seen) + 1
                seen.add(made)
            elif step == "default":
                set_default_policy_version(account.services, account.root, policy_arn=of, version_id=f"v{number}")
            else:
                delete_policy_version(account.services, account.root, policy_arn=of, version_id=f"v{number}")
        except BrokerError:
            pass
        with account.services.database.read() as connection:
            found = find_managed_policy(connection, of)
            assert found is not None
            default = find_version(connection, found.id, found.default_version)
            assert default is not None
            assert default.document == find_policy(connection, of)
            assert 1 <= len(list_versions(connection, found.id)) <= 5

"""Managed policies attached to users, groups and roles: the same rules for all three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal

import pytest
from account import ACCOUNT, OTHER, Account, arn, policy
from simulated_account import allow, deny

from broker.errors import AccessDenied, InvalidInput, LimitExceeded, NotFound, Unmodifiable
from broker.iam import group_policies, role_policies, user_policies
from broker.iam.managed_policies import create_policy
from broker.services import Caller

AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
READS, LIMIT = arn("policy", "reads"), arn("policy", "limit")
KINDS: Mapping[str, ModuleType] = {"user": user_policies, "group": group_policies, "role": role_policies}
Kind = Literal["user", "group", "role"]
every_kind = pytest.mark.parametrize("kind", list(KINDS))


class Calls:
    """The three operations of one kind, on the entity called ``thing``."""

    def __init__(self, account: Account, kind: Kind, name: str = "thing") -> None:
        self._kind, self._name = kind, name
        self.services = account.services

    def _call(self, function: str, caller: Caller, **arguments: Any) -> Any:
        handler: Callable[..., Any] = getattr(KINDS[self._kind], function.format(self._kind))
        return handler(self.services, caller, **{f"{self._kind}_name": self._name}, **arguments)

    def attach(self, caller: Caller, policy_arn: str = AUDIT) -> None:
        self._call("attach_{}_policy", caller, policy_arn=policy_arn)

    def detach(self, caller: Caller, policy_arn: str = AUDIT) -> None:
        self._call("detach_{}_policy", caller, policy_arn=policy_arn)

    def list(self, caller: Caller, **page: Any) -> Any:
        return self._call("list_attached_{}_policies", caller, **page)


def _arns(answer: Any) -> list[str]:
    return [found.policy_arn for found in answer.attached_policies]


@every_kind
def test_a_policy_is_attached_once_and_detached_once(account: Account, kind: Kind) -> None:
    account.make(kind, "Thing")
    calls, root = Calls(account, kind), account.root
    for _ in range(2):
        calls.attach(root)
    calls.attach(root, READS)
    answer = calls.list(root)
    assert _arns(answer) == [READS, AUDIT]
    assert [found.policy_name for found in answer.attached_policies] == ["reads", "SecurityAudit"]
    calls.detach(root)
    assert _arns(calls.list(root)) == [READS]
    with pytest.raises(NotFound, match=f"^Policy {AUDIT} was not found.$"):
        calls.detach(root)


@every_kind
def test_only_what_is_there_and_ones_own_can_be_attached(account: Account, kind: Kind) -> None:
    account.make(kind, "thing")
    create_policy(account.services, account.foreign_root, policy_name="theirs", policy_document=policy(allow("sts:*")))
    calls = Calls(account, kind)
    for missing in (arn("policy", "Reads"), arn("policy", "none"), arn("policy", "theirs", OTHER), f"{AUDIT}s"):
        with pytest.raises(NotFound, match=f"^Policy {missing} does not exist or is not attachable.$"):
            calls.attach(account.root, missing)
        with pytest.raises(NotFound, match="was not found"):
            calls.detach(account.root, missing)
    for malformed in ("x" * 20, arn("user", "alice"), "arn:aws:s3:::policy/reads", f"arn:aws:iam::{ACCOUNT}:policy/"):
        for call in (calls.attach, calls.detach):
            with pytest.raises(InvalidInput, match=r"^ARN .* is not valid\.$"):
                call(account.root, malformed)
    assert _arns(calls.list(account.root)) == []


@every_kind
def test_the_quota(account: Account, kind: Kind) -> None:
    account.make(kind, "thing")
    calls = Calls(account, kind)
    calls.services = account.limited(attached_policies=2)
    calls.attach(account.root)
    calls.attach(account.root, READS)
    calls.attach(account.root, READS)
    with pytest.raises(LimitExceeded, match=f"^Cannot exceed quota for PoliciesPer{kind.capitalize()}: 2$"):
        calls.attach(account.root, LIMIT)


@every_kind
def test_the_policy_is_a_condition_key(account: Account, kind: Kind) -> None:
    made = account.make(kind, "thing")
    calls = Calls(account, kind)
    for verb, call in (("Attach", calls.attach), ("Detach", calls.detach)):
        action = f"iam:{verb}{kind.capitalize()}Policy"
        delegate = account.who(allow(action, Condition={"ArnEquals": {"iam:PolicyARN": READS}}))
        call(delegate, READS)
        for other in (LIMIT, AUDIT, arn("policy", "none")):
            with pytest.raises(AccessDenied, match=f"{action} on resource: {made.arn} "):
                call(delegate, other)
        without = account.who(
            allow(action), deny(action, Condition={"ArnLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/*"}})
        )
        with pytest.raises(AccessDenied, match="explicit deny"):
            call(without, AUDIT)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_the_boundary_and_the_tags_decide(account: Account, kind: Kind) -> None:
    bounded = account.make(kind, "bounded", boundary=LIMIT, tags={"Team": "blue"})
    free = account.make(kind, "free")
    for verb in ("attach", "detach"):
        action = f"iam:{verb.capitalize()}{kind.capitalize()}Policy"
        for condition in ({"iam:PermissionsBoundary": LIMIT}, {"aws:ResourceTag/Team": "blue"}):
            delegate = account.who(allow(action, Condition={"StringEquals": condition}))
            if verb == "detach":
                Calls(account, kind, bounded.name).attach(account.root)
            getattr(Calls(account, kind, bounded.name), verb)(delegate)
            with pytest.raises(AccessDenied):
                getattr(Calls(account, kind, free.name), verb)(delegate)


@every_kind
@pytest.mark.parametrize("call", ["attach", "detach", "list"])
def test_each_call_needs_its_own_permission_on_this_entity(account: Account, kind: Kind, call: str) -> None:
    made = account.make(kind, "thing", path="/team/")
    noun = kind.capitalize()
    action = f"iam:ListAttached{noun}Policies" if call == "list" else f"iam:{call.capitalize()}{noun}Policy"
    calls = Calls(account, kind)
    calls.attach(account.root)
    for caller in (
        account.who(),
        account.who(allow("*"), deny(action)),
        account.who(allow(action, [arn(kind, "thing"), AUDIT])),
    ):
        with pytest.raises(AccessDenied, match=f"perform: {action} on resource: {made.arn} "):
            getattr(calls, call)(caller)
    getattr(calls, call)(account.who(allow(action, made.arn)))


@every_kind
def test_what_the_configuration_declares_is_changed_there(account: Account, kind: Kind) -> None:
    account.make(kind, "thing", declared=True)
    for call in (Calls(account, kind).attach, Calls(account, kind).detach):
        with pytest.raises(Unmodifiable, match=r"accredit\.toml"):
            call(account.root)


@every_kind
def test_lists_have_pages_and_paths(account: Account, kind: Kind) -> None:
    account.make(kind, "thing")
    calls, root = Calls(account, kind), account.root
    for name in ("SecurityAudit", "b", "C"):
        create_policy(account.services, root, policy_name=name, path="/team/a/", policy_document=policy(allow("sts:*")))
        calls.attach(root, arn("policy", f"team/a/{name}"))
    calls.attach(root)
    seen, marker = [], None
    for size in (1, 1, 1, 1):
        answer = calls.list(root, max_items=size, marker=marker)
        seen += _arns(answer)
        marker = answer.marker
    assert seen == [*(arn("policy", f"team/a/{name}") for name in ("b", "C", "SecurityAudit")), AUDIT]
    assert (answer.is_truncated, marker) == (False, None)
    assert len(_arns(calls.list(root, path_prefix="/team/"))) == 3
    assert _arns(calls.list(root, path_prefix="/TEAM/")) == []


def test_the_next_decision_knows_the_attachment(account: Account) -> None:
    user = account.make("user", "thing")
    calls = Calls(account, "user")
    with pytest.raises(AccessDenied):
        calls.list(account.calling(user))
    calls.attach(account.root)
    assert _arns(calls.list(account.calling(user))) == [AUDIT]
    calls.detach(account.root)
    with pytest.raises(AccessDenied):
        calls.list(account.calling(user))

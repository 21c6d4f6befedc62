"""Inline policies of users, groups and roles: the same rules for all three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal

import pytest
from account import ACCOUNT, Account, arn, policy
from simulated_account import allow, deny

from broker.errors import AccessDenied, LimitExceeded, MalformedPolicy, NotFound, Unmodifiable
from broker.iam import group_policies, role_policies, user_policies
from broker.services import Caller
from broker.store.inline_policies import inline_policies_of

DOCUMENT = policy(allow("sts:*"))
KINDS: Mapping[str, ModuleType] = {"user": user_policies, "group": group_policies, "role": role_policies}
Kind = Literal["user", "group", "role"]
every_kind = pytest.mark.parametrize("kind", list(KINDS))


class Calls:
    """The four operations of one kind, on the entity called ``thing``."""

    def __init__(self, account: Account, kind: Kind, name: str = "thing") -> None:
        self._account, self._kind, self._name = account, kind, name
        self.services = account.services

    def _call(self, function: str, caller: Caller, **arguments: Any) -> Any:
        handler: Callable[..., Any] = getattr(KINDS[self._kind], function.format(self._kind))
        return handler(self.services, caller, **{f"{self._kind}_name": self._name}, **arguments)

    def put(self, caller: Caller, name: str = "own", document: str = DOCUMENT) -> None:
        self._call("put_{}_policy", caller, policy_name=name, policy_document=document)

    def get(self, caller: Caller, name: str = "own") -> Any:
        return self._call("get_{}_policy", caller, policy_name=name)

    def delete(self, caller: Caller, name: str = "own") -> None:
        self._call("delete_{}_policy", caller, policy_name=name)

    def list(self, caller: Caller, **page: Any) -> Any:
        return self._call("list_{}_policies", caller, **page)


@every_kind
def test_a_policy_comes_changes_and_goes(account: Account, kind: Kind) -> None:
    account.make(kind, "Thing")
    calls, root = Calls(account, kind), account.root
    calls.put(root)
    found = calls.get(root)
    assert (getattr(found, f"{kind}_name"), found.policy_name, found.policy_document) == ("Thing", "own", DOCUMENT)
    changed = f"  {policy(deny('sts:*'))}\n"
    calls.put(root, document=changed)
    assert calls.get(root).policy_document == changed
    calls.put(root, "Own")
    assert list(calls.list(root).policy_names) == ["Own", "own"]
    calls.delete(root)
    for call in (calls.get, calls.delete):
        with pytest.raises(NotFound, match=f"^The {kind} policy with name own cannot be found.$"):
            call(root)


@every_kind
def test_names_come_in_pages(account: Account, kind: Kind) -> None:
    account.make(kind, "thing")
    calls, root = Calls(account, kind), account.root
    for name in ("c", "a", "d", "b"):
        calls.put(root, name)
    first = calls.list(root, max_items=3)
    assert (list(first.policy_names), first.is_truncated) == (["a", "b", "c"], True)
    second = calls.list(root, max_items=3, marker=first.marker)
    assert (list(second.policy_names), second.is_truncated, second.marker) == (["d"], False, None)


@every_kind
def test_a_document_that_does_not_follow_the_grammar(account: Account, kind: Kind) -> None:
    made = account.make(kind, "thing")
    calls = Calls(account, kind)
    principal = {**allow("sts:*"), "Principal": "*"}
    for document, place in (("{", "line 1"), (policy({"Effect": "Allow"}), "column"), (policy(principal), "Principal")):
        with pytest.raises(MalformedPolicy, match=place):
            calls.put(account.root, document=document)
    with account.services.database.read() as connection:
        assert inline_policies_of(connection, [made.id]) == {}


@every_kind
def test_all_of_an_entity_count_together(account: Account, kind: Kind) -> None:
    account.make(kind, "thing")
    calls = Calls(account, kind)
    calls.services = account.limited(**{f"{kind}_inline_policies": 2 * len(DOCUMENT.replace(" ", ""))})
    calls.put(account.root, "one")
    calls.put(account.root, "two", DOCUMENT.replace(" ", "\n  "))
    calls.put(account.root, "one")
    limit = 2 * len(DOCUMENT.replace(" ", ""))
    with pytest.raises(LimitExceeded, match=f"Maximum policy size of {limit} bytes exceeded for {kind} thing"):
        calls.put(account.root, "three")
    with pytest.raises(LimitExceeded):
        calls.put(account.root, "one", policy(allow("sts:*"), deny("sts:*")))


@every_kind
@pytest.mark.parametrize("call", ["put", "get", "delete", "list"])
def test_each_call_needs_its_own_permission_on_this_entity(account: Account, kind: Kind, call: str) -> None:
    made = account.make(kind, "thing", path="/team/")
    action = {"list": f"iam:List{kind.capitalize()}Policies"}.get(
        call, f"iam:{call.capitalize()}{kind.capitalize()}Policy"
    )
    calls = Calls(account, kind)
    calls.put(account.root)
    refused = [
        account.who(),
        account.who(allow("*"), deny(action)),
        account.who(allow(action, arn(kind, "thing"))),
        account.who(allow(action, arn(kind, "team/other"))),
        account.who(allow(action, made.arn, Condition={"StringEquals": {"aws:ResourceTag/Team": "blue"}})),
    ]
    for caller in refused:
        with pytest.raises(AccessDenied, match=f"perform: {action} on resource: {made.arn} "):
            getattr(calls, call)(caller)
    getattr(calls, call)(account.who(allow(action, made.arn)))


@every_kind
@pytest.mark.parametrize("call", ["put", "get", "delete", "list"])
def test_who_may_not_ask_learns_nothing_of_what_is_there(account: Account, kind: Kind, call: str) -> None:
    calls = Calls(account, kind, "nobody")
    with pytest.raises(AccessDenied, match=f"{kind}/nobody because no identity-based policy"):
        getattr(calls, call)(account.who())
    with pytest.raises(NotFound, match=f"The {kind} with name nobody cannot be found."):
        getattr(calls, call)(account.root)


@every_kind
def test_other_accounts_entities_are_not_there(account: Account, kind: Kind) -> None:
    account.make(kind, "thing")
    with pytest.raises(NotFound):
        Calls(account, kind).put(account.foreign_root)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_the_boundary_and_the_tags_decide(account: Account, kind: Kind) -> None:
    """The delegation that AWS recommends: policies for those alone who are bounded."""
    limit = arn("policy", "limit")
    bounded = account.make(kind, "bounded", boundary=limit, tags={"Team": "blue"})
    free = account.make(kind, "free", tags={"Team": "blue"})
    action = f"iam:Put{kind.capitalize()}Policy"
    delegate = account.who(allow(action, Condition={"StringEquals": {"iam:PermissionsBoundary": limit}}))
    Calls(account, kind, bounded.name).put(delegate)
    with pytest.raises(AccessDenied):
        Calls(account, kind, free.name).put(delegate)
    for key in ("aws:ResourceTag/Team", "iam:ResourceTag/Team"):
        Calls(account, kind, free.name).put(account.who(allow(action, Condition={"StringEquals": {key: "blue"}})))
        with pytest.raises(AccessDenied):
            Calls(account, kind, free.name).put(account.who(allow(action, Condition={"StringEquals": {key: "red"}})))


@every_kind
def test_what_the_configuration_declares_is_changed_there(account: Account, kind: Kind) -> None:
    account.make(kind, "thing", allow("sts:*"), declared=True)
    calls = Calls(account, kind)
    with pytest.raises(Unmodifiable, match=r"accredit\.toml"):
        calls.put(account.root)
    with pytest.raises(Unmodifiable, match=r"accredit\.toml"):
        calls.delete(account.root, "made")
    assert list(calls.list(account.root).policy_names) == ["made"]


def test_the_next_decision_knows_the_policy(account: Account) -> None:
    user = account.make("user", "thing")
    calls = Calls(account, "user")
    with pytest.raises(AccessDenied):
        calls.list(account.calling(user))
    calls.put(account.root, document=policy(allow("iam:ListUserPolicies", f"arn:aws:iam::{ACCOUNT}:user/thing")))
    assert list(calls.list(account.calling(user)).policy_names) == ["own"]
    calls.delete(account.root)
    with pytest.raises(AccessDenied):
        calls.list(account.calling(user))

"""The trace of a decision, its JSON, and the limits of the work."""

from __future__ import annotations

import json
import time

import pytest
from test_policy_vectors import ACCOUNT, BOB, FEDERATED

from broker.policy import nearest
from broker.policy.closeness import closeness, nearest_first
from broker.policy.compile import compile_policy
from broker.policy.conditions import OPERATORS
from broker.policy.decision import PolicyType
from broker.policy.document import PolicyKind
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.explain import explain
from broker.policy.failures import failures
from broker.policy.miss import MissKind

POLICY = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*",
     "Condition": {"StringEquals": {"aws:PrincipalTag/team": ["blue", "red"]},
       "Bool": {"aws:SecureTransport": "true"}}},
      {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}
  ]
}"""
TEAM = {"aws:PrincipalTag/Team": ("green",), "aws:SourceIp": ("10.0.0.1",)}


def source(text, kind=PolicyKind.IDENTITY, name="policy"):
    return PolicySource(name, compile_policy(text if isinstance(text, str) else json.dumps(text), kind))


def statements(*listed):
    return {"Version": "2012-10-17", "Statement": list(listed)}


def ask(action="s3:GetObject", resource="arn:aws:s3:::b/k", context=TEAM, principal=BOB):
    return AccessRequest(principal, action, resource, ACCOUNT, context)


def allow(action="s3:*", resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_every_element_has_its_outcome():
    trace = explain(ask(), PolicySet(identity=(source(POLICY),)))
    (policy,) = trace.policies
    assert (policy.type, policy.source) == (PolicyType.IDENTITY, "policy")
    read, delete = policy.statements
    assert (read.principal, read.action, read.resource, read.applies) == (None, True, True, False)
    assert (delete.principal, delete.action, delete.resource, delete.applies) == (None, False, True, False)
    outcomes = [(one.condition.written, one.condition.key, one.actual, one.held) for one in read.conditions]
    assert outcomes == [
        ("StringEquals", "aws:PrincipalTag/team", ("green",), False),
        ("Bool", "aws:SecureTransport", None, False),
    ]
    assert (read.place, delete.place) == ((4, 5), (7, 7))
    assert (read.failing, delete.failing) == (2, 1)


def test_all_policies_in_scope_are_there():
    policies = PolicySet(
        identity=(source(statements(allow()), name="i1"), source(statements(allow()), name="i2")),
        resource=source(
            statements({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}), PolicyKind.RESOURCE, "r"
        ),
        boundary=source(statements(allow("ec2:*")), PolicyKind.BOUNDARY, "b"),
        session=(source(statements(allow()), PolicyKind.SESSION, "s"),),
    )
    trace = explain(ask(), policies)
    assert [(one.type.name, one.source) for one in trace.policies] == [
        ("RESOURCE", "r"),
        ("IDENTITY", "i1"),
        ("IDENTITY", "i2"),
        ("BOUNDARY", "b"),
        ("SESSION", "s"),
    ]
    assert [one.statements[0].applies for one in trace.policies] == [True, True, True, False, True]
    assert [one.statements[0].principal for one in trace.policies] == [True, None, None, None, None]
    assert trace.decision.explicit_deny


def test_an_evaluation_that_failed_is_told_and_not_repeated():
    trace = explain(ask(context={"a:b": ("1",), "A:B": ("2",)}), PolicySet(identity=(source(POLICY),)))
    assert trace.decision.error is not None
    assert (trace.policies, trace.nearest_miss) == ((), None)
    (failure,) = trace.as_json()["failures"]["items"]
    assert failure["message"] == trace.decision.error


VALUES = tuple(f"a{index}" for index in range(9_000))


def test_a_comparison_that_costs_too_much_is_not_made():
    """The evaluator asks one of three statements; the trace asks the nearer ones first."""
    costly = {"StringLike": {"k:v": "a*"}}
    listed = [
        allow("s3:Put*", Condition=costly),
        *[allow(Condition=costly)] * 3,
        allow(Condition={"Null": {"k:v": "true"}}),
    ]
    trace = explain(ask(context={"k:v": VALUES}), PolicySet(identity=(source(statements(*listed)),)))
    assert trace.decision.allowed
    found = trace.policies[0].statements
    assert [one.conditions[0].held for one in found] == [None, True, True, True, False]
    assert [one.applies for one in found] == [False, True, True, True, False]


def test_the_conditions_of_a_deciding_statement_are_known_to_have_held():
    costly = {"StringLike": {"k:v": "a*"}}
    deny = {**allow(Condition=costly), "Effect": "Deny"}
    trace = explain(
        ask(context={"k:v": VALUES}), PolicySet(identity=(source(statements(*[allow(Condition=costly)] * 3, deny)),))
    )
    assert trace.decision.explicit_deny
    assert [one.conditions[0].held for one in trace.policies[0].statements] == [True, True, None, True]
    assert [one.applies for one in trace.policies[0].statements] == [True, True, False, True]
    assert (trace.nearest_miss.kind, trace.nearest_miss.change) == (MissKind.EXPLICIT_DENY, None)


def test_what_was_not_compared_is_said():
    """Three statements fail early in the evaluation; nothing is left for the nearest when all of them are traced."""
    early = allow(Condition={"StringEquals": {"k:w": "x"}, "StringLike": {"k:v": "a*"}})
    text = statements(early, early, early, allow(Condition={"StringLike": {"k:v": "b*"}}))
    trace = explain(ask(context={"k:v": VALUES, "k:w": ("y",)}), PolicySet(identity=(source(text),)))
    assert trace.decision.error is None
    assert [one.conditions[-1].held for one in trace.policies[0].statements] == [True, True, None, None]
    miss = trace.nearest_miss
    assert (miss.change, miss.sufficient, miss.then) == (None, False, None)
    last = trace.policies[0].statements[3]
    (failure,) = failures(last, trace.request, trace.context)
    assert failure.clause() == "`k:v` was not compared: that would take too long"


def test_json_has_the_outer_shape_of_aws():
    message = explain(ask(), PolicySet(identity=(source(POLICY),))).as_json()
    assert list(message) == [
        "allowed",
        "explicitDeny",
        "matchedStatements",
        "failures",
        "context",
        "reason",
        "nearestMiss",
        "trace",
        "truncated",
    ]
    assert (message["allowed"], message["explicitDeny"], message["truncated"]) == (False, False, False)
    assert message["matchedStatements"] == message["failures"] == {"items": []}
    assert message["context"] == {
        "principal": {"id": BOB.unique_id, "name": "bob", "arn": BOB.arn},
        "action": "s3:GetObject",
        "resource": "arn:aws:s3:::b/k",
        "conditions": {
            "items": [
                {"key": "aws:principaltag/team", "values": {"items": [{"value": "green"}]}},
                {"key": "aws:sourceip", "values": {"items": [{"value": "10.0.0.1"}]}},
            ]
        },
    }
    assert message["nearestMiss"]["kind"] == "several"
    assert (message["nearestMiss"]["line"], message["nearestMiss"]["column"]) == (4, 5)
    assert [(one["index"], one["line"], one["column"]) for one in message["trace"]] == [(0, 4, 5), (1, 7, 7)]
    assert message["trace"][0]["conditions"][0] == {
        "operator": "StringEquals",
        "key": "aws:PrincipalTag/team",
        "expected": ["blue", "red"],
        "actual": ["green"],
        "held": False,
    }


def test_json_names_the_matched_statement_of_a_deny():
    message = explain(ask("s3:DeleteObject"), PolicySet(identity=(source(POLICY),))).as_json()
    (matched,) = message["matchedStatements"]["items"]
    assert message["explicitDeny"] is True
    assert matched == {
        "statementId": "",
        "effect": "DENY",
        "principals": {"items": []},
        "actions": {"items": [{"value": "s3:Delete*"}]},
        "resources": {"items": [{"value": "*"}]},
        "conditions": {"items": []},
    }
    assert message["trace"][0]["index"] == 1


def test_json_keeps_the_deciding_part_and_drops_the_rest():
    many = [allow("s3:Put*", f"arn:aws:s3:::bucket-{index}/*", Sid=f"S{index}") for index in range(300)]
    deny = {"Sid": "No", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Null": {"k:v": "true"}}}
    context = {f"k:{index}": ("\U0001f600" * 2_000,) * 500 for index in range(50)}
    trace = explain(ask(context=context), PolicySet(identity=(source(statements(*many, deny)),)))
    whole = trace.as_json(10_000_000)
    assert len(whole["trace"]) == 301
    for limit in (2_000, 3_000, 7_000, 60_000):
        message = trace.as_json(limit)
        assert len(json.dumps(message, separators=(",", ":"))) <= limit
        assert message["truncated"] is True
        assert message["trace"][0]["statementId"] == "No"
        assert message["nearestMiss"]["kind"] == "explicit-deny"
    assert 1 < len(trace.as_json(7_000)["trace"]) < 301


def test_json_keeps_the_nearest_miss_beside_the_rest():
    near = allow("s3:Get*", Sid="Near", Condition={"StringEquals": {"aws:PrincipalTag/team": "Green"}})
    far = [allow("ec2:*", Sid=f"Far{index}") for index in range(200)]
    trace = explain(ask(), PolicySet(identity=(source(statements(*far, near)),)))
    message = trace.as_json(2_000)
    assert message["trace"][0]["statementId"] == "Near"
    assert message["nearestMiss"]["sentence"] == trace.nearest_miss.sentence()
    assert message["nearestMiss"]["index"] == 200


def test_no_miss_where_nothing_was_denied():
    assert explain(ask(), PolicySet(identity=(source(statements(allow())),))).nearest_miss is None


@pytest.mark.parametrize(
    "listed",
    [[], [allow("ec2:*")], [allow("s3:*", "arn:aws:ec2:::*")], [allow("ec2:*", "arn:aws:ec2:::*")]],
    ids=["no-statement", "other-service", "other-kind-of-resource", "neither"],
)
def test_nothing_close(listed):
    identity = (source(statements(*listed)),) if listed else ()
    trace = explain(ask(), PolicySet(identity=identity))
    assert not trace.decision.allowed
    assert trace.nearest_miss is None


def test_a_change_that_another_statement_denies_is_not_shown():
    wants = allow(Condition={"StringEquals": {"k:v": "x"}})
    deny = {**allow(), "Effect": "Deny", "Condition": {"StringEquals": {"k:v": "x"}}}
    request, policies = ask(context={"k:v": ("y",)}), PolicySet(identity=(source(statements(wants, deny)),))
    miss = explain(request, policies).nearest_miss
    assert (miss.kind, miss.change) == (MissKind.CONDITION_VALUE, None)


def test_a_statement_whose_change_allows_is_preferred():
    """The closer text would be denied, so the other statement is the nearest miss."""
    near = allow(Condition={"StringEquals": {"k:v": "yz"}})
    far = allow(Condition={"StringEquals": {"k:v": "other"}})
    deny = {**allow(), "Effect": "Deny", "Condition": {"StringEquals": {"k:v": "yz"}}}
    policies = PolicySet(identity=(source(statements(near, far, deny)),))
    miss = explain(ask(context={"k:v": ("y",)}), policies).nearest_miss
    assert miss.failures[0].wanted == ("other",)
    assert miss.sufficient
    assert evaluate(miss.change, policies).allowed


def test_session_without_policy_of_a_federated_user():
    policies = PolicySet(identity=(source(statements(allow())),), federated_by=BOB)
    miss = explain(ask(principal=FEDERATED), policies).nearest_miss
    assert miss.kind is MissKind.NO_SESSION_POLICY
    passed = PolicySet(identity=policies.identity, federated_by=BOB, session=(source(statements(allow())),))
    assert evaluate(ask(principal=FEDERATED), passed).allowed


@pytest.mark.parametrize(("left", "right"), [("", "a"), ("abc", "xyz"), ("a" * 5_000, "b" * 5_000)])
def test_texts_that_have_nothing_in_common(left, right):
    assert closeness(left, right) == 0


def test_closeness_orders_as_people_do():
    sub = "repo:octo/app:ref:refs/heads/main"
    others = ["repo:octo/app:ref:refs/heads/Main", "repo:octo/app:ref:refs/heads/maint", "repo:octo/site:*", "x"]
    found = [closeness(sub, other) for other in others]
    assert found == sorted(found, reverse=True)
    assert closeness(sub, sub) == 1
    assert nearest_first(sub, (*others[::-1],))[0] == others[0]


def _filled(statement, size=10_240):
    """As many statements as fit into a document of ``size`` bytes."""
    listed = []
    while len(json.dumps(statements(*listed, statement(len(listed))), separators=(",", ":"))) <= size:
        listed.append(statement(len(listed)))
    return json.dumps(statements(*listed), separators=(",", ":"))


MANY = tuple(f"value-{index}" for index in range(10_000))
NASTY = {
    "statements": (lambda _: allow("s3:x*"), {"k:v": MANY}),
    "resources": (lambda index: allow("s3:GetObject", f"arn:aws:s3:::b{index}"), {}),
    "wildcards": (lambda _: allow("s3:GetObject", "arn:aws:s3:::" + "*b?" * 1_000), {}),
    "conditions": (lambda _: allow(Condition={"StringEquals": {f"k:{n}": "v" for n in range(20)}}), {}),
    "values": (lambda _: allow(Condition={"StringLike": {"k:v": [f"*{n}?" for n in range(900)]}}), {"k:v": MANY[:20]}),
    "set": (lambda _: allow("s3:x", Condition={"ForAllValues:StringLike": {"k:v": "*v*?"}}), {"k:v": MANY}),
    "operators": (
        lambda _: allow(Condition={f"{set_}{name}": {"k:v": "v"} for name in OPERATORS for set_ in ("", "ForAllValues:")
                                   if name.startswith("String")}),
        {"k:v": MANY},
    ),
    "keys": (lambda n: allow(Condition={"StringEquals": {f"k:{n}": "v"}}), {f"a:{n}": ("v",) for n in range(10_000)}),
    "long values": (
        lambda _: allow(Condition={"StringEquals": {"k:v": ["x" * 4_000, "y" * 4_000]}}),
        {"k:v": tuple("x" * 900 + value for value in MANY)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_the_work_is_bounded(name, monkeypatch):
    """Three full documents: at most five evaluations, and beside them 50 ms of processor time (four times, for CI)."""
    statement, context = NASTY[name]
    text = _filled(statement)
    policies = PolicySet(
        identity=(source(text),),
        boundary=source(text, PolicyKind.BOUNDARY),
        session=(source(text, PolicyKind.SESSION),),
    )
    request = ask(context=context, resource="arn:aws:s3:::" + "b/" * 500)
    evaluations = []
    monkeypatch.setattr(nearest, "evaluate", lambda *args: evaluations.append(args) or evaluate(*args))
    begin = time.process_time()
    evaluate(request, policies)
    alone = time.process_time() - begin
    begin = time.process_time()
    trace = explain(request, policies)
    trace.as_json()
    spent = time.process_time() - begin
    assert len(evaluations) <= 4
    assert spent - alone * (len(evaluations) + 1) < 0.2

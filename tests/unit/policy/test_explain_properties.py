"""An explanation never disagrees with the evaluator, and what it says would allow does allow."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_policy_properties import ACCOUNT, USER, documents, requests, source

from broker.policy.compile import compile_policy
from broker.policy.context import Context
from broker.policy.document import Effect, PolicyKind
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.explain import explain
from broker.policy.miss import MissKind
from broker.policy.trace import sources

policy_sets = st.builds(
    lambda identity, resource, trust, boundary, session: PolicySet(
        identity=tuple(map(source, identity)),
        resource=source(resource, PolicyKind.RESOURCE) if resource else None,
        resource_is_trust=trust,
        boundary=source(boundary) if boundary else None,
        session=None if session is None else tuple(map(source, session)),
    ),
    st.lists(documents(max_size=3), max_size=2),
    st.none() | documents(principal=True),
    st.booleans(),
    st.none() | documents(max_size=2),
    st.none() | st.lists(documents(max_size=2), max_size=2),
)


@given(requests(), policy_sets)
def test_the_trace_is_the_evaluator(request_, policies):
    trace = explain(request_, policies)
    assert trace.decision == evaluate(request_, policies)
    context = Context(request_.context).folded
    scope = list(sources(policies))
    assert [(policy.type, policy.source) for policy in trace.policies] == [(kind, one.name) for kind, one in scope]
    for traced, (_, one) in zip(trace.policies, scope, strict=True):
        for found, compiled in zip(traced.statements, one.policy.statements, strict=True):
            assert found.statement is compiled.statement
            applies = compiled.applies(request_.action.lower(), request_.resource, context)
            if compiled.statement.principals is not None:
                allow = compiled.statement.effect is Effect.ALLOW
                asked = (request_.principal, policies.federated_by)
                applies = applies and bool(compiled.grant(*asked) if allow else compiled.binds(*asked))
            assert found.applies is applies
            if found.statement is trace.decision.statement:
                assert found.applies


@given(requests(), policy_sets)
def test_what_the_miss_says_is_so(request_, policies):
    """A change is never shown that would not allow, and ``sufficient`` of a condition means one key's values."""
    trace = explain(request_, policies)
    miss = trace.nearest_miss
    if trace.decision.allowed:
        assert miss is None
        return
    if miss is None:
        return
    sentence = miss.sentence()
    assert sentence
    assert sentence.isprintable()
    if miss.then is not None:
        assert not miss.then.allowed
        assert miss.change is None
    if miss.change is not None:
        assert evaluate(miss.change, policies).allowed
        before, after = Context(request_.context).folded, dict(miss.change.context)
        assert miss.change == replace(request_, context=miss.change.context)
        assert {key for key in before | after if before.get(key) != after.get(key)} == {
            miss.failures[0].element.lower()
        }


KEY = "idp.example:claim"
VALUES = {
    "StringEquals": ["one", "One", "two words", "é"],
    "StringEqualsIgnoreCase": ["one", "two"],
    "NumericEquals": ["1", "2.5"],
    "NumericLessThanEquals": ["10", "-3"],
    "DateGreaterThanEquals": ["2026-01-01T00:00:00Z"],
    "Bool": ["true", "false"],
    "BinaryEquals": ["YQ=="],
    "ArnEquals": ["arn:aws:iam::111122223333:role/x"],
    "IpAddress": ["10.1.2.3", "::1"],
}
given_values = st.none() | st.sampled_from([value for values in VALUES.values() for value in values] + ["ONE", "no"])


@st.composite
def one_condition(draw):
    operator = draw(st.sampled_from(list(VALUES)))
    return operator, draw(st.lists(st.sampled_from(VALUES[operator]), min_size=1, max_size=2, unique=True))


@given(one_condition(), given_values, st.sampled_from(["", "ForAnyValue:"]))
def test_a_key_set_to_what_the_policy_wants_is_allowed(condition, value, prefix):
    """The mechanical misses: the sentence's own key and wanted value, applied by hand, allow."""
    operator, wanted = condition
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {prefix + operator: {KEY: wanted}}}
    policies = PolicySet(identity=(source({"Version": "2012-10-17", "Statement": statement}),))
    context = {} if value is None else {KEY: (value,)}
    request = AccessRequest(USER, "s3:a", "arn:aws:s3:::b", ACCOUNT, context)
    trace = explain(request, policies)
    miss = trace.nearest_miss
    if trace.decision.allowed:
        assert miss is None
        return
    assert miss is not None
    assert miss.kind is MissKind.KEY_MISSING if value is None else miss.kind is not MissKind.KEY_MISSING
    assert miss.sufficient
    assert miss.change is not None
    (failure,) = miss.failures
    assert set(failure.wanted) == set(wanted)
    for one in failure.wanted:
        assert evaluate(replace(request, context={failure.element: (one,)}), policies).allowed
        assert one[:50] in miss.sentence() or one != failure.wanted[0]


@given(st.text(max_size=300), st.text(min_size=1, max_size=300))
def test_a_sentence_is_one_line_whatever_the_values_hold(value, wanted):
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {KEY: [wanted]}}}
    text = json.dumps({"Version": "2008-10-17", "Statement": statement})
    policies = PolicySet(identity=(PolicySource("p`\n\x1b[31m", compile_policy(text, PolicyKind.IDENTITY)),))
    request = AccessRequest(USER, "s3:a", "arn:aws:s3:::b", ACCOUNT, {KEY: (value,)})
    miss = explain(request, policies).nearest_miss
    if value == wanted:
        assert miss is None
        return
    sentence = miss.sentence()
    assert sentence.isprintable()
    assert sentence.count("`") == 2 * len([KEY, value, wanted])
    assert len(sentence) < 450


documented = st.integers(2_000, 20_000)


@given(requests(), policy_sets, documented, st.text(max_size=50))
def test_the_json_is_bounded(request_, policies, limit, noise):
    context = {f"k:{index}": (noise * 20,) * 30 for index in range(20)}
    request_ = replace(request_, context={**request_.context, **context})
    message = explain(request_, policies).as_json(limit)
    assert len(json.dumps(message, separators=(",", ":"))) <= limit
    assert message["allowed"] is evaluate(request_, policies).allowed


def test_a_fixed_moment_is_not_read_from_a_clock():
    """Two explanations of one request are equal: nothing but the arguments is looked at."""
    text = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
    policies = PolicySet(boundary=PolicySource("b", compile_policy(text, PolicyKind.BOUNDARY)))
    now = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    request = AccessRequest(USER, "s3:a", "arn:aws:s3:::b", ACCOUNT, {"aws:CurrentTime": (now,)})
    assert explain(request, policies) == explain(request, policies)

"""Properties of the evaluator over generated policies; the naive evaluator is the second opinion."""

from __future__ import annotations

import json

import naive
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.principal import Principal, PrincipalKind
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate

ACCOUNT, FOREIGN = "111122223333", "444455556666"
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/bob", "AIDAEXAMPLEEXAMPLE01")
SESSION = Principal(
    PrincipalKind.ROLE_SESSION,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/R/s",
    "AROAEXAMPLEEXAMPLE01:s",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/R",
    role_id="AROAEXAMPLEEXAMPLE01",
)
NAMES = ("*", ACCOUNT, FOREIGN, USER.arn, USER.unique_id, SESSION.arn, SESSION.role_arn, SESSION.role_id)

words = st.text("ab*?/", max_size=5)
literals = st.text("ab/*", min_size=1, max_size=5)
actions = st.one_of(
    st.just("*"),
    st.builds("{}:{}".format, st.sampled_from(["s3", "S3", "sts"]), st.text("aB*?", min_size=1, max_size=3)),
)
variables = st.sampled_from(
    ["${k:one}", "${K:One}", "${k:none}", "${k:many}", "${k:none, 'a'}", "${*}", "${?}", "${$}"]
)
templates = st.lists(st.one_of(words, variables), min_size=1, max_size=3).map("".join)
resources = st.one_of(st.just("*"), st.builds("arn:aws:s3:::{}".format, templates), st.just("arn:*:s3:*:*:*a"))
CONDITIONS = {
    "StringEquals": templates,
    "StringNotEquals": templates,
    "StringLike": templates,
    "StringNotLike": templates,
    "NumericEquals": st.sampled_from(["1", "1.0", "1e0", "2"]),
    "NumericNotEquals": st.sampled_from(["1", "2"]),
    "NumericLessThan": st.sampled_from(["1", "1.5", "-3"]),
    "NumericGreaterThanEquals": st.sampled_from(["1", "1.5", "-3"]),
    "DateLessThan": st.sampled_from(["2026-01-01", "2026-01-01T00:00:00+01:00", "1767225600"]),
    "Bool": st.sampled_from(["true", "False", True]),
    "BinaryEquals": st.sampled_from(["YQ==", "YWE="]),
    "IpAddress": st.sampled_from(["10.0.0.0/8", "10.0.0.1", "::/0", "::ffff:10.0.0.0/120"]),
    "NotIpAddress": st.sampled_from(["10.0.0.0/8", "::1"]),
    "ArnLike": st.builds("arn:aws:iam::{}:{}".format, templates, templates),
    "ArnNotEquals": st.builds("arn:aws:iam::{}:{}".format, templates, templates),
}
KEYS = ("k:one", "k:many", "k:none", "k:typed", "k:empty")


@st.composite
def conditions(draw):
    name = draw(st.sampled_from([*CONDITIONS, "Null"]))
    if name == "Null":
        values = st.sampled_from(["true", "false"])
    else:
        values = CONDITIONS[name]
        prefix = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]))
        name = prefix + name + draw(st.sampled_from(["", "", "IfExists"]))
    return {name: {draw(st.sampled_from(KEYS)): draw(st.lists(values, min_size=1, max_size=3))}}


@st.composite
def statements(draw, effect=None, principal=False):
    statement = {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(st.lists(actions, min_size=1, max_size=3)),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(
            st.lists(resources, min_size=1, max_size=3)
        ),
        "Condition": draw(st.one_of(st.just({}), conditions())),
    }
    if principal:
        statement["Principal"] = {"AWS": draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2))}
    return statement


@st.composite
def documents(draw, *, principal=False, max_size=4):
    version = draw(st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]))
    listed = draw(st.lists(statements(principal=principal), min_size=1, max_size=max_size))
    return {"Version": version, "Statement": listed}


@st.composite
def requests(draw):
    typed = ["1", "1.0", "1.2", "x", "true", "10.0.0.1", "11.0.0.1", "::1", "2026-01-02", "YQ==", "arn:aws:iam::a:a/b"]
    context = {
        "k:one": (draw(literals),),
        "K:Many": tuple(draw(st.lists(literals, min_size=2, max_size=3))),
        "k:typed": tuple(draw(st.lists(st.sampled_from(typed), min_size=1, max_size=2))),
        "k:empty": draw(st.sampled_from([(), ("",)])),
    }
    return AccessRequest(
        draw(st.sampled_from([USER, SESSION])),
        draw(st.sampled_from(["s3:a", "s3:AB", "sts:b", "S3:a"])),
        f"arn:aws:s3:::{draw(literals)}",
        draw(st.sampled_from([ACCOUNT, ACCOUNT, FOREIGN])),
        context,
    )


def source(document, kind=PolicyKind.IDENTITY):
    return PolicySource("policy", compile_policy(json.dumps(document), kind))


def outcome(request, **policies):
    decision = evaluate(request, PolicySet(**policies))
    assert decision.error is None, decision.error
    return "deny" if decision.explicit_deny else "allow" if decision.allowed else "implicit"


@given(requests(), st.lists(documents(), max_size=2))
def test_identity_policies_equal_the_naive_evaluator(request_, identity):
    expected = naive.decide(request_, identity=[json.dumps(document) for document in identity])
    if request_.resource_account == ACCOUNT:
        assert outcome(request_, identity=tuple(map(source, identity))) == expected


@given(
    requests(),
    st.lists(documents(max_size=2), max_size=2),
    st.none() | documents(principal=True),
    st.booleans(),
    st.none() | documents(max_size=2),
    st.none() | st.lists(documents(max_size=2), max_size=2),
)
def test_all_policy_types_equal_the_naive_evaluator(request_, identity, resource, trust, boundary, session):
    expected = naive.decide(
        request_,
        identity=[json.dumps(document) for document in identity],
        resource=resource and json.dumps(resource),
        trust=trust,
        boundary=boundary and json.dumps(boundary),
        session=None if session is None else [json.dumps(document) for document in session],
    )
    found = outcome(
        request_,
        identity=tuple(map(source, identity)),
        resource=source(resource, PolicyKind.RESOURCE) if resource else None,
        resource_is_trust=trust,
        boundary=source(boundary) if boundary else None,
        session=None if session is None else tuple(map(source, session)),
    )
    assert found == expected


@given(requests(), documents(), statements(effect="Deny"), st.integers(0, 4))
def test_adding_a_deny_never_allows(request_, document, denial, position):
    before = outcome(request_, identity=(source(document),))
    listed = document["Statement"]
    more = {**document, "Statement": [*listed[:position], denial, *listed[position:]]}
    after = outcome(request_, identity=(source(more),))
    assert after == before or after == "deny"


@given(requests(), documents(), documents())
def test_a_session_policy_never_widens(request_, document, session):
    identity = (source(document),)
    if outcome(request_, identity=identity, session=(source(session),)) == "allow":
        assert outcome(request_, identity=identity) == "allow"


@given(requests(), documents(), documents())
def test_a_boundary_never_widens(request_, document, boundary):
    identity = (source(document),)
    if outcome(request_, identity=identity, boundary=source(boundary)) == "allow":
        assert outcome(request_, identity=identity) == "allow"


@given(requests(), documents(), st.randoms(use_true_random=False))
def test_statement_order_never_matters(request_, document, random):
    shuffled = {**document, "Statement": random.sample(document["Statement"], len(document["Statement"]))}
    assert outcome(request_, identity=(source(shuffled),)) == outcome(request_, identity=(source(document),))


@given(requests(), documents())
def test_splitting_a_policy_never_matters(request_, document):
    parts = tuple(source({**document, "Statement": statement}) for statement in document["Statement"])
    assert outcome(request_, identity=parts) == outcome(request_, identity=(source(document),))


@given(st.text("ab*?${}:'", min_size=1, max_size=12), st.text("ab*?${}:'", min_size=1, max_size=12))
def test_a_variable_matches_its_own_value_and_nothing_else(value, resource):
    """STS-05: whatever a tag or a session name holds, it is literal text."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${aws:PrincipalTag/x}"}
    like = {
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringLike": {"k:v": "${aws:PrincipalTag/x}"}},
    }
    context = {"aws:PrincipalTag/x": (value,), "aws:username": ("a",), "k:v": (resource,)}
    request_ = AccessRequest(USER, "s3:a", f"arn:aws:s3:::{resource}", ACCOUNT, context)
    for one in (statement, like):
        document = {"Version": "2012-10-17", "Statement": one}
        assert (outcome(request_, identity=(source(document),)) == "allow") is (value == resource)

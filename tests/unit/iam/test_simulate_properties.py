"""Whatever is asked, the simulator answers or refuses; and it says what the evaluator says."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_account import ACCOUNT, PROVIDER, allow, arn, deny, entry, policy, trust

from broker.domain.principal import Principal, PrincipalKind
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import BrokerError
from broker.iam.context_entries import parse_context
from broker.iam.simulate import simulate_custom_policy
from broker.iam.simulate_trust import simulate_trust_policy
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.services import Caller, Services
from providers.errors import ProviderError

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
actions = st.sampled_from(["s3:GetObject", "s3:PutObject", "S3:GETOBJECT", "sqs:SendMessage"])
resources = st.sampled_from(["*", "arn:aws:s3:::a", "arn:aws:s3:::b/c", f"arn:aws:sqs:x:{ACCOUNT}:q"])
keys = st.sampled_from(["aws:Alpha", "aws:Beta"])
conditions = st.one_of(
    st.just({}),
    st.builds(
        lambda operator, key, value: {"Condition": {operator: {key: value}}},
        st.sampled_from(["StringEquals", "StringNotLike", "StringLikeIfExists", "ForAllValues:StringEquals"]),
        keys,
        st.sampled_from(["x", "x*", "${aws:Beta}", "${aws:Beta, 'x'}"]),
    ),
)
statements = st.builds(
    lambda make, action, resource, more: make(action, resource, **more),
    st.sampled_from([allow, deny]),
    st.sampled_from(["*", "s3:*", "s3:Get*", "sqs:SendMessage"]),
    st.sampled_from(["*", "arn:aws:s3:::*", "arn:aws:s3:::${aws:Alpha}"]),
    conditions,
)
documents = st.lists(statements, min_size=1, max_size=3).map(lambda found: policy(*found))
entries = st.dictionaries(keys, st.sampled_from(["x", "xy", "*", "a", ""]), max_size=2).map(
    lambda found: [entry(key, "string", value) for key, value in found.items()]
)


@quick
@given(st.lists(documents, max_size=3), st.lists(documents, max_size=1), actions, resources, entries)
def test_the_decision_is_the_evaluators(
    services: Services, asking: Caller, identity: list[str], boundary: list[str], action: str, resource: str, given: Any
) -> None:
    (result,) = simulate_custom_policy(
        services,
        asking,
        policy_input_list=identity,
        permissions_boundary_policy_input_list=boundary,
        action_names=[action],
        resource_arns=[resource],
        context_entries=given,
    ).evaluation_results
    limit = [PolicySource("boundary", compile_policy(text, PolicyKind.BOUNDARY)) for text in boundary]
    policies = PolicySet(
        identity=tuple(PolicySource("policy", compile_policy(text, PolicyKind.IDENTITY)) for text in identity),
        boundary=limit[0] if limit else None,
    )
    somebody = Principal(PrincipalKind.USER, ACCOUNT, arn("user", "x"), "", user_name="x")
    decision = evaluate(AccessRequest(somebody, action, resource, ACCOUNT, parse_context(given)), policies)
    assert (result.eval_decision == "allowed") is decision.allowed
    assert (result.eval_decision == "explicitDeny") is decision.explicit_deny
    assert bool(result.matched_statements) is (decision.allowed or decision.explicit_deny)


@quick
@given(
    st.dictionaries(
        st.sampled_from(["resource_policy", "resource_owner", "caller_arn", "marker"]), texts | st.just(PROVIDER)
    ),
    st.lists(texts | documents, max_size=2),
    st.lists(texts | actions, max_size=2),
    st.lists(texts | resources, max_size=2),
    st.lists(st.builds(entry, texts, st.sampled_from(["string", "ip", "dateList"]), texts), max_size=2),
)
def test_any_input_is_answered_or_refused(
    services: Services, asking: Caller, more: Any, policies: list[str], names: list[str], arns: list[str], given: Any
) -> None:
    with contextlib.suppress(BrokerError):
        simulate_custom_policy(
            services,
            asking,
            policy_input_list=policies,
            action_names=names,
            resource_arns=arns,
            context_entries=given,
            **more,
        )


@quick
@given(
    st.sampled_from([arn("role", "ci"), arn("role", "team/app"), None]) | texts,
    st.just(policy(trust({"Federated": PROVIDER}, "sts:*"))) | texts | st.none(),
    st.dictionaries(
        st.sampled_from(["principal_arn", "provider_arn", "account_id", "external_id", "source_identity"]),
        texts | st.just(PROVIDER) | st.just(arn("user", "bob")),
    ),
    st.none() | st.lists(st.builds(lambda key, value: SimpleNamespace(key=key, values=[value]), texts, texts)),
    st.none() | texts.map(Secret),
    st.lists(st.builds(Tag, texts, texts), max_size=2),
)
def test_any_question_about_trust_is_answered_or_refused(
    services: Services, asking: Caller, role: Any, document: Any, more: Any, claims: Any, token: Any, tags: Any
) -> None:
    with contextlib.suppress(BrokerError, ProviderError):
        answer = simulate_trust_policy(
            services,
            asking,
            role_arn=role,
            trust_policy_document=document,
            attributes=claims,
            web_identity_token=token,
            tags=tags,
            **more,
        )
        assert answer.eval_decision in ("allowed", "implicitDeny", "explicitDeny")

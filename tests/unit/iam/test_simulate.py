"""SimulateCustomPolicy and SimulatePrincipalPolicy: AWS's rules, and what they refuse."""

from __future__ import annotations

import time
from typing import Any

import pytest
from simulated_account import ACCOUNT, OTHER, allow, arn, caller, deny, entry, policy

from broker.errors import AccessDenied, BrokerError, MalformedPolicy, NotFound, ValidationFailed
from broker.iam.simulate import (
    MAX_PAIRS,
    EvaluationResult,
    Simulation,
    simulate_custom_policy,
    simulate_principal_policy,
)
from broker.iam.simulated_requests import MAX_MATCHED
from broker.services import Caller, Services

ALICE = arn("user", "alice")
QUEUE = f"arn:aws:sqs:eu-central-1:{OTHER}:queue"
ALL = policy(allow("*"))


def custom(services: Services, asking: Caller, *documents: str, **fields: Any) -> Simulation:
    fields.setdefault("action_names", ["s3:GetObject"])
    return simulate_custom_policy(services, asking, policy_input_list=documents, **fields)


def one(simulation: Simulation) -> EvaluationResult:
    assert len(simulation.evaluation_results) == 1
    return simulation.evaluation_results[0]


def to(principal: object, *statements: dict[str, Any]) -> str:
    """A resource-based policy for one principal."""
    return policy(*({**statement, "Principal": principal} for statement in statements))


def places(result: EvaluationResult) -> list[tuple[str, int, int, int, int]]:
    return [
        (
            found.source_policy_id,
            found.start_position.line,
            found.start_position.column,
            found.end_position.line,
            found.end_position.column,
        )
        for found in result.matched_statements
    ]


# --- decisions and statements ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("documents", "decision", "matched"),
    [
        ([], "implicitDeny", []),
        ([policy(allow("s3:PutObject"))], "implicitDeny", []),
        ([policy(allow("s3:GetObject", "arn:aws:s3:::b"))], "implicitDeny", []),
        ([policy(allow("S3:getobject"))], "allowed", ["PolicyInputList.1"]),
        ([ALL, policy(allow("s3:Get*"))], "allowed", ["PolicyInputList.1", "PolicyInputList.2"]),
        ([ALL, policy(deny("s3:*"))], "explicitDeny", ["PolicyInputList.2"]),
        ([policy(deny("s3:*"), allow("*"), deny("s3:Get*"))], "explicitDeny", ["PolicyInputList.1"] * 2),
        ([ALL, policy(deny("s3:*", Condition={"Bool": {"aws:X": "true"}}))], "allowed", ["PolicyInputList.1"]),
        ([ALL, policy(deny("s3:*", Condition={"Null": {"aws:X": "true"}}))], "explicitDeny", ["PolicyInputList.2"]),
    ],
)
def test_decision_and_its_statements(
    services: Services, asking: Caller, documents: list[str], decision: str, matched: list[str]
) -> None:
    result = one(custom(services, asking, *documents))
    assert (result.eval_decision, [found.source_policy_id for found in result.matched_statements]) == (
        decision,
        matched,
    )
    assert {found.source_policy_type for found in result.matched_statements} <= {"none"}
    assert (result.eval_resource_name, result.resource_specific_results, result.eval_decision_details) == (
        "*",
        None,
        None,
    )


def test_line_and_column_are_those_of_the_braces(services: Services, asking: Caller) -> None:
    document = (
        '{\n "Version": "2012-10-17",\n "Statement": [\n  {"Effect": "Allow",\n   "Action": "s3:*", "Resource": "*"}]}'
    )
    assert places(one(custom(services, asking, document))) == [("PolicyInputList.1", 4, 3, 5, 37)]


def test_a_result_for_each_action_and_within_it_for_each_resource(services: Services, asking: Caller) -> None:
    document = policy(allow("s3:*", "arn:aws:s3:::a"), deny("s3:Put*", "arn:aws:s3:::b"))
    fields: dict[str, Any] = {
        "action_names": ["s3:GetObject", "s3:PutObject"],
        "resource_arns": ["arn:aws:s3:::a", "arn:aws:s3:::b"],
    }
    get, put = custom(services, asking, document, **fields).evaluation_results
    assert (get.eval_action_name, get.eval_resource_name, get.eval_decision) == ("s3:GetObject", "*", "implicitDeny")
    assert get.matched_statements == ()  # those that allow the other resource decided nothing
    assert put.eval_decision == "explicitDeny"
    assert put.resource_specific_results is not None
    assert [(each.eval_resource_name, each.eval_resource_decision) for each in put.resource_specific_results] == [
        ("arn:aws:s3:::a", "allowed"),
        ("arn:aws:s3:::b", "explicitDeny"),
    ]
    assert put.matched_statements == put.resource_specific_results[1].matched_statements
    assert put.eval_decision_details == {}


def test_one_resource_names_the_result(services: Services, asking: Caller) -> None:
    result = one(custom(services, asking, ALL, resource_arns=["arn:aws:s3:::a"]))
    assert result.eval_resource_name == "arn:aws:s3:::a"
    assert result.resource_specific_results is not None


def test_a_result_lists_so_many_statements(services: Services, asking: Caller) -> None:
    document = policy(*[allow("s3:*")] * (MAX_MATCHED + 1))
    assert len(one(custom(services, asking, document)).matched_statements) == MAX_MATCHED


# --- missing context ------------------------------------------------------------------------------------------------


CONDITIONED = policy(
    allow("s3:Get*", Condition={"StringEquals": {"aws:Beta": "${aws:Gamma}", "AWS:Alpha": "x"}}),
    allow("s3:Get*", "arn:aws:s3:::${saml:sub, 'nobody'}/${*}"),
    allow("s3:Put*", Condition={"Null": {"aws:Unrelated": "true"}}),
    deny("s3:Get*", "arn:aws:s3:::other", Condition={"Bool": {"aws:Elsewhere": "true"}}),
)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], ("AWS:Alpha", "aws:Beta", "aws:Gamma", "saml:sub")),
        ([entry("AWS:BETA", "string", "b")], ("AWS:Alpha", "aws:Gamma", "saml:sub")),
        ([entry(f"aws:{name}", "string", "x") for name in ("alpha", "beta", "gamma")], ("saml:sub",)),
        ([entry("aws:alpha", "stringList")], ("aws:Beta", "aws:Gamma", "saml:sub")),
    ],
)
def test_missing_context_is_what_statements_in_scope_ask_for(
    services: Services, asking: Caller, given: list[Any], missing: tuple[str, ...]
) -> None:
    result = one(custom(services, asking, CONDITIONED, resource_arns=["arn:aws:s3:::a/b"], context_entries=given))
    assert result.missing_context_values == missing
    assert result.resource_specific_results is not None
    assert result.resource_specific_results[0].missing_context_values == missing


def test_a_named_caller_brings_its_own_keys(services: Services, asking: Caller) -> None:
    document = policy(allow("s3:*", "arn:aws:s3:::${aws:username}", Condition={"Null": {"aws:userid": "true"}}))
    fields: dict[str, Any] = {"resource_arns": ["arn:aws:s3:::carol"]}
    nameless = one(custom(services, asking, document, **fields))
    assert (nameless.eval_decision, nameless.missing_context_values) == ("implicitDeny", ("aws:username",))
    named = one(custom(services, asking, document, caller_arn=arn("user", "carol"), **fields))
    assert (named.eval_decision, named.missing_context_values) == ("allowed", ("aws:userid",))
    entries = [entry("AWS:UserName", "string", "dave")]
    other = one(custom(services, asking, document, caller_arn=arn("user", "carol"), context_entries=entries, **fields))
    assert other.eval_decision == "implicitDeny"


@pytest.mark.parametrize(
    ("kind", "value", "operator", "wanted"),
    [
        ("string", "x", "StringEquals", "x"),
        ("stringList", "x", "ForAnyValue:StringEquals", "x"),
        ("numeric", "1e2", "NumericEquals", "100"),
        ("numericList", "3", "ForAnyValue:NumericLessThan", "4"),
        ("boolean", "TRUE", "Bool", "true"),
        ("booleanList", "false", "ForAllValues:Bool", "false"),
        ("ip", "10.1.2.3", "IpAddress", "10.0.0.0/8"),
        ("ipList", "::1", "ForAnyValue:IpAddress", "::/64"),
        ("binary", "QUJD", "BinaryEquals", "QUJD"),
        ("binaryList", "QUJD", "ForAnyValue:BinaryEquals", "QUJD"),
        ("date", "2026-01-01T00:00:00Z", "DateLessThan", "2026-01-01T00:00:01Z"),
        ("dateList", "1767225600", "ForAnyValue:DateEquals", "2026-01-01T00:00:00Z"),
    ],
)
def test_every_type_of_entry(
    services: Services, asking: Caller, kind: str, value: str, operator: str, wanted: str
) -> None:
    document = policy(allow("s3:*", Condition={operator: {"aws:Key": wanted}}))
    assert one(custom(services, asking, document)).eval_decision == (
        "allowed" if operator.startswith("ForAll") else "implicitDeny"
    )
    entries = [entry("aws:Key", kind, value)]
    assert one(custom(services, asking, document, context_entries=entries)).eval_decision == "allowed"


@pytest.mark.parametrize(
    "entries",
    [
        [entry("aws:Key", "numeric", "ten")],
        [entry("aws:Key", "numeric", "")],
        [entry("aws:Key", "numeric", "9" * 100)],
        [entry("aws:Key", "boolean", "1")],
        [entry("aws:Key", "ip", "10.0.0.256")],
        [entry("aws:Key", "ipList", "10.0.0.1", "host")],
        [entry("aws:Key", "binary", "***")],
        [entry("aws:Key", "date", "yesterday")],
        [entry("aws:Key", "dateList", "2026-13-01")],
        [entry("aws:Key", "string")],
        [entry("aws:Key", "string", "a", "b")],
        [entry("aws:Key", "string", "a" * 4_097)],
        [entry("aws:Key", "stringList", *["a"] * 1_001)],
        [entry("aws:Key", "string", "a"), entry("AWS:key", "string", "b")],
        [entry(f"aws:Key{number}", "string", "a") for number in range(257)],
    ],
)
def test_entries_that_are_refused(services: Services, asking: Caller, entries: list[Any]) -> None:
    with pytest.raises(ValidationFailed, match="ContextEntries"):
        custom(services, asking, ALL, context_entries=entries)


@pytest.mark.parametrize("lacking", ["context_key_name", "context_key_type", "context_key_values"])
def test_an_entry_needs_all_its_parts(services: Services, asking: Caller, lacking: str) -> None:
    half = entry("aws:Key", "string", "a")
    delattr(half, lacking)
    with pytest.raises(ValidationFailed, match="must have"):
        custom(services, asking, ALL, context_entries=[half])


# --- boundary and resource policy -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boundary", "decision", "within"),
    [
        (policy(allow("s3:*")), "allowed", True),
        (policy(allow("sqs:*")), "implicitDeny", False),
        (policy(allow("*"), deny("s3:*")), "explicitDeny", False),
    ],
)
def test_a_boundary_limits(services: Services, asking: Caller, boundary: str, decision: str, within: bool) -> None:
    result = one(custom(services, asking, ALL, permissions_boundary_policy_input_list=[boundary]))
    detail = result.permissions_boundary_decision_detail
    assert detail is not None
    assert (result.eval_decision, detail.allowed_by_permissions_boundary) == (decision, within)
    assert "PermissionsBoundaryPolicyInputList.1" not in [
        found.source_policy_id for found in result.matched_statements if decision == "allowed"
    ]


def test_the_boundary_is_told_apart_from_what_is_not_allowed(services: Services, asking: Caller) -> None:
    result = one(custom(services, asking, permissions_boundary_policy_input_list=[ALL]))
    detail = result.permissions_boundary_decision_detail
    assert (result.eval_decision, detail and detail.allowed_by_permissions_boundary) == ("implicitDeny", True)


CAROL, FOREIGN = arn("user", "carol"), arn("user", "carol", OTHER)


@pytest.mark.parametrize(
    ("identity", "resource", "caller_arn", "owner", "decision", "details"),
    [
        ([], to({"AWS": CAROL}, allow("*")), CAROL, None, "allowed", {}),
        ([], to({"AWS": ACCOUNT}, allow("*")), CAROL, None, "implicitDeny", {}),
        ([ALL], to({"AWS": arn("user", "dave")}, allow("*")), CAROL, None, "allowed", {}),
        ([ALL], to({"AWS": CAROL}, deny("*")), CAROL, None, "explicitDeny", {}),
        ([ALL], to({"AWS": arn("user", "dave")}, deny("*")), CAROL, None, "allowed", {}),
        ([], to({"AWS": CAROL}, allow("*")), CAROL, OTHER, "implicitDeny", ("implicitDeny", "allowed")),
        ([ALL], to({"AWS": CAROL}, allow("*")), CAROL, OTHER, "allowed", ("allowed", "allowed")),
        (
            [ALL],
            to({"AWS": FOREIGN}, allow("*")),
            CAROL,
            f"arn:aws:iam::{OTHER}:root",
            "implicitDeny",
            ("allowed", "implicitDeny"),
        ),
        ([ALL], to({"AWS": CAROL}, deny("*")), CAROL, OTHER, "explicitDeny", ("allowed", "explicitDeny")),
        (
            [policy(deny("*"))],
            to({"AWS": FOREIGN}, allow("*")),
            FOREIGN,
            ACCOUNT,
            "explicitDeny",
            ("explicitDeny", "allowed"),
        ),
    ],
)
def test_a_resource_policy_in_the_same_and_in_another_account(
    services: Services,
    asking: Caller,
    identity: list[str],
    resource: str,
    caller_arn: str,
    owner: str | None,
    decision: str,
    details: Any,
) -> None:
    fields: dict[str, Any] = {"resource_policy": resource, "caller_arn": caller_arn, "resource_owner": owner}
    result = one(custom(services, asking, *identity, resource_arns=["arn:aws:s3:::a"], **fields))
    named = dict(zip(("IAM Policy", "Resource Policy"), details, strict=True)) if details else {}
    assert (result.eval_decision, result.eval_decision_details) == (decision, named)


def test_the_resources_own_account_decides_whose_it_is(services: Services, asking: Caller) -> None:
    fields: dict[str, Any] = {
        "action_names": ["sqs:SendMessage"],
        "resource_arns": [QUEUE],
        "resource_policy": to({"AWS": CAROL}, allow("*")),
        "caller_arn": CAROL,
        "permissions_boundary_policy_input_list": [policy(allow("s3:*"))],
    }
    result = one(custom(services, asking, ALL, **fields))
    assert result.eval_decision_details == {
        "IAM Policy": "allowed",
        "Resource Policy": "allowed",
        "Permissions Boundary Policy": "implicitDeny",
    }
    assert result.eval_decision == "implicitDeny"
    assert [found.source_policy_type for found in one(custom(services, asking, **fields)).matched_statements] == []
    del fields["permissions_boundary_policy_input_list"]
    allowed = one(custom(services, asking, ALL, **fields))
    assert {(found.source_policy_id, found.source_policy_type) for found in allowed.matched_statements} == {
        ("PolicyInputList.1", "none"),
        ("ResourcePolicy", "resource"),
    }


def test_without_a_resource_policy_only_the_callers_side_is_asked(services: Services, asking: Caller) -> None:
    fields: dict[str, Any] = {"action_names": ["sqs:SendMessage"], "resource_arns": [QUEUE]}
    assert one(custom(services, asking, ALL, **fields)).eval_decision == "allowed"


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"action_names": []}, ValidationFailed, "at least one action"),
        ({"action_names": ["s3:*"]}, ValidationFailed, "ActionNames.1"),
        ({"action_names": ["s3:GetObject", "GetObject"]}, ValidationFailed, "ActionNames.2"),
        ({"action_names": ["s3:Get Object"]}, ValidationFailed, "ActionNames.1"),
        ({"action_names": [":GetObject"]}, ValidationFailed, "ActionNames.1"),
        ({"action_names": ["s3:GetObject\n"]}, ValidationFailed, "ActionNames.1"),
        ({"action_names": ["s3:A"] * (MAX_PAIRS + 1)}, ValidationFailed, "1000"),
        ({"action_names": ["s3:A"] * 101, "resource_arns": ["*"] * 10}, ValidationFailed, "1000"),
        ({"resource_arns": ["bucket"]}, ValidationFailed, "bucket is invalid"),
        ({"resource_arns": ["arn:aws:s3:::a", "arn:aws:s3"]}, ValidationFailed, "is invalid"),
        ({"resource_policy": to({"AWS": ACCOUNT}, allow("*"))}, ValidationFailed, "CallerArn is required"),
        ({"caller_arn": arn("role", "app")}, ValidationFailed, "CallerArn"),
        ({"caller_arn": arn("group", "all")}, ValidationFailed, "CallerArn"),
        ({"caller_arn": f"arn:aws:iam::{ACCOUNT}:root"}, ValidationFailed, "CallerArn"),
        ({"caller_arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s"}, ValidationFailed, "CallerArn"),
        ({"caller_arn": arn("user", "a b")}, ValidationFailed, "CallerArn"),
        ({"resource_owner": "1234"}, ValidationFailed, "ResourceOwner"),
        ({"resource_owner": f"{ACCOUNT}:root"}, ValidationFailed, "ResourceOwner"),
        ({"resource_owner": arn("user", "carol")}, ValidationFailed, "ResourceOwner"),
        (
            {
                "resource_arns": [QUEUE],
                "resource_owner": ACCOUNT,
                "caller_arn": CAROL,
                "resource_policy": to({"AWS": ACCOUNT}, allow("*")),
            },
            ValidationFailed,
            "do not apply",
        ),
        ({"permissions_boundary_policy_input_list": [ALL, ALL]}, ValidationFailed, "more than one"),
        ({"permissions_boundary_policy_input_list": ["{}"]}, MalformedPolicy, "PermissionsBoundaryPolicyInputList.1: "),
        ({"resource_policy": ALL, "caller_arn": CAROL}, MalformedPolicy, "ResourcePolicy: Principal is missing"),
        ({"marker": "0"}, ValidationFailed, "Marker"),
        ({"marker": "1"}, ValidationFailed, "Marker"),
        ({"marker": "-1"}, ValidationFailed, "Marker"),
        ({"marker": "99999"}, ValidationFailed, "Marker"),
        ({"marker": "\u0661"}, ValidationFailed, "Marker"),
    ],
)
def test_parameters_that_are_refused(
    services: Services, asking: Caller, fields: dict[str, Any], error: type[BrokerError], message: str
) -> None:
    with pytest.raises(error, match=message):
        custom(services, asking, ALL, **fields)


@pytest.mark.parametrize("document", ["", "{", "[]", '{"Statement": []}', to({"AWS": "*"}, allow("*")), "[" * 100_000])
def test_malformed_documents_are_named(services: Services, asking: Caller, document: str) -> None:
    with pytest.raises(MalformedPolicy, match=r"PolicyInputList\.2: .* at line 1, column \d+"):
        custom(services, asking, ALL, document)


def test_documents_of_the_longest_size_shorten_the_page(services: Services, asking: Caller) -> None:
    long = policy(*[allow("s3:Get*", "*")] * 1_500)
    long += " " * (131_072 - len(long))
    simulation = custom(services, asking, long, action_names=["s3:GetObject"] * 100)
    assert simulation.is_truncated
    assert len(simulation.evaluation_results) == 30
    assert simulation.marker == "30"
    with pytest.raises(ValidationFailed, match="too large"):
        custom(services, asking, long, resource_arns=["*"] * 31)


def test_hostile_values_are_refused_in_bounded_time(services: Services, asking: Caller) -> None:
    document = policy(allow("s3:*", Condition={"ForAnyValue:StringLike": {"aws:Key": ["*a*b*c*d*"] * 1_000}}))
    entries = [entry("aws:Key", "stringList", *["abab" * 1_000] * 1_000)]
    begin = time.process_time()
    with pytest.raises(ValidationFailed, match="could not be evaluated"):
        custom(services, asking, document, context_entries=[entry("aws:Key", "stringList", *["abab" * 1_000] * 100)])
    with pytest.raises(ValidationFailed, match="too large"):
        custom(services, asking, document, context_entries=entries)
    assert time.process_time() - begin < 2


def test_values_never_become_wildcards(services: Services, asking: Caller) -> None:
    document = policy(allow("s3:*", "arn:aws:s3:::${aws:Key}"))
    fields: dict[str, Any] = {
        "resource_arns": ["arn:aws:s3:::a"],
        "context_entries": [entry("aws:Key", "string", "*")],
    }
    assert one(custom(services, asking, document, **fields)).eval_decision == "implicitDeny"


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "pages"), [(1, 5), (2, 3), (4, 2), (5, 1), (1_000, 1)])
def test_pages_have_every_action_once(services: Services, asking: Caller, size: int, pages: int) -> None:
    actions = [f"s3:Action{number}" for number in range(5)]
    seen: list[str] = []
    marker = None
    for page in range(1, pages + 1):
        answer = custom(services, asking, ALL, action_names=actions, max_items=size, marker=marker)
        seen += [result.eval_action_name for result in answer.evaluation_results]
        assert answer.is_truncated is (page < pages) is (answer.marker is not None)
        marker = answer.marker
    assert seen == actions


# --- principals that are there --------------------------------------------------------------------------------------


def principal(services: Services, asking: Caller, source: str, **fields: Any) -> Simulation:
    fields.setdefault("action_names", ["s3:GetObject"])
    return simulate_principal_policy(services, asking, policy_source_arn=source, **fields)


@pytest.mark.parametrize(
    ("action", "resource", "decision", "matched"),
    [
        ("s3:GetObject", "arn:aws:s3:::alice/x", "allowed", [(f"arn:aws:iam::{ACCOUNT}:policy/reads", "user-managed")]),
        ("s3:GetObject", "arn:aws:s3:::bob/x", "implicitDeny", []),
        ("s3:ListBucket", "arn:aws:s3:::bob", "allowed", [("user/alice inline policy own", "user")]),
        ("sqs:SendMessage", "*", "implicitDeny", []),  # beyond the boundary
    ],
)
def test_a_users_own_policies(
    services: Services, asking: Caller, action: str, resource: str, decision: str, matched: list[Any]
) -> None:
    result = one(principal(services, asking, ALICE, action_names=[action], resource_arns=[resource]))
    found = [(each.source_policy_id, each.source_policy_type) for each in result.matched_statements]
    assert (result.eval_decision, found) == (decision, matched)
    assert result.missing_context_values == ()
    assert result.permissions_boundary_decision_detail is not None


def test_a_boundary_that_is_passed_replaces_the_attached_one(services: Services, asking: Caller) -> None:
    fields: dict[str, Any] = {"action_names": ["sqs:SendMessage", "s3:ListBucket"]}
    fields["permissions_boundary_policy_input_list"] = [policy(allow("sqs:*"))]
    results = principal(services, asking, ALICE, **fields).evaluation_results
    assert [result.eval_decision for result in results] == ["allowed", "implicitDeny"]


def test_policies_that_are_passed_are_added(services: Services, asking: Caller) -> None:
    bob = arn("user", "bob")
    assert one(principal(services, asking, bob)).eval_decision == "implicitDeny"
    result = one(principal(services, asking, bob, policy_input_list=[ALL]))
    assert [found.source_policy_id for found in result.matched_statements] == ["PolicyInputList.1"]
    assert result.permissions_boundary_decision_detail is None
    denied = principal(services, asking, ALICE, action_names=["s3:ListBucket"], policy_input_list=[policy(deny("*"))])
    assert one(denied).eval_decision == "explicitDeny"


def test_a_role_and_what_its_policies_ask_for(services: Services, asking: Caller) -> None:
    fields: dict[str, Any] = {"action_names": ["sts:AssumeRole"]}
    result = one(principal(services, asking, arn("role", "team/app"), **fields))
    assert (result.eval_decision, result.missing_context_values) == ("implicitDeny", ("aws:SecureTransport",))
    fields["context_entries"] = [entry("aws:SecureTransport", "boolean", "true")]
    allowed = one(principal(services, asking, arn("role", "team/app"), **fields))
    assert [found.source_policy_type for found in allowed.matched_statements] == ["role"]


def test_another_caller_as_if_it_had_the_policies(services: Services, asking: Caller) -> None:
    fields: dict[str, Any] = {"resource_arns": ["arn:aws:s3:::carol/x"], "caller_arn": CAROL}
    assert one(principal(services, asking, ALICE, **fields)).eval_decision == "allowed"
    resource = to({"AWS": CAROL}, allow("s3:*"))
    fields |= {"resource_policy": resource, "resource_arns": ["arn:aws:s3:::bob/x"]}
    assert one(principal(services, asking, ALICE, **fields)).eval_decision == "allowed"
    assert one(principal(services, asking, arn("role", "team/app"), **fields)).eval_decision == "allowed"
    del fields["caller_arn"]
    assert one(principal(services, asking, ALICE, **fields)).eval_decision == "implicitDeny"
    with pytest.raises(ValidationFailed, match="CallerArn is required"):
        principal(services, asking, arn("role", "team/app"), **fields)


@pytest.mark.parametrize(
    "source",
    [
        arn("user", "nobody"),
        arn("user", "Alice"),
        arn("role", "app"),
        arn("group", "all"),
        arn("role", "theirs", OTHER),
        f"arn:aws:iam::{ACCOUNT}:policy/reads",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/app/session",
        "x" * 20,
    ],
)
def test_principals_that_are_not_there(services: Services, asking: Caller, source: str) -> None:
    with pytest.raises(NotFound):
        principal(services, asking, source)


@pytest.mark.parametrize("name", ["bob", "asks-trust-alone"])
def test_permission_is_needed(services: Services, name: str) -> None:
    with pytest.raises(AccessDenied, match="iam:SimulateCustomPolicy"):
        custom(services, caller(services, name), ALL)
    with pytest.raises(AccessDenied, match=f"iam:SimulatePrincipalPolicy on resource: {ALICE}"):
        principal(services, caller(services, name), ALICE)
    with pytest.raises(AccessDenied):
        principal(services, caller(services, name), arn("user", "nobody"))

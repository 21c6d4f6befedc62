"""The rest-json protocol: botocore writes and we read, we write and botocore reads; hostile bodies are refused."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st
from made_service import MODEL, operation

import broker.errors
from broker.analysis.validate_policy import PolicyFinding, PolicyFindings
from broker.aws import errors
from broker.aws.codec.restjson import (
    MAX_DEPTH,
    RestRequest,
    compile_input,
    compile_output,
    read_json,
    render_error,
)
from broker.aws.errors import JSON_TABLE, InvalidParameter, MalformedBody, MalformedQueryString, json_error
from broker.aws.model import load_service
from broker.domain.secret import Secret
from broker.errors import BrokerError, ValidationFailed
from broker.policy.lint.findings import Index, Location, Position, Span, Value

JSON = "application/json"
SERVICE = load_service("accessanalyzer")
THEIRS = ServiceModel(Loader().load_service_model("accessanalyzer", "service-2"), "accessanalyzer")
VALIDATE = THEIRS.operation_model("ValidatePolicy")
validate = compile_input(SERVICE.operations["ValidatePolicy"], {})
do = compile_input(operation("Do"), {})
need = compile_input(operation("Need"), {})
REQUIRED = {"policyDocument": "{}", "policyType": "IDENTITY_POLICY"}


def request(document: object, query: str = "") -> RestRequest:
    return RestRequest(query, JSON, document if isinstance(document, bytes) else json.dumps(document).encode())


def plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return f"secret {value.reveal()}"
    if isinstance(value, SimpleNamespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


# --- round trips --------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ARGUMENTS = st.fixed_dictionaries(
    {
        "policyDocument": TEXTS,
        "policyType": st.sampled_from(VALIDATE.input_shape.members["policyType"].enum),
    },
    optional={
        "locale": st.sampled_from(VALIDATE.input_shape.members["locale"].enum),
        "maxResults": st.integers(-(10**18) + 1, 10**18 - 1),
        "nextToken": TEXTS,
        "validatePolicyResourceType": st.sampled_from(VALIDATE.input_shape.members["validatePolicyResourceType"].enum),
    },
)
SNAKE = {
    "policyDocument": "policy_document",
    "policyType": "policy_type",
    "locale": "locale",
    "maxResults": "max_results",
    "nextToken": "next_token",
    "validatePolicyResourceType": "validate_policy_resource_type",
}
NUMBERS = st.integers(0, 10**6)
POSITIONS = st.builds(Position, NUMBERS, NUMBERS, NUMBERS)
LOCATIONS = st.builds(
    Location,
    st.lists(st.builds(Index, NUMBERS) | st.builds(Value, TEXTS)).map(tuple),
    st.builds(Span, POSITIONS, POSITIONS),
)
FINDINGS = st.builds(PolicyFinding, TEXTS, TEXTS, TEXTS, TEXTS, st.lists(LOCATIONS, max_size=3).map(tuple))


@settings(max_examples=150, deadline=None)
@given(ARGUMENTS)
def test_every_request_of_validate_policy_comes_back(arguments: dict[str, Any]) -> None:
    sent = create_serializer("rest-json").serialize_to_request(arguments, VALIDATE)
    assert (sent["method"], sent["url_path"]) == (
        SERVICE.operations["ValidatePolicy"].method,
        SERVICE.operations["ValidatePolicy"].path,
    )
    received = RestRequest(urlencode(sent["query_string"]), sent["headers"]["Content-Type"], sent["body"])
    assert validate(received) == {SNAKE[name]: value for name, value in arguments.items()}


def parsed(render: bytes, shape: Any) -> dict[str, Any]:
    answer = create_parser("rest-json").parse({"body": render, "headers": {}, "status_code": 200}, shape)
    answer.pop("ResponseMetadata")
    return dict(answer)


def _position(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column, "offset": position.offset}


@settings(max_examples=100, deadline=None)
@given(st.lists(FINDINGS, max_size=4).map(tuple), st.none() | TEXTS)
def test_every_answer_of_validate_policy_comes_back(findings: tuple[PolicyFinding, ...], token: str | None) -> None:
    body = compile_output(SERVICE.operations["ValidatePolicy"])(PolicyFindings(findings, token), "id")
    expected: dict[str, Any] = {
        "findings": [
            {
                "findingType": finding.finding_type,
                "issueCode": finding.issue_code,
                "findingDetails": finding.finding_details,
                "learnMoreLink": finding.learn_more_link,
                "locations": [
                    {
                        "path": [
                            {"index": part.index} if isinstance(part, Index) else {"value": part.value}
                            for part in location.path
                        ],
                        "span": {"start": _position(location.span.start), "end": _position(location.span.end)},
                    }
                    for location in finding.locations
                ],
            }
            for finding in findings
        ]
    }
    assert parsed(body, VALIDATE.output_shape) == expected | ({} if token is None else {"nextToken": token})


VALUES: list[dict[str, Any]] = [
    {"Text": "x", "Flag": True, "Count": -3, "Big": 1 << 40, "Renamed": "y", "Secret": "z"},
    {"Flag": False, "When": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "Bytes": b"\0\xff"},
    {"Texts": ["a", "b"], "Any": [], "Flat": ["ab", "cd"], "LeavesABC": ["d"], "Matrix": [["a"], ["b", "c"], []]},
    {"Counts": {"ab": 1, "cd": -1}, "NamedMap": {"a": "b"}, "Pair": {"Key": "ab"}, "Pairs": [{"Key": "cd"}]},
    {"Tree": {"Name": "1", "Children": [{"Name": "2", "Children": [{"Name": "3"}]}, {"Name": "4"}]}},
]


def _ours(value: Any) -> Any:
    """In snake_case; of a map, whose keys are all small here, nothing changes."""
    if isinstance(value, dict):
        names = {"Secret": "secret", "LeavesABC": "leaves_abc", "NamedMap": "named_map"}
        return {names.get(key, key.lower()): _ours(item) for key, item in value.items()}
    return [_ours(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("arguments", VALUES, ids=lambda arguments: "-".join(arguments))
def test_every_type_of_argument(arguments: dict[str, Any]) -> None:
    sent = create_serializer("rest-json").serialize_to_request(arguments, MODEL.operation_model("Do"))
    expected = _ours(arguments)
    if "secret" in expected:
        expected["secret"] = f"secret {expected['secret']}"
    assert plain(do(RestRequest("", JSON, sent["body"]))) == expected


@pytest.mark.parametrize("arguments", VALUES, ids=lambda arguments: "-".join(arguments))
def test_every_type_of_result(arguments: dict[str, Any]) -> None:
    def result(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() <= {"name", "children", "key"}:
            return SimpleNamespace(**{key: result(item) for key, item in value.items()})
        return [result(item) for item in value] if isinstance(value, list) else value

    members = {key: result(value) for key, value in _ours(arguments).items()}
    if "secret" in members:
        members["secret"] = Secret(members["secret"])
    body = compile_output(operation("Do"))(SimpleNamespace(**members), "id")
    assert parsed(body, MODEL.operation_model("Do").output_shape) == arguments


@pytest.mark.parametrize("name", ["CheckAccessNotGranted", "CheckNoNewAccess", "CheckNoPublicAccess"])
def test_other_operations_with_a_body_alone_compile(name: str) -> None:
    with pytest.raises(ValidationFailed, match="must not be null"):
        compile_input(SERVICE.operations[name], {})(RestRequest("", JSON, b""))
    assert json.loads(compile_output(SERVICE.operations[name])(SimpleNamespace(message="m"), "id")) == {"message": "m"}


@pytest.mark.parametrize("name", ["CreateArchiveRule", "DeleteArchiveRule", "UntagResource"])
def test_a_location_that_is_not_read_is_refused_at_the_start(name: str) -> None:
    with pytest.raises((NotImplementedError, KeyError)):
        compile_input(SERVICE.operations[name], {})


# --- arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"", {}),
        (b"{}", {}),
        (b" \r\n\t{ } ", {}),
        (b'{"Text": null, "Pair": null, "Texts": null}', {}),
        (b'{"Text": ""}', {"text": ""}),
        ('{"Text": "ü\U0001f600"}'.encode(), {"text": "ü\U0001f600"}),
        (rb'{"Text": "\ud83d\ude00\u0000\n"}', {"text": "\U0001f600\0\n"}),
        (rb'{"\u0054ext": "x"}', {"text": "x"}),
        (b'{"When": 0}', {"when": datetime(1970, 1, 1, tzinfo=UTC)}),
        (b'{"When": 1.5}', {"when": datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)}),
        (b'{"When": "2026-10-24T23:00:23Z"}', {"when": datetime(2026, 10, 24, 23, 0, 23, tzinfo=UTC)}),
        (b'{"Text": "' + b"[{" * 1_000 + b'"}', {"text": "[{" * 1_000}),
        (rb'{"Text": "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}', {"text": '"' + "[" * 30}),
    ],
)
def test_a_body(document: bytes, expected: dict[str, Any]) -> None:
    assert do(request(document)) == expected


@pytest.mark.parametrize("content_type", ["", JSON, f"{JSON}; charset=utf-8", JSON.upper(), f" {JSON} "])
def test_content_types_of_json(content_type: str) -> None:
    assert read_json(b'{"a": "b"}', content_type) == {"a": "b"}


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", f"{JSON}x", "x", "text"])
def test_other_content_types(content_type: str) -> None:
    with pytest.raises(MalformedBody, match="not of the type"):
        read_json(b'{"a": "b"}', content_type)
    assert read_json(b"", content_type) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"\xef\xbb\xbf{}",
        '{"Text": "x"}'.encode("utf-16"),
        b'{"Text": "\xed\xa0\x80"}',
        b" ",
        b"{",
        b"}",
        b"{}{}",
        b"{},",
        b"{'Text': 'x'}",
        b'{"Text": "x",}',
        b'{"Text": "x"',
        b'{"Text": "x}',
        b'{"Text" "x"}',
        b'{Text: "x"}',
        b'{"Text": "\n"}',
        b'{"Text": "\\x41"}',
        b'{"Text": "\\u12"}',
        b'{"Count": 01}',
        b'{"Count": +1}',
        b'{"Count": .5}',
        b'{"Count": 0x10}',
        b'{"Count": NaN}',
        b'{"Count": Infinity}',
        b'{"Count": -Infinity}',
        b'// x\n{"Text": "x"}',
        b"[]",
        b"null",
        b"true",
        b"1",
        b'"x"',
        b'[{"Text": "x"}]',
        b'{"Text": "x", "Text": "x"}',
        rb'{"Text": "x", "\u0054ext": "y"}',
        b'{"Pair": {"Key": "ab", "Key": "cd"}}',
        b'{"Counts": {"ab": 1, "ab": 1}}',
        b'{"Unknown": [{"a": 1, "a": 1}]}',
        b'{"Text": null, "Text": "x"}',
        b"Action=ValidatePolicy&Version=2019-11-01",
    ],
)
def test_a_body_that_is_no_json_object(body: bytes) -> None:
    with pytest.raises(MalformedBody) as refusal:
        do(request(body))
    assert json_error(refusal.value).code == "ValidationException"
    assert json_error(refusal.value).reason == "cannotParse"


@pytest.mark.parametrize(
    "document",
    [
        {"Unknown": "x"},
        {"text": "x"},
        {"Renamed": "x"},
        {"": "x"},
        {"__class__": "x"},
        {"Unknown": None},
        {"Text": 1},
        {"Text": True},
        {"Text": []},
        {"Text": {}},
        {"Text": "\ud800"},
        {"Text": "x\udfff"},
        {"Secret": ["x"]},
        {"Count": "1"},
        {"Count": True},
        {"Count": 1.0},
        {"Count": 1.5},
        {"Count": 1e3},
        {"Count": 10**18},
        {"Count": []},
        {"Flag": "true"},
        {"Flag": 1},
        {"Flag": 0},
        {"When": True},
        {"When": "now"},
        {"When": 10**12},
        {"When": []},
        {"Bytes": "A"},
        {"Bytes": "_-8="},
        {"Bytes": 1},
        {"Texts": "x"},
        {"Texts": {"member": ["x"]}},
        {"Texts": {"1": "x"}},
        {"Texts": [None]},
        {"Texts": [1]},
        {"Texts": [["x"]]},
        {"Matrix": ["x"]},
        {"Counts": []},
        {"Counts": [{"key": "ab", "value": 1}]},
        {"Counts": {"ab": None}},
        {"Counts": {"ab": "1"}},
        {"NamedMap": {"\ud800": "x"}},
        {"Pair": []},
        {"Pair": "x"},
        {"Pair": {"Key": "ab", "Unknown": "x"}},
        {"Pair": {"Key": "ab", "__init__": "x"}},
        {"Pairs": [None]},
        {"Pairs": {"Key": "ab"}},
        {"Tree": {"Children": [{"Children": [{"Nmae": "x"}]}]}},
    ],
    ids=lambda document: ascii(document)[:60],
)
def test_a_value_that_is_none(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        do(request(document))
    assert len(refusal.value.message) < 400
    assert json_error(refusal.value).reason == "fieldValidationFailed"


def test_a_value_is_never_named() -> None:
    for name in ("Unknown", "Count", "Flag", "When", "Bytes", "Pair", "Texts", "Counts"):
        with pytest.raises(InvalidParameter) as refusal:
            do(request({name: "s3cr3t-v4lue"}))
        assert "s3cr3t" not in refusal.value.message + refusal.value.detail


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        ({}, ["Text", "Pairs"]),
        ({"Text": None, "Pairs": []}, ["Text"]),
        ({"Text": "x", "Pairs": [{}]}, ["Pairs.1.member.Key"]),
        ({"Text": "x", "Pairs": [{"Key": None}]}, ["Pairs.1.member.Key"]),
    ],
)
def test_what_is_required(document: dict[str, Any], missing: list[str]) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        need(request(document))
    for name in missing:
        assert f"Value null at '{name}' failed to satisfy constraint" in refusal.value.message


@pytest.mark.parametrize(
    ("document", "constraint"),
    [
        ({"Few": "a"}, "greater than or equal to 2"),
        ({"Few": "abcde"}, "less than or equal to 4"),
        ({"Colour": "blue"}, "enum value set"),
        ({"Number": 11}, "less than or equal to 10"),
        ({"Texts": []}, "greater than or equal to 1"),
        ({"Texts": ["a"] * 4}, "less than or equal to 3"),
        ({"Counts": {"ab": 1, "cd": 1, "ef": 1}}, "less than or equal to 2"),
        ({"Counts": {"a": 1}}, "greater than or equal to 2"),
    ],
)
def test_constraints_of_the_model(document: dict[str, Any], constraint: str) -> None:
    with pytest.raises(ValidationFailed, match=constraint):
        do(request(document))


@pytest.mark.parametrize(
    "query",
    ["maxResults=x", "maxResults=", "maxResults=1.0", "policyType=IDENTITY_POLICY", "locale=EN", "maxresults=1", "x=1"],
)
def test_a_query_string_that_is_refused(query: str) -> None:
    with pytest.raises(InvalidParameter):
        validate(request(REQUIRED, query))


def test_members_have_their_place() -> None:
    assert validate(request(REQUIRED, "maxResults=7&nextToken=x&X-Amz-Date=y"))["max_results"] == 7
    for member in ({"maxResults": 7}, {"nextToken": "x"}, {"X-Amz-Date": "x"}):
        with pytest.raises(InvalidParameter, match="is not recognized by ValidatePolicy"):
            validate(request(REQUIRED | member))
    with pytest.raises(InvalidParameter, match="more than once"):
        validate(request(REQUIRED, "maxResults=7&maxResults=8"))
    with pytest.raises(MalformedQueryString):
        validate(request(REQUIRED, "nextToken=%zz"))


# --- hostile bodies -----------------------------------------------------------------------------------------------

HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["IDENTITY_POLICY", "{}", "\ud800"]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters()) | st.sampled_from([*SNAKE, "Text", "Tree", "Children"]), inner)
    ),
)


def answered(parse: Any, received: RestRequest) -> bool:
    """Whether arguments come out; if not, it must be a refusal that is the caller's fault, and can be told."""
    found: BrokerError | None = None
    try:
        arguments = parse(received)
    except BrokerError as refusal:
        found = refusal
    if found is None:
        assert isinstance(arguments, dict)
        return True
    wire = json_error(found)
    assert (wire.code, wire.status, wire.sender) == ("ValidationException", 400, True)
    assert json.loads(render_error(wire)) == {"message": found.message, "reason": wire.reason}
    return False


@settings(max_examples=300, deadline=None)
@given(st.binary() | TEXTS.map(str.encode) | HOSTILE.map(lambda value: json.dumps(value).encode()), st.text())
def test_no_body_is_our_fault(body: bytes, content_type: str) -> None:
    for parse in (validate, do, need):
        answered(parse, RestRequest("", JSON, body))
        answered(parse, RestRequest("", content_type, body))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*MODEL.operation_model("Do").input_shape.members, "OnTheWire"]), HOSTILE))
def test_no_member_is_our_fault(document: dict[str, Any]) -> None:
    answered(do, request(document))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(max_codepoint=255)))
def test_no_query_string_is_our_fault(query: str) -> None:
    answered(validate, request(REQUIRED, query))


def _nested(depth: int) -> bytes:
    tree = b'{"Children": [' * depth + b"]}" * depth
    return b'{"Tree": ' + tree + b"}"


def test_depth() -> None:
    most = (MAX_DEPTH - 1) // 2
    assert answered(do, request(_nested(most)))
    for depth in (most + 1, 500, 30_000):
        with pytest.raises(MalformedBody, match="too deeply"):
            do(request(_nested(depth)))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"Text":' * 125_000,
        b'{"Count": ' + b"9" * 1_000_000 + b"}",
        b'{"Count": 1e' + b"9" * 1_000_000 + b"}",
        b'{"When": -' + b"9" * 1_000_000 + b"}",
        b'"' * 999_999,
        b'{"Text": "' + b'\\"' * 500_000,
        b"\\" * 1_000_000,
        b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
        b'{"Texts": [' + b"1," * 499_000 + b"1]}",
        b'{"Any": [' + b"[]," * 330_000 + b"1]}",
        b"[]" * 500_000,
    ],
    ids=lambda body: str(body[:12]),
)
def test_a_large_body_is_refused_in_bounded_time(body: bytes) -> None:
    began = time.process_time()
    assert not answered(do, request(body))
    assert time.process_time() - began < 2


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", VALIDATE.error_shapes, ids=lambda shape: shape.name)
def test_the_errors_of_the_operation_are_read_by_botocore(shape: Any) -> None:
    """Code, status and message of the model; ThrottlingException is never said: nothing is throttled."""
    rows = {code: status for code, status, _ in JSON_TABLE.values()}
    assert rows.get(shape.name, 429) == shape.metadata["error"]["httpStatusCode"]
    wire = errors.WireError(shape.name, "a 'message' ü", shape.metadata["error"]["httpStatusCode"])
    received = {"body": render_error(wire), "headers": {"x-amzn-errortype": shape.name}, "status_code": wire.status}
    found = create_parser("rest-json").parse(received, VALIDATE.output_shape)
    assert found["Error"] == {"Code": shape.name, "Message": "a 'message' ü"}


def test_reasons_are_those_of_the_model() -> None:
    known = THEIRS.shape_for("ValidationExceptionReason").enum
    for code, _, reason in JSON_TABLE.values():
        assert (code == "ValidationException") is (reason != "")
        assert reason in ("", *known)


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (broker.errors.AccessDenied, "AccessDeniedException", 403),
        (broker.errors.InvalidClientToken, "UnrecognizedClientException", 403),
        (broker.errors.SessionExpired, "ExpiredTokenException", 403),
        (errors.MissingAuthenticationToken, "MissingAuthenticationTokenException", 403),
        (errors.SignatureDoesNotMatch, "InvalidSignatureException", 403),
        (errors.IncompleteSignature, "IncompleteSignatureException", 403),
        (errors.RequestEntityTooLarge, "RequestEntityTooLargeException", 413),
        (errors.InternalFailure, "InternalServerException", 500),
        (broker.errors.LimitExceeded, "LimitExceeded", 409),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_codes_of_the_json_protocols(kind: type[BrokerError], code: str, status: int) -> None:
    wire = json_error(kind("A sentence.", detail="kept from the caller"))
    assert (wire.code, wire.status, wire.sender, wire.message) == (code, status, status < 500, "A sentence.")

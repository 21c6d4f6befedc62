"""Forms and arguments: what is taken, what each refusal says, and that nothing else than a refusal comes out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from botocore import xform_name
from botocore.awsrequest import AWSRequest
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st
from made_service import MODEL, operation

from broker.aws.codec.query import MAX_PARAMETERS, compile_input, parse_form
from broker.aws.errors import InvalidParameter, MalformedQueryString
from broker.aws.model import load_service
from broker.domain.secret import Secret
from broker.domain.session import Tag
from broker.errors import BrokerError, ValidationFailed

FORM = "application/x-www-form-urlencoded"
do = compile_input(operation("Do"), {})
need = compile_input(operation("Need"), {})


def plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return f"secret {value.reveal()}"
    if isinstance(value, SimpleNamespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


# --- the form -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("", b"", {}),
        ("", b"Action=A&Version=V", {"Action": "A", "Version": "V"}),
        ("Action=A", b"Version=V", {"Action": "A", "Version": "V"}),
        ("", b"a=b+c%20d%2B", {"a": "b c d+"}),
        ("", b"a", {"a": ""}),
        ("", b"a=", {"a": ""}),
        ("", b"a=b=c", {"a": "b=c"}),
        ("", b"&&a=b&&", {"a": "b"}),
        ("", b"%61=%62", {"a": "b"}),
        ("", b"=x", {"": "x"}),
        ("", "ü=漢".encode(), {"ü": "漢"}),
        ("", b"%C3%BC=%F0%9F%98%80", {"ü": "\U0001f600"}),
        ("a=\u00c3\u00bc", b"", {"a": "ü"}),
        ("", b"a=%00%0A%0d", {"a": "\0\n\r"}),
    ],
)
def test_a_form(query: str, body: bytes, expected: dict[str, str]) -> None:
    assert parse_form(query, body, FORM) == expected


@pytest.mark.parametrize(
    "content_type",
    ["", FORM, f"{FORM}; charset=utf-8", f"{FORM};charset=UTF-8", FORM.upper(), f" {FORM} ; a=b"],
)
def test_content_types_of_forms(content_type: str) -> None:
    assert parse_form("", b"a=b", content_type) == {"a": "b"}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        f"{FORM}x",
        "x",
        "application/x-amz-json-1.1",
    ],
)
def test_other_content_types(content_type: str) -> None:
    with pytest.raises(MalformedQueryString):
        parse_form("", b"a=b", content_type)
    assert parse_form("a=b", b"", content_type) == {"a": "b"}


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"a=%"),
        ("", b"a=%2"),
        ("", b"a=%zz"),
        ("", b"%=a"),
        ("", b"a=%u0041"),
        ("", b"a=%FF"),
        ("", b"a=%C3"),
        ("", b"a=%C0%AF"),
        ("", b"a=%ED%A0%80"),
        ("", b"a=%F5%80%80%80"),
        ("", b"a=\xff"),
        ("", b"\xc3=a"),
        ("a=\u00ff", b""),
        ("a=\u0100", b""),
        ("a=%", b""),
    ],
)
def test_a_malformed_form(query: str, body: bytes) -> None:
    with pytest.raises(MalformedQueryString):
        parse_form(query, body, FORM)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"Action=A&Action=A"),
        ("", b"Action=A&Action=B"),
        ("Action=A", b"Action=B"),
        ("Action=A&Action=B", b""),
        ("", b"Action=A&%41ction=B"),
        ("", b"a&a="),
    ],
)
def test_a_parameter_twice(query: str, body: bytes) -> None:
    with pytest.raises(InvalidParameter, match="more than once"):
        parse_form(query, body, FORM)


@pytest.mark.parametrize("in_query", [0, 1, MAX_PARAMETERS // 2])
def test_the_number_of_parameters(in_query: int) -> None:
    query = urlencode({f"q{number}": 1 for number in range(in_query)})
    most = {f"b{number}": 1 for number in range(MAX_PARAMETERS - in_query)}
    assert len(parse_form(query, urlencode(most).encode(), FORM)) == MAX_PARAMETERS
    with pytest.raises(MalformedQueryString, match="more than 2000 parameters"):
        parse_form(query, urlencode(most | {"c": 1}).encode(), FORM)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_every_form_comes_back(parameters: dict[str, str]) -> None:
    body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in parameters.items()).encode()
    assert parse_form("", body, FORM) == {name: value for name, value in parameters.items() if name or body}


# --- arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {}),
        ({"Text": ""}, {"text": ""}),
        ({"Text": "\0 ü\n"}, {"text": "\0 ü\n"}),
        ({"OnTheWire": "x"}, {"renamed": "x"}),
        ({"Secret": "x"}, {"secret": "secret x"}),
        ({"Count": "-7"}, {"count": -7}),
        ({"Count": "007"}, {"count": 7}),
        ({"Big": "9" * 18}, {"big": 10**18 - 1}),
        ({"Flag": "true"}, {"flag": True}),
        ({"Flag": "false"}, {"flag": False}),
        ({"When": "2026-10-24T23:00:23Z"}, {"when": datetime(2026, 10, 24, 23, 0, 23, tzinfo=UTC)}),
        ({"When": "2026-10-24T23:00:23.5Z"}, {"when": datetime(2026, 10, 24, 23, 0, 23, 500_000, tzinfo=UTC)}),
        ({"When": "2026-10-25T01:00:23+02:00"}, {"when": datetime(2026, 10, 24, 23, 0, 23, tzinfo=UTC)}),
        ({"When": "2026-10-24T23:00:23"}, {"when": datetime(2026, 10, 24, 23, 0, 23, tzinfo=UTC)}),
        ({"When": "0"}, {"when": datetime(1970, 1, 1, tzinfo=UTC)}),
        ({"When": "-1.5"}, {"when": datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC)}),
        ({"Bytes": "AP8="}, {"bytes": b"\0\xff"}),
        ({"Texts.member.1": "a", "Texts.member.2": "b"}, {"texts": ("a", "b")}),
        ({"Texts.member.2": "b", "Texts.member.1": "a"}, {"texts": ("a", "b")}),
        ({"Texts.member.999999": "z", "Texts.member.10": "b", "Texts.member.9": "a"}, {"texts": ("a", "b", "z")}),
        ({"Any": ""}, {"any": ()}),
        ({"Named.Item.1": "a"}, {"named": ("a",)}),
        ({"Flat.1": "ab", "Flat.2": "cd"}, {"flat": ("ab", "cd")}),
        ({"Leaf.1": "a"}, {"leaves_abc": ("a",)}),
        ({"Matrix.member.1.member.1": "a", "Matrix.member.2": ""}, {"matrix": (("a",), ())}),
        ({"Counts.entry.1.key": "ab", "Counts.entry.1.value": "1"}, {"counts": {"ab": 1}}),
        ({"NamedMap.entry.1.Name": "a", "NamedMap.entry.1.Value": "b"}, {"named_map": {"a": "b"}}),
        ({"FlatMap.1.key": "a", "FlatMap.1.value": "b"}, {"flat_map": {"a": "b"}}),
        ({"Pair.Key": "ab", "Pair.Value": "x"}, {"pair": {"key": "ab", "value": "secret x"}}),
        ({"Pairs.member.1.Key": "ab"}, {"pairs": ({"key": "ab"},)}),
        (
            {"Tree.Name": "a", "Tree.Children.member.1.Name": "b", "Tree.Children.member.1.Children": ""},
            {"tree": {"name": "a", "children": ({"name": "b", "children": ()},)}},
        ),
    ],
    ids=str,
)
def test_arguments(parameters: dict[str, str], expected: dict[str, Any]) -> None:
    envelope = {"Action": "Do", "Version": "2026-01-01", "X-Amz-Date": "x", "X-Amz-Signature": "y"}
    assert plain(do(envelope | parameters)) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {"Text": "x", "Flag": True, "Count": -3, "Big": 1 << 40, "Renamed": "y"},
        {"When": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "Bytes": b"\0\xff"},
        {"Texts": ["a", "b"], "Named": ["c"], "Flat": ["ab", "cd"], "LeavesABC": ["d"], "Matrix": [["a"], ["b", "c"]]},
        {"Counts": {"ab": 1, "cd": -1}, "NamedMap": {"a": "b"}, "FlatMap": {"c": "d"}},
        {"Tree": {"Name": "1", "Children": [{"Name": "2", "Children": [{"Name": "3"}]}, {"Name": "4"}]}},
    ],
)
def test_arguments_that_botocore_writes(arguments: dict[str, Any]) -> None:
    body = create_serializer("query").serialize_to_request(arguments, MODEL.operation_model("Do"))["body"]
    sent = AWSRequest("POST", "http://a/", data=body).prepare().body
    read = plain(do(parse_form("", sent if isinstance(sent, bytes) else sent.encode(), FORM)))
    assert _sorted(read) == _sorted({_snake(name): _tuples(value) for name, value in arguments.items()})


def _snake(name: str) -> str:
    return str(xform_name(name))


def _tuples(value: Any) -> Any:
    if isinstance(value, dict) and set(value) <= {"Name", "Children"}:
        return {name.lower(): _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _sorted(value: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(value.items())


@pytest.mark.parametrize(
    "parameters",
    [
        {"Unknown": "x"},
        {"text": "x"},
        {"Renamed": "x"},
        {"__class__": "x"},
        {"Text.__class__": "x"},
        {"": "x"},
        {".": "x"},
        {"Text.": "x"},
        {".Text": "x"},
        {"Text.member.1": "x"},
        {"Pair": "x"},
        {"Pair.Unknown": "x"},
        {"Pair.__init__": "x", "Pair.Key": "ab"},
        {"Pair.Key.Key": "x"},
        {"Pair.Key": "ab", "Pair": ""},
        {"Pair": "", "Pair.Key": "ab"},
        {"Pair.Key": "ab", "Pair.Key.x": "ab"},
        {"Pair.Key.x": "ab", "Pair.Key": "ab"},
        {"Texts": "x"},
        {"Texts.1": "x"},
        {"Texts.member": "x"},
        {"Texts.Member.1": "x"},
        {"Texts.member.0": "x"},
        {"Texts.member.01": "x"},
        {"Texts.member.-1": "x"},
        {"Texts.member.+1": "x"},
        {"Texts.member.1e3": "x"},
        {"Texts.member.1000000": "x"},
        {"Texts.member.99999999999999999999999": "x"},
        {"Texts.member.\u0661": "x"},
        {"Texts.member.\u00b2": "x"},
        {"Texts.member.": "x"},
        {"Texts.member.a": "x"},
        {"Texts.member.1": "x", "Texts.other.1": "y"},
        {"Texts.member.1": "x", "Texts": ""},
        {"Texts": "", "Texts.member.1": "x"},
        {"Texts.member.1.Key": "x"},
        {"Flat": "ab"},
        {"Flat.member.1": "ab"},
        {"Counts": "x"},
        {"Counts.1.key": "ab", "Counts.1.value": "1"},
        {"Counts.entry.1.key": "ab"},
        {"Counts.entry.1.value": "1"},
        {"Counts.entry.1.key": "ab", "Counts.entry.1.value": "1", "Counts.entry.1.x": "1"},
        {
            "Counts.entry.1.key": "ab",
            "Counts.entry.1.value": "1",
            "Counts.entry.2.key": "ab",
            "Counts.entry.2.value": "2",
        },
        {"Counts.entry.1": "ab"},
        {"Count": ""},
        {"Count": "1.0"},
        {"Count": " 1"},
        {"Count": "1\n"},
        {"Count": "+1"},
        {"Count": "1_000"},
        {"Count": "0x10"},
        {"Count": "\u0661"},
        {"Count": "9" * 19},
        {"Count": "-"},
        {"Count": "9" * 5000},
        {"Flag": ""},
        {"Flag": "True"},
        {"Flag": "1"},
        {"Flag": "yes"},
        {"When": ""},
        {"When": "now"},
        {"When": "2026-13-01T00:00:00Z"},
        {"When": "2026-01-01"},
        {"When": "2026-W01-1T00:00:00"},
        {"When": "2026-01-01 00:00:00Z"},
        {"When": "2026-01-01T00:00:00Z" + "0" * 60},
        {"When": "9" * 20},
        {"When": "999999999999"},
        {"When": "0001-01-01T00:00:00+23:59"},
        {"When": "\u0662026-01-01T00:00:00Z"},
        {"When": "1e9"},
        {"When": "nan"},
        {"Bytes": "A"},
        {"Bytes": "A==="},
        {"Bytes": "A P8="},
        {"Bytes": "AP8=\n"},
        {"Bytes": "_-8="},
        {"Bytes": "\u00fc"},
        {"Tree" + ".Children.member.1" * 9 + ".Name": "x"},
        {"Tree." + "x" * 600: "x"},
    ],
    ids=lambda parameters: str(parameters)[:60],
)
def test_a_parameter_that_is_none(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        do(parameters)
    assert len(refusal.value.message) < 400


def test_what_is_refused_is_named() -> None:
    with pytest.raises(InvalidParameter, match=r"^The parameter Unknown is not recognized by Do\.$"):
        do({"Unknown": "x"})
    with pytest.raises(InvalidParameter, match=r"^The parameter pair\.Unknown is not recognized\.$"):
        do({"Pair.Key": "ab", "Pair.Unknown": "x"})


def test_a_value_is_never_named() -> None:
    for name in ("Unknown", "Count", "Flag", "When", "Bytes", "Pair", "Texts"):
        with pytest.raises(InvalidParameter) as refusal:
            do({name: "s3cr3t-v4lue"})
        assert "s3cr3t" not in refusal.value.message + refusal.value.detail


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ({}, ["text", "pairs"]),
        ({"Text": "x"}, ["pairs"]),
        ({"Text": "x", "Pairs.member.1.Value": "y"}, ["pairs.1.member.key"]),
        (
            {"Pairs.member.3.Value": "x", "Pairs.member.4.Value": "y"},
            ["text", "pairs.3.member.key", "pairs.4.member.key"],
        ),
    ],
)
def test_what_is_required(parameters: dict[str, str], missing: list[str]) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        need(parameters)
    errors = "; ".join(
        f"Value null at '{name}' failed to satisfy constraint: Member must not be null" for name in missing
    )
    plural = "s" if len(missing) > 1 else ""
    assert refusal.value.message == f"{len(missing)} validation error{plural} detected: {errors}"


def test_structures_become_the_types_that_are_named() -> None:
    parse = compile_input(load_service("sts").operations["AssumeRole"], {"Tag": Tag})
    arguments = parse(
        {
            "RoleArn": "arn:aws:iam::123456789012:role/x",
            "RoleSessionName": "name",
            "Tags.member.1.Key": "k",
            "Tags.member.1.Value": "v",
            "TransitiveTagKeys.member.1": "k",
        }
    )
    assert arguments["tags"] == (Tag("k", "v"),)
    assert arguments["transitive_tag_keys"] == ("k",)


def test_an_operation_without_input_takes_nothing() -> None:
    parse = compile_input(operation("Nothing"), {})
    assert parse({"Action": "Nothing", "Version": "x"}) == {}
    with pytest.raises(InvalidParameter):
        parse({"Action": "Nothing", "Text": "x"})


def test_many_members_cost_no_more_than_their_number() -> None:
    """2,000 list members in reverse order, and 2,000 names that share their beginning."""
    parameters = {f"Any.member.{number}": "x" for number in range(MAX_PARAMETERS, 0, -1)}
    assert do(parameters)["any"] == ("x",) * MAX_PARAMETERS
    deep = {f"Tree{'.Children.member.1' * 6}.Name{number}": "x" for number in range(MAX_PARAMETERS)}
    with pytest.raises(InvalidParameter):
        do(deep)


# --- noise --------------------------------------------------------------------------------------------------------

NAMES = [*MODEL.shape_for("All").members, "OnTheWire", "Leaf", "Action", "X-Amz-Date"]
parts = st.sampled_from(
    [*NAMES, "member", "entry", "key", "value", "Key", "Value", "Name", "Children", "1", "2", "0", ""]
)
names = st.one_of(st.lists(parts, min_size=1, max_size=6).map(".".join), st.text(max_size=10))
values = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "1", "true", "ab", "red", "AP8=", "2026-10-24T23:00:23Z", "-99999999999", "1e400", "inf"]),
)


@settings(max_examples=600, deadline=None)
@given(st.dictionaries(names, values, max_size=6))
def test_noise_is_refused_or_read(parameters: Mapping[str, str]) -> None:
    try:
        arguments = do(parameters)
    except BrokerError:
        return
    assert arguments.keys() <= {_snake(name) for name in MODEL.shape_for("All").members}


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")), st.text(max_size=20))
def test_noisy_bytes_are_refused_or_read(body: bytes, query: str, content_type: str) -> None:
    try:
        parse_form(query, body, content_type)
    except BrokerError:
        pass

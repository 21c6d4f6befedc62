"""Answers and errors: what is written, how it is escaped, and that every document parses."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.parsers import create_parser
from hypothesis import given, settings
from hypothesis import strategies as st
from made_service import MEMBERS, MODEL, operation

from broker.aws.codec.xml import compile_output, escape, render_error
from broker.aws.model import load_service
from broker.domain.credentials import Credentials
from broker.domain.secret import Secret

Node = SimpleNamespace
render = compile_output(operation("Do"))
MOMENT = datetime(2026, 10, 24, 23, 0, 23, tzinfo=UTC)


def written(**members: Any) -> str:
    """What stands between the tags of the result."""
    document = render(SimpleNamespace(**members), "id").decode()
    head = '<DoResponse xmlns="https://made.example/"><DoResult>'
    tail = "</DoResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DoResponse>"
    assert document.startswith(head)
    assert document.endswith(tail)
    return document[len(head) : -len(tail)]


def read(document: bytes) -> dict[str, Any]:
    """What botocore reads."""
    parsed = create_parser("query").parse(
        {"body": document, "headers": {}, "status_code": 200}, MODEL.operation_model("Do").output_shape
    )
    del parsed["ResponseMetadata"]
    return dict(parsed)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ""),
        ({"text": None}, ""),
        ({"unknown": "x"}, ""),
        ({"text": ""}, "<Text></Text>"),
        ({"text": "a<b>&c\"d'"}, "<Text>a&lt;b&gt;&amp;c\"d'</Text>"),
        ({"text": "]]>"}, "<Text>]]&gt;</Text>"),
        ({"text": "\r\n\t "}, "<Text>&#xD;\n\t </Text>"),
        ({"text": "\0\x1f\ufffe\ud800x"}, "<Text>\ufffd\ufffd\ufffd\ufffdx</Text>"),
        ({"text": "ü漢\U0001f600"}, "<Text>ü漢\U0001f600</Text>"),
        ({"secret": Secret("s&")}, "<Secret>s&amp;</Secret>"),
        ({"renamed": "x"}, "<OnTheWire>x</OnTheWire>"),
        ({"count": 0, "big": -1}, "<Count>0</Count><Big>-1</Big>"),
        ({"flag": False}, "<Flag>false</Flag>"),
        ({"flag": True}, "<Flag>true</Flag>"),
        ({"when": MOMENT}, "<When>2026-10-24T23:00:23Z</When>"),
        ({"when": MOMENT + timedelta(microseconds=999_999)}, "<When>2026-10-24T23:00:23Z</When>"),
        ({"when": MOMENT.astimezone(timezone(timedelta(hours=-9)))}, "<When>2026-10-24T23:00:23Z</When>"),
        ({"when": datetime(1, 2, 3, tzinfo=UTC)}, "<When>0001-02-03T00:00:00Z</When>"),
        ({"bytes": b"\0\xff"}, "<Bytes>AP8=</Bytes>"),
        ({"texts": ()}, "<Texts></Texts>"),
        ({"texts": ["a", "b"]}, "<Texts><member>a</member><member>b</member></Texts>"),
        ({"named": ("a",)}, "<Named><Item>a</Item></Named>"),
        ({"flat": ("a", "b")}, "<Flat>a</Flat><Flat>b</Flat>"),
        ({"leaves_abc": ("a",)}, "<Leaf>a</Leaf>"),
        ({"matrix": (("a",), ())}, "<Matrix><member><member>a</member></member><member></member></Matrix>"),
        ({"counts": {}}, "<Counts></Counts>"),
        ({"counts": {"a": 1}}, "<Counts><entry><key>a</key><value>1</value></entry></Counts>"),
        ({"named_map": {"a": "b"}}, "<NamedMap><entry><Name>a</Name><Value>b</Value></entry></NamedMap>"),
        ({"flat_map": {"a": "b"}}, "<FlatMap><key>a</key><value>b</value></FlatMap>"),
        ({"pair": SimpleNamespace(key="a", value=None)}, "<Pair><Key>a</Key></Pair>"),
        ({"pairs": [SimpleNamespace(key="a", value=Secret("b"))]},
         "<Pairs><member><Key>a</Key><Value>b</Value></member></Pairs>"),
        (
            {"tree": Node(name="1", children=[Node(name="2", children=[Node(name="3")])])},
            "<Tree><Name>1</Name><Children><member><Name>2</Name><Children><member><Name>3</Name></member></Children>"
            "</member></Children></Tree>",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_member(members: dict[str, Any], expected: str) -> None:
    assert written(**members) == expected


def test_flattened_shapes_are_read_by_botocore() -> None:
    document = render(
        SimpleNamespace(
            flat=("a", "b"), leaves_abc=("c",), flat_map={"a": "b", "c": "d"}, counts={"a": 1}, named_map={"x": "y"}
        ),
        "id",
    )
    assert read(document) == {
        "Flat": ["a", "b"],
        "LeavesABC": ["c"],
        "FlatMap": {"a": "b", "c": "d"},
        "Counts": {"a": 1},
        "NamedMap": {"x": "y"},
    }


def test_an_operation_without_a_result() -> None:
    render_nothing = compile_output(operation("Nothing"))
    assert render_nothing(None, "id") == (
        b'<NothingResponse xmlns="https://made.example/"><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>'
        b"</NothingResponse>"
    )


def test_credentials_of_the_domain_are_awss() -> None:
    issued = Credentials("ASIAEXAMPLE", Secret("secret/+="), Secret("token=="), MOMENT)
    identity = SimpleNamespace(arn="arn", assumed_role_id="AROA:x")
    document = compile_output(load_service("sts").operations["AssumeRole"])(
        SimpleNamespace(credentials=issued, assumed_role_user=identity, packed_policy_size=6, source_identity=None),
        "id",
    ).decode()
    assert document == (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        "<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret/+=</SecretAccessKey><SessionToken>token=="
        "</SessionToken><Expiration>2026-10-24T23:00:23Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:x"
        "</AssumedRoleId><Arn>arn</Arn></AssumedRoleUser><PackedPolicySize>6</PackedPolicySize></AssumeRoleResult>"
        "<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )


def test_an_error() -> None:
    assert render_error("Code", "a < b", True, "id", "https://made.example/") == (
        b'<ErrorResponse xmlns="https://made.example/"><Error><Type>Sender</Type><Code>Code</Code><Message>a &lt; b'
        b"</Message></Error><RequestId>id</RequestId></ErrorResponse>"
    )
    assert b"<Type>Receiver</Type>" in render_error("Code", "", False, "id", "x")


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=[]), max_size=40))
def test_any_text_makes_a_document_that_parses(text: str) -> None:
    root = ET.fromstring(f"<a>{escape(text)}</a>".encode())
    kept = "".join(
        character if character in "\t\n\r" or " " <= character < "\ud800" or "\ue000" <= character <= "\ufffd"
        or character > "\uffff" else "\ufffd"
        for character in text
    )  # fmt: skip
    assert (root.text or "") == kept
    error = render_error(text, text, True, "id", "https://made.example/")
    parsed = create_parser("query").parse({"body": error, "headers": {}, "status_code": 400}, None)
    assert (parsed["Error"]["Message"] or "") == kept
    assert (parsed["Error"]["Code"] or "") == kept


texts = st.text(st.characters(exclude_categories=[]), max_size=10)
results = st.fixed_dictionaries(
    {},
    optional={
        "text": texts,
        "secret": texts.map(Secret),
        "count": st.integers(-(2**40), 2**40),
        "flag": st.booleans(),
        "when": st.datetimes(timezones=st.just(UTC)),
        "bytes": st.binary(max_size=20),
        "texts": st.lists(texts, max_size=3),
        "flat": st.lists(texts, max_size=3),
        "matrix": st.lists(st.lists(texts, max_size=2), max_size=2),
        "named_map": st.dictionaries(texts, texts, max_size=3),
        "flat_map": st.dictionaries(texts, texts, max_size=3),
        "tree": st.recursive(
            st.builds(SimpleNamespace, name=texts),
            lambda trees: st.builds(SimpleNamespace, name=texts, children=st.lists(trees, max_size=2)),
            max_leaves=4,
        ),
    },
)


@settings(max_examples=300, deadline=None)
@given(results)
def test_any_result_makes_a_document_that_parses(members: dict[str, Any]) -> None:
    parsed = read(render(SimpleNamespace(**members), "id"))
    assert parsed.keys() <= set(MEMBERS)
    for name in ("count", "flag", "bytes"):
        assert parsed.get(name.capitalize()) == members.get(name)

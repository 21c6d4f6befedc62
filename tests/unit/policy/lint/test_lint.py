"""The linter as a whole: it never raises, takes bounded time, and agrees with what the rest of the product knows."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.aws.model import load_extensions
from broker.policy.catalogue import (
    CONDITION_KEYS,
    MULTIVALUED_KEYS,
    OPEN_KEYS,
    OPERATIONS,
    OWN_OPERATIONS,
    SHARED_ISSUERS,
)
from broker.policy.document import PolicyKind
from broker.policy.lint import MOST_FINDINGS, RULES, FindingType, finding_as_json, guess_kind, lint
from broker.policy.reader import MAX_CHARACTERS
from broker.shared_issuers import NARROWING_CLAIMS, careless_trust

ROOT = Path(__file__).parents[4]
VECTORS = ROOT / "tests" / "vectors"
KINDS = list(PolicyKind)


def _vector_policies() -> Iterator[tuple[str, PolicyKind]]:
    """Every policy of the lint and grammar vectors, the malformed ones too."""
    for folder in ("lint", "policy/grammar"):
        for path in sorted((VECTORS / folder).glob("*.json")):
            for case in json.loads(path.read_text())["cases"]:
                policy = case["policy"]
                text = policy if isinstance(policy, str) else json.dumps(policy)
                yield text, PolicyKind(case["kind"])


@pytest.mark.parametrize("kind", KINDS)
def test_any_policy_has_findings_of_the_shape_that_access_analyzer_gives(kind: PolicyKind) -> None:
    model = botocore.session.get_session().get_service_model("accessanalyzer").shape_for("ValidatePolicyFinding")
    for text, _ in _vector_policies():
        for finding in lint(text, kind, "111122223333"):
            _check_shape(model, json.loads(json.dumps(finding_as_json(finding))))
            assert finding.details.isprintable()
            assert finding.details.endswith(".")
            for location in finding.locations:
                assert 0 <= location.span.start.offset <= location.span.end.offset <= len(text)


def _check_shape(shape: Any, value: Any) -> None:
    if shape.type_name == "structure":
        assert set(shape.required_members) <= set(value) <= set(shape.members)
        for name, member in value.items():
            _check_shape(shape.members[name], member)
    elif shape.type_name == "list":
        for item in value:
            _check_shape(shape.member, item)
    elif shape.type_name == "integer":
        assert type(value) is int
    else:
        assert isinstance(value, str)
        assert not getattr(shape, "enum", ()) or value in shape.enum


@given(st.text(max_size=300), st.sampled_from(KINDS))
def test_no_text_raises(text: str, kind: PolicyKind) -> None:
    assert lint(text, kind)[0].type is FindingType.ERROR
    assert guess_kind(text) is PolicyKind.IDENTITY


_WORDS = st.sampled_from(
    [
        "*",
        "",
        "${",
        "${*}",
        "${aws:username}",
        "sts:*",
        "iam:?*",
        "10.0.0.0/8",
        "::/0",
        "true",
        "1",
        "2001-01-01",
        "arn:aws:iam::111122223333:role/*",
        "arn:aws:s3:::${aws:userid}",
        "AIDAEXAMPLEEXAMPLE01",
        "o-*",
        "repo:*",
    ]
)
_LISTS = st.one_of(_WORDS, st.lists(_WORDS, max_size=4))
_KEYS = st.sampled_from(
    ["aws:SourceIp", "aws:userid", "AWS:TagKeys", "gitlab.com:sub", "x", ":", "aws:", "iam:PassedToService"]
)
_OPERATORS = st.sampled_from(
    ["StringLike", "StringEquals", "IpAddress", "Bool", "Null", "ForAllValues:StringLike", "ArnLikeIfExists"]
)
_STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": st.one_of(st.just("sts:*"), _LISTS)},
    optional={
        "Resource": st.one_of(st.just("*"), _LISTS),
        "Principal": st.one_of(st.just("*"), st.dictionaries(st.sampled_from(["AWS", "Federated"]), _LISTS)),
        "Condition": st.dictionaries(_OPERATORS, st.dictionaries(_KEYS, _LISTS, max_size=3), max_size=3),
    },
)


@given(st.lists(_STATEMENTS, min_size=1, max_size=4), st.sampled_from(KINDS))
def test_no_policy_raises(statements: list[dict[str, Any]], kind: PolicyKind) -> None:
    lint(json.dumps({"Version": "2012-10-17", "Statement": statements}), kind, "111122223333")


def _filled(begin: str, item: str, end: str) -> str:
    """The longest document of the form that the reader takes; ``#`` in ``item`` is a running number."""
    items: list[str] = []
    size = len(begin) + len(end)
    while size < MAX_CHARACTERS - 400:
        items.append(item.replace("#", str(len(items))))
        size += len(items[-1]) + 1
    return begin + ",".join(items) + end


_BEGIN = '{"Version":"2012-10-17","Statement":['
_WEB = '{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity","Principal":{"Federated":'


@pytest.mark.parametrize(
    "text",
    [
        _filled(_BEGIN + '{"Effect":"Allow","Resource":"*","Action":[', '"iam:Lst#"', "]}]}"),
        _filled(_BEGIN + '{"Effect":"Allow","Resource":"*","Action":[', '"iam:*e*s*#"', "]}]}"),
        _filled(_BEGIN + '{"Effect":"Allow","Resource":"*","Action":[', '"iam:?*e?*#"', "]}]}"),
        _filled(_BEGIN + '{"Effect":"Allow","Action":"*","Resource":[', '"arn:aws:s3:::?*#*"', "]}]}"),
        _filled(_BEGIN, '{"Effect":"Allow","Action":"a:*#","Resource":"*"}', "]}"),
        _filled(
            _BEGIN,
            '{"Effect":"Allow","Action":"a:b#","Resource":"*"},{"Effect":"Deny","Action":"a:c#","Resource":"*"}',
            "]}",
        ),
        _filled(
            _BEGIN + '{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"a:b":[',
            '"*#"',
            "]}}}]}",
        ),
        _filled(
            _BEGIN + '{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{', '"aws:#":"*"', "}}}]}"
        ),
        _filled(_BEGIN + _WEB + "[", '"h#.example"', "]}}]}"),
        _filled(_BEGIN + _WEB + '"gitlab.com"},"Condition":{"StringLike":{', '"h#:sub":"*"', "}}}]}"),
        "[" * MAX_CHARACTERS,
        '"' + "\\" * (MAX_CHARACTERS - 1),
        "x" * (MAX_CHARACTERS + 1),
    ],
    ids=lambda text: text[:60],
)
def test_time_and_findings_are_bounded(text: str) -> None:
    started = time.process_time()
    for kind in (PolicyKind.IDENTITY, PolicyKind.TRUST):
        assert len(lint(text, kind, "111122223333")) <= MOST_FINDINGS * len(RULES)
    assert time.process_time() - started < 5


def test_many_suggestions_hide_no_security_warning() -> None:
    actions = ["a:b"] * 1_000
    text = json.dumps({"Statement": [{"Effect": "Allow", "Action": [*actions, "*"], "Resource": "*"}]})
    found = lint(text, PolicyKind.IDENTITY)
    assert found[0].code == "FULL_ADMINISTRATOR"
    assert len([finding for finding in found if finding.code == "REDUNDANT_ACTION"]) == MOST_FINDINGS


def test_findings_come_gravest_first_then_in_the_order_of_the_text() -> None:
    statement = {"Effect": "Allow", "Action": ["iam:Nope", "iam:Nada"], "Resource": "*"}
    found = lint(json.dumps({"Statement": [statement, {**statement, "Action": "*"}]}), PolicyKind.IDENTITY)
    assert [f.type for f in found] == sorted((f.type for f in found), key=list(FindingType).index)
    starts = [f.locations[0].span.start.offset for f in found if f.type is FindingType.ERROR]
    assert starts == sorted(starts)
    assert len(starts) == 2


def test_positions_count_lines_from_one_and_columns_from_zero() -> None:
    text = '{"Version": "2012-10-17", "Statement": {\n  "Effect": "Allow", "Resource": "*",\n  "Action": "iam:Nope"}}'
    (finding,) = lint(text, PolicyKind.IDENTITY)
    span = finding.locations[0].span
    assert (span.start.line, span.start.column) == (3, 12)
    assert text[span.start.offset : span.end.offset] == '"iam:Nope"'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"Statement": {"Principal": "*"}}', PolicyKind.TRUST),
        ('{"Statement": [{}, {"NotPrincipal": "*", "NotResource": "*"}]}', PolicyKind.RESOURCE),
        ('{"Statement": [{"Action": "*", "Resource": "*"}]}', PolicyKind.IDENTITY),
        ('{"Statement": "Principal"}', PolicyKind.IDENTITY),
        ('{"Principal": "*"}', PolicyKind.IDENTITY),
        ("[]", PolicyKind.IDENTITY),
        ("{", PolicyKind.IDENTITY),
    ],
)
def test_the_kind_is_guessed_by_the_elements(text: str, kind: PolicyKind) -> None:
    assert guess_kind(text) is kind


@pytest.mark.parametrize("service", OPERATIONS)
def test_the_catalogue_has_botocores_operations(service: str) -> None:
    assert set(botocore.session.get_session().get_service_model(service).operation_names) == OPERATIONS[service]


def test_the_catalogue_has_our_own_operations() -> None:
    assert {name: set(found["operations"]) for name, found in load_extensions().items()} == OWN_OPERATIONS


def test_the_catalogue_is_consistent() -> None:
    assert CONDITION_KEYS.keys() >= MULTIVALUED_KEYS
    assert len({key.lower() for key in CONDITION_KEYS}) == len(CONDITION_KEYS)
    assert all(key.endswith("/") for key in OPEN_KEYS)


def _trust(issuer: str, **condition: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{issuer}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"Bool": {"aws:SecureTransport": "true"}, **condition},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("issuer", NARROWING_CLAIMS)
@pytest.mark.parametrize("value", ["*", "repo:*", "organization:?", "repo:octo-org*", "repo:octo-org/app:x", "1234"])
@pytest.mark.parametrize("operator", ["StringLike", "StringEquals", "StringEqualsIfExists", "StringNotLike"])
def test_the_linter_warns_of_every_trust_that_the_configuration_refuses(issuer: str, value: str, operator: str) -> None:
    text = _trust(issuer, **{operator: {f"{issuer}:sub": value}})
    codes = {finding.code for finding in lint(text, PolicyKind.TRUST)}
    assert ("SHARED_ISSUER_WITHOUT_SUBJECT" in codes) is (careless_trust(text) is not None)


def test_the_linter_knows_every_issuer_that_the_configuration_refuses() -> None:
    known = {issuer.removesuffix("/v2.0"): claims for issuer, claims in NARROWING_CLAIMS.items()}
    assert known.items() <= SHARED_ISSUERS.items()


def _examples() -> Iterator[tuple[str, str]]:
    """The policies that people copy: those of the example configuration, commented out, and of the README."""
    text = (ROOT / "config" / "accredit.example.toml").read_text()
    plain = "\n".join(re.sub(r"^# ?", "", line) for line in text.splitlines())
    for number, found in enumerate(re.findall(r"'''\n\s*(\{.*?\})\n\s*'''", plain, re.DOTALL)):
        yield f"example-{number}", found
    for number, found in enumerate(re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)):
        yield f"readme-{number}", found


EXAMPLES = dict(_examples())


def test_the_example_configuration_has_policies() -> None:
    assert len([name for name in EXAMPLES if name.startswith("example")]) >= 2


@pytest.mark.parametrize("name", EXAMPLES)
def test_our_examples_have_no_findings(name: str) -> None:
    assert not lint(EXAMPLES[name], guess_kind(EXAMPLES[name]), "000000000000")


def test_thousands_of_statements_are_compared_within_a_budget() -> None:
    statements = [
        {"Effect": "Allow", "Action": f"s3:Get{number}", "Resource": f"arn:aws:s3:::b{number}"}
        for number in range(1_700)
    ]
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    begin = time.process_time()
    lint(text, PolicyKind.IDENTITY)
    assert time.process_time() - begin < 2

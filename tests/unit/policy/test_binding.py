"""ARN -> unique id on save and back: what is bound, what is left, who is refused, and whom evaluation lets in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.principal import Principal, PrincipalKind
from broker.errors import MalformedPolicy
from broker.policy.binding import bind_principals, bound_ids, shown_document
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate

OURS, FOREIGN = "111122223333", "444455556666"
USER, ROLE = f"arn:aws:iam::{OURS}:user/team/bob", f"arn:aws:iam::{OURS}:role/App"
ODD = f'arn:aws:iam::{OURS}:user/a"b\\c/eve'
IDS = {USER: "AIDAEXAMPLEEXAMPLE01", ROLE: "AROAEXAMPLEEXAMPLE01", ODD: "AIDAEXAMPLEEXAMPLE07"}
ARNS = {unique_id: arn for arn, unique_id in IDS.items()}


def bind(document: str, ids: dict[str, str] = IDS) -> str:
    arns = {unique_id: arn for arn, unique_id in ids.items()}
    return bind_principals(document, accounts={OURS}, find_id=ids.get, find_arn=arns.get)


def trusting(principal: object, **more: object) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def bound_principal(principal: object) -> object:
    return json.loads(bind(trusting(principal)))["Statement"][0]["Principal"]


@pytest.mark.parametrize("arn", IDS)
def test_a_user_and_a_role_become_their_unique_ids(arn: str) -> None:
    assert bound_principal({"AWS": arn}) == {"AWS": IDS[arn]}


def test_each_of_a_list_is_bound_in_its_place() -> None:
    written = [ROLE, OURS, USER, ROLE]
    assert bound_principal({"AWS": written}) == {"AWS": [IDS[ROLE], OURS, IDS[USER], IDS[ROLE]]}


def test_bound_ids_are_those_of_principals_alone() -> None:
    condition = {"StringLike": {"aws:userid": "AIDAINACONDITIONVALUE"}}
    document = bind(trusting({"AWS": [ROLE, OURS, USER], "Federated": "accounts.google.com"}, Condition=condition))
    assert bound_ids(document) == {IDS[ROLE], IDS[USER]}
    assert bound_ids(trusting("*")) == bound_ids(trusting({"AWS": "*"})) == set()


def test_every_statement_is_bound_also_one_that_is_no_list() -> None:
    one = {"Effect": "Allow", "Principal": {"AWS": USER}, "Action": "sts:AssumeRole"}
    assert json.loads(bind(json.dumps({"Statement": one})))["Statement"]["Principal"] == {"AWS": IDS[USER]}
    both = json.loads(bind(json.dumps({"Statement": [one, {**one, "Effect": "Deny", "Principal": {"AWS": ROLE}}]})))
    assert [statement["Principal"]["AWS"] for statement in both["Statement"]] == [IDS[USER], IDS[ROLE]]


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"AWS": "*"},
        {"AWS": OURS},
        {"AWS": f"arn:aws:iam::{OURS}:root"},
        {"AWS": f"arn:aws:sts::{OURS}:assumed-role/App/session"},
        {"AWS": f"arn:aws:sts::{OURS}:federated-user/bob"},
        {"AWS": f"arn:aws:iam::{FOREIGN}:user/bob"},
        {"AWS": f"arn:aws:iam::{FOREIGN}:role/App"},
        {"AWS": IDS[USER]},
        {"Federated": f"arn:aws:iam::{OURS}:saml-provider/user"},
        {"Federated": f"arn:aws:iam::{OURS}:oidc-provider/id.example.com/user/bob"},
        {"Service": "ec2.amazonaws.com"},
    ],
)
def test_everything_else_is_kept_as_written(principal: object) -> None:
    text = trusting(principal)
    parse_policy(text, PolicyKind.TRUST)
    assert bind(text) == text


@pytest.mark.parametrize(
    "value",
    [
        f"arn:aws:iam::{OURS}:user/bob",  # his path is missing
        f"arn:aws:iam::{OURS}:user/team/Bob",
        f"arn:aws:iam::{OURS}:role/team/bob",
        f"arn:aws:iam::{OURS}:role/app",
        f"arn:aws:iam::{OURS}:user/absent",
        f"arn:aws-cn:iam::{OURS}:role/App",
        "AIDAEXAMPLEEXAMPLE99",
        "AROAEXAMPLEEXAMPLE99",
    ],
)
def test_whoever_does_not_exist_is_refused_with_the_place(value: str) -> None:
    text = trusting({"AWS": [USER, value]})
    parse_policy(text, PolicyKind.TRUST)
    with pytest.raises(MalformedPolicy) as refusal:
        bind(text)
    column = text.index(f'"{value}"') + 1
    assert refusal.value.message == f'Invalid principal in policy: "AWS":"{value}" at line 1, column {column}'


def test_conditions_and_names_of_statements_are_never_bound() -> None:
    more = {"Sid": "AIDAEXAMPLEEXAMPLE01", "Condition": {"ArnEquals": {"aws:PrincipalArn": [USER, "AWS"]}}}
    text = trusting({"AWS": "*"}, **more)
    assert bind(text) == text
    assert shown_document(text, ARNS.get) == text


def test_nothing_but_the_name_changes_in_the_text() -> None:
    text = f"""{{ "Version" : "2012-10-17",
      "Statement":[ {{"Effect":"Allow","\\u0050rincipal":{{"AWS" :\t["{ROLE.replace("/", chr(92) + "/")}" , "{USER}"]}},
      "Action":"sts:AssumeRole" }} ]}}\n"""
    bound = bind(text)
    assert bound == text.replace(ROLE.replace("/", "\\/"), IDS[ROLE]).replace(USER, IDS[USER])
    assert shown_document(bound, ARNS.get) == text.replace("\\/", "/")


def test_an_arn_with_quotes_in_its_path_is_escaped_when_shown() -> None:
    text = trusting({"AWS": [ODD]})
    assert shown_document(bind(text), ARNS.get) == text


def test_whoever_is_gone_is_shown_as_the_bare_id() -> None:
    bound = bind(trusting({"AWS": [USER, ROLE]}))
    shown = shown_document(bound, {IDS[ROLE]: ROLE}.get)
    assert json.loads(shown)["Statement"][0]["Principal"] == {"AWS": [IDS[USER], ROLE]}


def test_a_moved_role_is_shown_by_its_new_arn() -> None:
    moved = ROLE.replace("role/", "role/team/")
    assert shown_document(bind(trusting({"AWS": ROLE})), {IDS[ROLE]: moved}.get) == trusting({"AWS": moved})


@given(st.lists(st.sampled_from([USER, ROLE, ODD, OURS, "*", f"arn:aws:iam::{FOREIGN}:role/App"]), min_size=1))
def test_binding_is_idempotent_and_shown_as_it_was_written(named: list[str]) -> None:
    text = trusting({"AWS": named})
    bound = bind(text)
    assert bind(text) == bound
    assert bind(bound) == bound
    assert shown_document(bound, ARNS.get) == text
    parse_policy(bound, PolicyKind.TRUST)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"Statement": 1}', '{"Statement": [{"Principal": {"AWS": 1}}]}'])
def test_what_is_no_policy_is_refused_or_left_alone(text: str) -> None:
    try:
        assert bind(text) == text
    except MalformedPolicy as refusal:
        assert "line 1" in refusal.message  # noqa: PT017  # the other half is the line above


def _decision(trust: str, principal: Principal) -> bool:
    source = PolicySource("trust", compile_policy(trust, PolicyKind.TRUST))
    request = AccessRequest(principal, "sts:AssumeRole", ROLE, OURS, {})
    return evaluate(request, PolicySet(resource=source, resource_is_trust=True)).allowed


def _user(unique_id: str) -> Principal:
    return Principal(PrincipalKind.USER, OURS, USER, unique_id, user_name="bob")


def _session(role_id: str) -> Principal:
    arn = f"arn:aws:sts::{OURS}:assumed-role/App/s"
    return Principal(PrincipalKind.ROLE_SESSION, OURS, arn, f"{role_id}:s", role_arn=ROLE, role_id=role_id)


@pytest.mark.parametrize(("arn", "made"), [(USER, _user), (ROLE, _session)])
def test_the_one_who_was_named_is_trusted_and_a_namesake_is_not(arn: str, made) -> None:
    trust = bind(trusting({"AWS": arn}))
    namesake = IDS[arn][:-2] + "55"
    assert _decision(trust, made(IDS[arn]))
    assert not _decision(trust, made(namesake))
    assert _decision(bind(trusting({"AWS": arn}), {arn: namesake}), made(namesake)), "saved anew"


def test_a_deny_is_bound_as_well() -> None:
    everybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    text = json.dumps({"Statement": [everybody, {**everybody, "Effect": "Deny", "Principal": {"AWS": USER}}]})
    assert not _decision(bind(text), _user(IDS[USER]))
    assert _decision(bind(text), _user("AIDAEXAMPLEEXAMPLE55"))

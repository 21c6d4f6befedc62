"""Every limit of the STS operations, asked for by boto3 (AWS STS API Reference; IAM User Guide)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from realm.server import ACCOUNT, BrokerServer, Keys, refused
from realm.site import EXTERNAL_ID, OTHER_ACCOUNT, SUBJECT, policy, role_arn, user_arn
from realm.token_issuer import AUDIENCE, TokenIssuer

Call = Callable[..., dict[str, Any]]
ROOT_SENTENCE = "Roles may not be assumed by root accounts."
CHAINED = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
MAXIMUM = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."


@pytest.fixture(scope="module")
def sts(broker: BrokerServer, ci: Keys) -> Any:
    """As the user who may call all of STS."""
    return broker.client(ci, parameter_validation=False)


@pytest.fixture(scope="module")
def assume(sts: Any) -> Call:
    """AssumeRole as that user, of the role ``auditor`` unless said otherwise."""

    def call(name: str = "auditor", **arguments: Any) -> dict[str, Any]:
        return sts.assume_role(**{"RoleArn": role_arn(name), "RoleSessionName": "limits"} | arguments)

    return call


@pytest.fixture(scope="module")
def federate(broker: BrokerServer, issuer: TokenIssuer) -> Call:
    """AssumeRoleWithWebIdentity of the role ``web``; ``claims`` go into the token."""
    client = broker.client(parameter_validation=False)

    def call(name: str = "web", claims: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        given = {
            "RoleArn": role_arn(name),
            "RoleSessionName": "limits",
            "WebIdentityToken": issuer.token(SUBJECT, **(claims or {})),
        }
        return client.assume_role_with_web_identity(**given | arguments)

    return call


def _chain(broker: BrokerServer, answer: dict[str, Any], name: str, **arguments: Any) -> dict[str, Any]:
    """AssumeRole with the credentials in ``answer``."""
    client = broker.client(Keys.of(answer), parameter_validation=False)
    return client.assume_role(**{"RoleArn": role_arn(name), "RoleSessionName": "chained"} | arguments)


def _lifetime(answer: dict[str, Any]) -> float:
    return (answer["Credentials"]["Expiration"] - datetime.now(UTC)).total_seconds()


# --- AssumeRole: answer -------------------------------------------------------------------------------------------


def test_assume_role_answers_what_aws_answers(assume: Call) -> None:
    answer = assume(RoleSessionName="a.b@c,d=e+f-g_h")
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert len(answer["Credentials"]["AccessKeyId"]) == 20
    assert len(answer["Credentials"]["SecretAccessKey"]) == 40
    user = answer["AssumedRoleUser"]
    assert user["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/auditor/a.b@c,d=e+f-g_h"
    assert user["AssumedRoleId"].startswith("AROA")
    assert user["AssumedRoleId"].endswith(":a.b@c,d=e+f-g_h")
    assert "PackedPolicySize" not in answer
    assert "SourceIdentity" not in answer
    assert 3_590 < _lifetime(answer) <= 3_600


def test_assumed_role_arn_has_no_path(broker: BrokerServer, sts: Any) -> None:
    answer = sts.assume_role(RoleArn=role_arn("in-team", path="/team/"), RoleSessionName="limits")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/in-team/limits"
    with refused("AccessDenied", status=403):
        sts.assume_role(RoleArn=role_arn("in-team"), RoleSessionName="limits")


# --- field constraints --------------------------------------------------------------------------------------------

INVALID = {
    "RoleSessionName": ["a", "a" * 65, "a b", "a/b", "", "žluť"],
    "ExternalId": ["a", "a" * 1_225, "a b"],
    "SourceIdentity": ["a", "a" * 65, "a b", "aws:alice"],
    "DurationSeconds": [0, 899, 43_201, -1],
    "RoleArn": ["arn", "x" * 2_049],
    "Tags": [
        [{"Key": "", "Value": "x"}],
        [{"Key": "k" * 129, "Value": "x"}],
        [{"Key": "k", "Value": "v" * 257}],
        [{"Key": "k!", "Value": "x"}],
        [{"Key": "k", "Value": "x;y"}],
        [{"Key": f"k{number}", "Value": "x"} for number in range(51)],
    ],
    "PolicyArns": [[{"arn": "short"}]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in INVALID.items() for value in values])
def test_a_field_outside_its_limits_is_a_validation_error(assume: Call, name: str, value: object) -> None:
    with refused("ValidationError", status=400):
        assume(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RoleSessionName", "ab"),
        ("RoleSessionName", "a" * 64),
        ("ExternalId", "ab"),
        ("ExternalId", "a" * 1_224),
        ("SourceIdentity", "ab"),
        ("SourceIdentity", "a" * 64),
        ("DurationSeconds", 900),
        ("DurationSeconds", 43_200),
        ("Tags", [{"Key": "k" * 128, "Value": "v" * 256}]),
        ("Tags", [{"Key": "k", "Value": ""}]),
        ("Tags", [{"Key": "Dělení _.:/=+-@", "Value": "žluť _.:/=+-@"}]),
    ],
)
def test_a_field_at_its_limits_is_taken(assume: Call, name: str, value: object) -> None:
    assert assume(**{name: value})["Credentials"]


def test_several_broken_limits_are_named_together(assume: Call) -> None:
    with refused("ValidationError", message="2 validation errors detected: ") as refusal:
        assume(RoleSessionName="a b", DurationSeconds=1)
    assert "at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular" in refusal.message
    assert "Value '1' at 'durationSeconds' failed to satisfy constraint: Member must have value" in refusal.message


@pytest.mark.parametrize("missing", ["RoleArn", "RoleSessionName"])
def test_a_required_field_may_not_be_missing(sts: Any, missing: str) -> None:
    arguments = {"RoleArn": role_arn("auditor"), "RoleSessionName": "limits"}
    del arguments[missing]
    with refused("ValidationError", status=400, message="Member must not be null"):
        sts.assume_role(**arguments)


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:user/auditor",
        f"arn:aws:s3::{ACCOUNT}:role/auditor",
        "arn:aws:iam::12345:role/auditor",
        f"arn:aws:iam:eu:{ACCOUNT}:role/auditor",
        "this is no arn at all, truly",
    ],
)
def test_an_arn_that_is_no_role_is_a_validation_error(assume: Call, arn: str) -> None:
    with refused("ValidationError", status=400):
        assume(RoleArn=arn)


# --- durations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "seconds"), [("auditor", 43_200), ("auditor", 900), ("second", 3_600)])
def test_the_duration_asked_for_is_given(assume: Call, name: str, seconds: int) -> None:
    assert seconds - 10 < _lifetime(assume(name, DurationSeconds=seconds)) <= seconds


def test_more_than_the_roles_maximum_is_refused(assume: Call, federate: Call) -> None:
    with refused("ValidationError", status=400, message=MAXIMUM):
        assume("second", DurationSeconds=3_601)
    with refused("ValidationError", status=400, message=MAXIMUM):
        federate("web", DurationSeconds=7_201)
    assert _lifetime(federate("web", DurationSeconds=7_200)) > 7_190


def test_a_chained_session_lives_an_hour_at_most(broker: BrokerServer, assume: Call, federate: Call) -> None:
    for answer in (assume("second"), federate()):
        with refused("ValidationError", status=400, message=CHAINED):
            _chain(broker, answer, "auditor", DurationSeconds=3_601)
        assert _lifetime(_chain(broker, answer, "auditor", DurationSeconds=3_600)) <= 3_600


# --- who may assume -----------------------------------------------------------------------------------------------


def test_root_may_not_assume_a_role(broker: BrokerServer) -> None:
    root = broker.client(broker.root)
    with refused("AccessDenied", status=403, message=ROOT_SENTENCE):
        root.assume_role(RoleArn=role_arn("auditor"), RoleSessionName="limits")


def test_a_role_that_does_not_exist_answers_as_a_forbidden_one(assume: Call, federate: Call) -> None:
    messages = []
    for name in ("closed", "absent"):
        with refused("AccessDenied", status=403) as refusal:
            assume(name)
        sentence, _, encoded = refusal.message.replace(f"role/{name}", "role/X").partition(" Encoded authorization")
        messages.append((sentence, len(encoded)))
    assert messages[0] == messages[1], "the sealed explanations are of one length too"
    assert messages[0][0].startswith(
        f"User: {user_arn('ci')} is not authorized to perform: sts:AssumeRole on resource: "
    )
    for name in ("closed", "absent"):
        with refused("AccessDenied", status=403, message="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
            federate(name)


def test_the_answer_is_the_same_for_an_account_that_is_not_here(sts: Any) -> None:
    with refused("AccessDenied", status=403):
        sts.assume_role(RoleArn=role_arn("auditor", "999999999999"), RoleSessionName="limits")


def test_trusting_the_account_leaves_it_to_the_callers_policies(broker: BrokerServer, users: dict[str, Keys]) -> None:
    nobody = broker.client(users["nobody"])
    with refused("AccessDenied", status=403):
        nobody.assume_role(RoleArn=role_arn("plain"), RoleSessionName="limits")
    assert nobody.assume_role(RoleArn=role_arn("named"), RoleSessionName="limits")["Credentials"]


def test_a_role_of_another_account_needs_both_sides(broker: BrokerServer, sts: Any, users: dict[str, Keys]) -> None:
    arn = role_arn("elsewhere", OTHER_ACCOUNT)
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="limits")
    identity = broker.client(Keys.of(answer)).get_caller_identity()
    assert identity["Account"] == OTHER_ACCOUNT
    with refused("AccessDenied", status=403):
        broker.client(users["nobody"]).assume_role(RoleArn=arn, RoleSessionName="limits")


@pytest.mark.parametrize("given", [None, "ticket-4712", EXTERNAL_ID.upper(), f"{EXTERNAL_ID}x"])
def test_the_external_id_must_be_exact(assume: Call, given: str | None) -> None:
    assert assume("guarded", ExternalId=EXTERNAL_ID)["Credentials"]
    with refused("AccessDenied", status=403):
        assume("guarded", **({} if given is None else {"ExternalId": given}))


# --- session policies ---------------------------------------------------------------------------------------------

NOTHING = policy({"Effect": "Allow", "Action": "sts:GetAccessKeyInfo", "Resource": "*"})
EVERYTHING = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})


def test_a_session_policy_narrows_the_session(broker: BrokerServer, assume: Call, federate: Call) -> None:
    for call in (assume, federate):
        narrowed = call(Policy=NOTHING)
        assert 0 < narrowed["PackedPolicySize"] <= 100
        with refused("AccessDenied", status=403):
            _chain(broker, narrowed, "second")
        assert broker.client(Keys.of(narrowed)).get_access_key_info(AccessKeyId=broker.root.access_key_id)
        assert _chain(broker, call(Policy=EVERYTHING), "second")["Credentials"]


def test_managed_session_policies_narrow_too(broker: BrokerServer, assume: Call) -> None:
    def arn(name: str, account: str = ACCOUNT) -> list[dict[str, str]]:
        return [{"arn": f"arn:aws:iam::{account}:policy/{name}"}]

    with refused("AccessDenied", status=403):
        _chain(broker, assume(PolicyArns=arn("assume-nothing")), "second")
    assert _chain(broker, assume(PolicyArns=arn("assume-all")), "second")["Credentials"]
    both = assume(PolicyArns=arn("assume-nothing"), Policy=EVERYTHING)
    assert _chain(broker, both, "second")["Credentials"]
    for unknown in (arn("absent"), arn("foreign", OTHER_ACCOUNT), arn("assume-all") * 11):
        with refused("ValidationError", status=400):
            assume(PolicyArns=unknown)


def test_a_session_policy_never_widens(broker: BrokerServer, assume: Call) -> None:
    answer = assume("third", Policy=EVERYTHING)
    with refused("AccessDenied", status=403):
        broker.client(Keys.of(answer)).get_access_key_info(AccessKeyId=broker.root.access_key_id)
    with refused("AccessDenied", status=403):
        _chain(broker, answer, "plain")


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        '"text"',
        "{}",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]}',
        policy({"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}),
        policy({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Nonsense": {"a": "b"}}}),
        EVERYTHING[:-1] + ', "Version": "2012-10-17"}',
        EVERYTHING.replace("2012-10-17", "2012-10-18"),
        "[" * 2_000,
    ],
)
def test_a_malformed_session_policy_is_named(assume: Call, document: str) -> None:
    with refused("MalformedPolicyDocument", status=400):
        assume(Policy=document)


@pytest.mark.parametrize("document", ["", EVERYTHING.replace('"*"', '"\u0141"', 1)])
def test_a_session_policy_of_other_characters_is_refused(assume: Call, federate: Call, document: str) -> None:
    for call in (assume, federate):
        with refused("ValidationError", status=400):
            call(Policy=document)


def test_a_session_policy_over_its_size_is_refused(assume: Call, federate: Call) -> None:
    resources = [f"arn:aws:iam::{ACCOUNT}:role/r{number:04}" for number in range(60)]
    document = policy({"Effect": "Allow", "Action": "sts:*", "Resource": resources})
    assert len(document) > 2_048
    for call in (assume, federate):
        with refused("ValidationError", status=400):
            call(Policy=document)


# --- session tags -------------------------------------------------------------------------------------------------


def _tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def test_session_tags_are_condition_keys_and_override_the_roles(broker: BrokerServer, assume: Call) -> None:
    with refused("AccessDenied", status=403):
        _chain(broker, assume("tagged"), "second")
    for key in ("Team", "TEAM"):
        blue = assume("tagged", Tags=_tags(**{key: "blue"}))
        assert blue["PackedPolicySize"] > 0
        assert _chain(broker, blue, "second")["Credentials"]


def test_session_tags_need_permission_on_both_sides(broker: BrokerServer, users: dict[str, Keys], assume: Call) -> None:
    with refused("AccessDenied", status=403, message="sts:TagSession"):
        assume("plain", Tags=_tags(Team="blue"))
    tagless = broker.client(users["tagless"])
    arguments = {"RoleArn": role_arn("auditor"), "RoleSessionName": "limits"}
    assert tagless.assume_role(**arguments)["Credentials"]
    with refused("AccessDenied", status=403, message="sts:TagSession"):
        tagless.assume_role(**arguments, Tags=_tags(Team="blue"))
    with refused("AccessDenied", status=403, message="sts:SetSourceIdentity"):
        tagless.assume_role(**arguments, SourceIdentity="alice")


@pytest.mark.parametrize(
    "arguments",
    [
        {"Tags": _tags(Team="a", team="b")},
        {"Tags": _tags(**{"aws:Team": "a"})},
        {"TransitiveTagKeys": ["Team"]},
        {"Tags": _tags(Team="a"), "TransitiveTagKeys": ["Other"]},
    ],
)
def test_tags_that_contradict_are_refused(assume: Call, arguments: dict[str, Any]) -> None:
    with refused("ValidationError", status=400) as refusal:
        assume(**arguments)
    assert refusal.message


def test_transitive_tags_stay_through_a_chain_and_others_do_not(broker: BrokerServer, assume: Call) -> None:
    transitive = assume(Tags=_tags(Team="blue", Other="x"), TransitiveTagKeys=["Team"])
    second = _chain(broker, transitive, "second")
    assert _chain(broker, second, "only-blue")["Credentials"]
    dropped = _chain(broker, assume(Tags=_tags(Team="blue")), "second")
    with refused("AccessDenied", status=403):
        _chain(broker, dropped, "only-blue")


def test_an_inherited_tag_cannot_be_changed(broker: BrokerServer, assume: Call) -> None:
    transitive = assume(Tags=_tags(Team="blue"), TransitiveTagKeys=["Team"])
    for key in ("Team", "team"):
        with refused("ValidationError", status=400):
            _chain(broker, transitive, "second", Tags=_tags(**{key: "red"}))
    assert _chain(broker, transitive, "second", Tags=_tags(Another="red"))["Credentials"]


def test_inherited_tags_need_tag_session_of_the_next_role(broker: BrokerServer, assume: Call) -> None:
    transitive = assume(Tags=_tags(Team="blue"), TransitiveTagKeys=["Team"])
    with refused("AccessDenied", status=403, message="sts:TagSession"):
        _chain(broker, transitive, "plain")


def test_tags_of_a_token_are_honoured(broker: BrokerServer, federate: Call) -> None:
    nested = {"principal_tags": {"Team": ["blue"]}, "transitive_tag_keys": ["Team"]}
    flat = {
        "https://aws.amazon.com/tags/principal_tags/Team": "blue",
        "https://aws.amazon.com/tags/transitive_tag_keys": ["Team"],
    }
    for claims in ({"https://aws.amazon.com/tags": nested}, flat):
        answer = federate(claims=claims)
        assert answer["PackedPolicySize"] > 0
        assert _chain(broker, _chain(broker, answer, "second"), "only-blue")["Credentials"]
        with refused("AccessDenied", status=403, message="sts:TagSession"):
            federate("web-plain", claims=claims)


# --- size ---------------------------------------------------------------------------------------------------------


def test_packed_policy_size_grows_and_is_limited(assume: Call) -> None:
    small = assume(Tags=_tags(a="1"))["PackedPolicySize"]
    middle = assume(Tags=_tags(**{f"key{number}": f"value {number}" for number in range(50)}))["PackedPolicySize"]
    assert 0 < small < middle <= 100
    noise = [{"Key": f"{_noise(120, number)}{number}", "Value": _noise(256, number + 100)} for number in range(50)]
    with refused("PackedPolicyTooLarge", status=400):
        assume(Tags=noise)


def test_a_token_at_the_limit_still_works(broker: BrokerServer, assume: Call) -> None:
    """Whatever is issued must also be accepted, in a header of the usual size."""
    answer: dict[str, Any] = {}
    for count in range(2, 51, 4):
        tags = [{"Key": f"{_noise(30, number)}{number}", "Value": _noise(200, number)} for number in range(count)]
        try:
            answer = assume(Tags=tags)
        except Exception:  # noqa: BLE001  # the size at which it ends is not this test's business
            break
    assert answer["PackedPolicySize"] > 50
    assert len(answer["Credentials"]["SessionToken"]) <= 8_000
    assert broker.client(Keys.of(answer)).get_caller_identity()["Account"] == ACCOUNT


def _noise(length: int, seed: int) -> str:
    """Letters that do not compress."""
    import hashlib

    return "".join(hashlib.sha256(f"{seed}.{part}".encode()).hexdigest() for part in range(length // 64 + 1))[:length]


# --- source identity ----------------------------------------------------------------------------------------------


def test_source_identity_stays_for_the_whole_chain(broker: BrokerServer, assume: Call) -> None:
    first = assume(SourceIdentity="alice")
    assert first["SourceIdentity"] == "alice"
    second = _chain(broker, first, "second")
    assert second["SourceIdentity"] == "alice"
    assert _chain(broker, second, "only-alice", SourceIdentity="alice")["SourceIdentity"] == "alice"
    with refused("AccessDenied", status=403):
        _chain(broker, second, "third", SourceIdentity="bob")
    bob = assume(SourceIdentity="bob")
    with refused("AccessDenied", status=403):
        _chain(broker, bob, "only-alice")


def test_source_identity_needs_permission_of_every_role(broker: BrokerServer, assume: Call) -> None:
    with refused("AccessDenied", status=403, message="sts:SetSourceIdentity"):
        assume("plain", SourceIdentity="alice")
    with refused("AccessDenied", status=403, message="sts:SetSourceIdentity"):
        _chain(broker, assume(SourceIdentity="alice"), "plain")


def test_source_identity_of_a_token_is_honoured(federate: Call) -> None:
    claims = {"https://aws.amazon.com/source_identity": "alice"}
    assert federate(claims=claims)["SourceIdentity"] == "alice"
    with refused("AccessDenied", status=403, message="sts:SetSourceIdentity"):
        federate("web-plain", claims=claims)


# --- AssumeRoleWithWebIdentity ------------------------------------------------------------------------------------


def test_web_identity_answers_what_aws_answers(issuer: TokenIssuer, federate: Call) -> None:
    answer = federate()
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert answer["Audience"] == AUDIENCE
    assert answer["Provider"] == issuer.issuer
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/limits"
    assert 3_590 < _lifetime(answer) <= 3_600
    assert federate(claims={"aud": "second-audience"})["Audience"] == "second-audience"


@pytest.mark.parametrize("algorithm", TokenIssuer.algorithms)
def test_every_algorithm_is_verified(issuer: TokenIssuer, federate: Call, algorithm: str) -> None:
    assert federate(WebIdentityToken=issuer.token(SUBJECT, algorithm))["Credentials"]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "somebody else"}, "InvalidIdentityToken"),
        ({"exp": 1_700_000_000}, "ExpiredTokenException"),
        ({"exp": None}, "InvalidIdentityToken"),
        ({"sub": None}, "InvalidIdentityToken"),
        ({"iss": "https://elsewhere.example"}, "InvalidIdentityToken"),
        ({"nbf": 4_000_000_000}, "InvalidIdentityToken"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(federate: Call, claims: dict[str, Any], code: str) -> None:
    with refused(code, status=403 if code == "IDPRejectedClaim" else 400) as refusal:
        federate(claims=claims)
    assert refusal.message


def test_a_token_of_4_to_20000_characters(federate: Call) -> None:
    for token in ("abc", "a" * 20_001):
        with refused("ValidationError", status=400):
            federate(WebIdentityToken=token)
    for token in ("abcd", "a" * 20_000, "a.b.c", "...."):
        with refused("InvalidIdentityToken", status=400):
            federate(WebIdentityToken=token)


def test_any_claim_is_a_condition_key(federate: Call) -> None:
    with refused("AccessDenied", status=403):
        federate("web-claims")
    with refused("AccessDenied", status=403):
        federate("web-claims", claims={"realm_access": {"roles": ["reader"]}})
    assert federate("web-claims", claims={"realm_access": {"roles": ["reader", "deployer"]}})["Credentials"]


def test_conditions_on_subject_and_audience(federate: Call) -> None:
    assert federate("web-main")["Credentials"]
    with refused("AccessDenied", status=403):
        federate("web-main", claims={"sub": f"{SUBJECT}x"})
    with refused("AccessDenied", status=403):
        federate("web-main", claims={"aud": "second-audience"})


def test_a_token_may_end_with_a_newline(issuer: TokenIssuer, federate: Call) -> None:
    assert federate(WebIdentityToken=issuer.token(SUBJECT) + "\n")["Credentials"]


# --- GetCallerIdentity --------------------------------------------------------------------------------------------


def test_caller_identity_of_root_user_and_sessions(
    broker: BrokerServer, sts: Any, assume: Call, federate: Call
) -> None:
    root = broker.client(broker.root).get_caller_identity()
    assert (root["UserId"], root["Account"], root["Arn"]) == (ACCOUNT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    user = sts.get_caller_identity()
    assert user["UserId"].startswith("AIDA")
    assert user["Arn"] == user_arn("ci")
    for answer in (assume(), federate()):
        session = broker.client(Keys.of(answer)).get_caller_identity()
        assert session["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
        assert session["Arn"] == answer["AssumedRoleUser"]["Arn"]
        assert session["Account"] == ACCOUNT


def test_caller_identity_cannot_be_denied(broker: BrokerServer, assume: Call, users: dict[str, Keys]) -> None:
    denied = assume(Policy=policy({"Effect": "Deny", "Action": "*", "Resource": "*"}))
    assert broker.client(Keys.of(denied)).get_caller_identity()["Account"] == ACCOUNT
    assert broker.client(users["nobody"]).get_caller_identity()["Arn"] == user_arn("nobody")


# --- GetAccessKeyInfo ---------------------------------------------------------------------------------------------


def test_access_key_info_reads_the_account_from_the_id(sts: Any, assume: Call, ci: Keys) -> None:
    for key_id in (ci.access_key_id, assume()["Credentials"]["AccessKeyId"]):
        assert sts.get_access_key_info(AccessKeyId=key_id)["Account"] == ACCOUNT
    assert sts.get_access_key_info(AccessKeyId="ASIAY34FZKBOKMUTVV7A")["Account"] == "609629065308"


@pytest.mark.parametrize("key_id", ["AKIA", "A" * 129, "AKIA!!!!!!!!!!!!!!!!", "AKIA1111111111111111", "A" * 40])
def test_access_key_info_of_no_key_id(sts: Any, key_id: str) -> None:
    with refused("ValidationError", status=400):
        sts.get_access_key_info(AccessKeyId=key_id)


def test_access_key_info_needs_permission(broker: BrokerServer, users: dict[str, Keys], ci: Keys) -> None:
    with refused("AccessDenied", status=403, message="sts:GetAccessKeyInfo"):
        broker.client(users["nobody"]).get_access_key_info(AccessKeyId=ci.access_key_id)
    assert broker.client(broker.root).get_access_key_info(AccessKeyId=ci.access_key_id)["Account"] == ACCOUNT


# --- what is not served -------------------------------------------------------------------------------------------


def test_a_parameter_that_is_not_supported_is_refused_by_name(assume: Call) -> None:
    with refused("InvalidParameterValue", status=400, message="ProvidedContexts") as refusal:
        assume(ProvidedContexts=[{"ProviderArn": f"arn:aws:iam::{ACCOUNT}:x/y", "ContextAssertion": "text"}])
    assert json.dumps(refusal.message)

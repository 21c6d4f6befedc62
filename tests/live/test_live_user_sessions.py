"""GetSessionToken, GetFederationToken, MFA codes, decoded denials and revoked sessions, by boto3 and command line."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from botocore.exceptions import ClientError
from realm.server import ACCOUNT, BrokerServer, Keys, accredit, refused, serving
from realm.site import OTHER_ACCOUNT, SUBJECT, allow, federated, identity_provider, policy, role, role_arn
from realm.site import trust as trusting
from realm.token_issuer import TokenIssuer

SEEDS = {name: pyotp.random_base32() for name in ("alice", "bob", "carol", "dave")}
STARS = policy(allow("sts:*"))


def serial(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:mfa/{name}"


def _user(name: str, *statements: dict[str, Any]) -> str:
    text = f'[[user]]\nname = "{name}"\ntags = {{ team = "blue" }}\n'
    text += f"[[user.inline_policy]]\nname = \"own\"\ndocument = '{policy(*statements)}'\n"
    text += f'[[user.access_key]]\nsecret_file = "{name}.secret"\n'
    if name in SEEDS:
        text += f'[[user.mfa_device]]\nname = "{name}"\nseed_file = "{name}.seed"\n'
    return text


@pytest.fixture(scope="module")
def site(make_broker: Callable[..., BrokerServer], issuer: TokenIssuer) -> Iterator[BrokerServer]:
    account = {"AWS": ACCOUNT}
    made = make_broker(settings={"fetch.allow_http_loopback": True, "server.workers": 2})
    for name in (*SEEDS, "plain"):
        for file, text in ((f"{name}.secret", secrets.token_urlsafe(30)), (f"{name}.seed", SEEDS.get(name, ""))):
            (made.directory / file).touch(mode=0o600)
            (made.directory / file).write_text(text)
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    made.add(
        "\n".join(
            (
                f'[[account]]\nid = "{OTHER_ACCOUNT}"\n',
                identity_provider(issuer.issuer),
                *(_user(name, allow("*")) for name in SEEDS),
                _user("plain", allow(["sts:AssumeRole", "sts:DecodeAuthorizationMessage"])),
                role("web", federated(issuer.issuer), may=[allow("sts:*")]),
                role("any", trusting(account, actions), may=[allow("sts:*")]),
                role("with-mfa", trusting(account, actions, Bool={"aws:MultiFactorAuthPresent": "true"})),
                role("fresh-mfa", trusting(account, actions, NumericLessThan={"aws:MultiFactorAuthAge": "60"})),
                role(
                    "revoked-before",
                    trusting(account),
                    may=[
                        allow("sts:*"),
                        {
                            "Effect": "Deny",
                            "Action": "*",
                            "Resource": "*",
                            "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2099-01-01T00:00:00Z"}},
                        },
                    ],
                ),
                role("abroad", trusting({"AWS": OTHER_ACCOUNT}), account=OTHER_ACCOUNT),
            )
        )
    )
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def keys(site: BrokerServer) -> dict[str, Keys]:
    found = json.loads(accredit("config", "check", "--json", site.directory))["access_keys"]
    return {name: Keys(key, (site.directory / f"{name}.secret").read_text().strip()) for key, name in found.items()}


def code(name: str, steps: int = 0) -> str:
    return pyotp.TOTP(SEEDS[name]).at(datetime.now(UTC) + timedelta(seconds=30 * steps))


# GetSessionToken


def test_a_session_token_is_the_user_itself(site: BrokerServer, keys: dict[str, Keys]) -> None:
    answer = site.client(keys["plain"]).get_session_token()  # no permission is needed
    left = (answer["Credentials"]["Expiration"] - datetime.now(UTC)).total_seconds()
    assert 43_100 < left <= 43_200
    me = site.client(Keys.of(answer)).get_caller_identity()
    assert me["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/plain"
    assert me["UserId"] == site.client(keys["plain"]).get_caller_identity()["UserId"]
    assert set(answer) == {"Credentials", "ResponseMetadata"}


@pytest.mark.parametrize(("seconds", "lifetime"), [(900, 900), (3_600, 3_600), (129_600, 3_600)])
def test_the_root_users_session_is_clamped_to_an_hour(site: BrokerServer, seconds: int, lifetime: int) -> None:
    for call in ("get_session_token", "get_federation_token"):
        arguments = {"Name": "someone"} if call == "get_federation_token" else {}
        answer = getattr(site.client(site.root), call)(DurationSeconds=seconds, **arguments)
        left = (answer["Credentials"]["Expiration"] - datetime.now(UTC)).total_seconds()
        assert lifetime - 10 < left <= lifetime


def test_a_users_session_lasts_up_to_36_hours(site: BrokerServer, keys: dict[str, Keys]) -> None:
    sts = site.client(keys["plain"], parameter_validation=False)
    left = sts.get_session_token(DurationSeconds=129_600)["Credentials"]["Expiration"] - datetime.now(UTC)
    assert left.total_seconds() > 129_500
    for seconds in (899, 129_601, 0, -1):
        with refused("ValidationError", status=400):
            sts.get_session_token(DurationSeconds=seconds)


def test_session_credentials_are_restricted(site: BrokerServer, keys: dict[str, Keys]) -> None:
    session = Keys.of(site.client(keys["alice"]).get_session_token())
    sts = site.client(session)
    for call, arguments in (
        (sts.get_session_token, {}),
        (sts.get_federation_token, {"Name": "ab"}),
        (sts.get_access_key_info, {"AccessKeyId": session.access_key_id}),
        (sts.decode_authorization_message, {"EncodedMessage": "AAAA"}),
    ):
        with refused("AccessDenied", status=403, message="with session credentials"):
            call(**arguments)
    with refused("InvalidClientTokenId", status=403):
        site.client(session, service="iam").get_outbound_web_identity_federation_info()
    assert sts.assume_role(RoleArn=role_arn("any"), RoleSessionName="of-a-session")["Credentials"]
    with refused("ValidationError", status=400, message="1 hour session limit"):  # counts as role chaining
        sts.assume_role(RoleArn=role_arn("any"), RoleSessionName="of-a-session", DurationSeconds=3_601)


def test_role_sessions_get_no_other_sessions(site: BrokerServer, keys: dict[str, Keys]) -> None:
    session = Keys.of(site.client(keys["alice"]).assume_role(RoleArn=role_arn("any"), RoleSessionName="one"))
    for call in ("get_session_token", "get_federation_token"):
        with refused("AccessDenied", status=403, message="with session credentials"):
            getattr(site.client(session), call)(**({"Name": "ab"} if "federation" in call else {}))


def test_a_root_session_assumes_no_role(site: BrokerServer) -> None:
    session = Keys.of(site.client(site.root).get_session_token())
    assert site.client(session).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    with refused("AccessDenied", status=403, message="root accounts"):
        site.client(session).assume_role(RoleArn=role_arn("any"), RoleSessionName="root")


# MFA


def test_a_code_counts_once_and_opens_what_needs_mfa(site: BrokerServer, keys: dict[str, Keys]) -> None:
    sts = site.client(keys["alice"])
    asked = {"RoleArn": role_arn("with-mfa"), "RoleSessionName": "mfa"}
    with refused("AccessDenied", status=403):
        sts.assume_role(**asked)
    with refused("AccessDenied", status=403):  # a session without MFA says so
        site.client(Keys.of(sts.get_session_token())).assume_role(**asked)
    now = code("alice")
    given = {"SerialNumber": serial("alice"), "TokenCode": now}
    answer = sts.assume_role(**asked, **given)
    assert now not in json.dumps(site.event(answer["ResponseMetadata"]["RequestId"])["requestParameters"])
    with refused("AccessDenied", status=403, message="MultiFactorAuthentication failed"):
        sts.assume_role(**asked, **given)
    session = Keys.of(sts.get_session_token(SerialNumber=serial("alice"), TokenCode=code("alice", 1)))
    for name in ("with-mfa", "fresh-mfa"):
        assert site.client(session).assume_role(RoleArn=role_arn(name), RoleSessionName="mfa")["Credentials"]
    with refused("FeatureDisabled", status=404):  # with MFA, a session reaches IAM
        site.client(session, service="iam").get_outbound_web_identity_federation_info()


def test_wrong_codes_and_devices_are_refused(site: BrokerServer, keys: dict[str, Keys]) -> None:
    sts = site.client(keys["bob"], parameter_validation=False)
    asked = {"RoleArn": role_arn("any"), "RoleSessionName": "mfa"}
    for given in (
        {"SerialNumber": serial("bob")},
        {"TokenCode": code("bob")},
        {"SerialNumber": serial("carol"), "TokenCode": code("carol")},
        {"SerialNumber": serial("nobody"), "TokenCode": code("bob")},
        {"SerialNumber": serial("bob"), "TokenCode": code("bob", -5)},
        {"SerialNumber": serial("bob"), "TokenCode": code("bob", 5)},
    ):
        with refused("AccessDenied", status=403, message="MultiFactorAuthentication failed"):
            sts.assume_role(**asked, **given)
    for text in ("12345", "1234567", "12345a", "", "１２３４５６"):
        with refused("ValidationError", status=400):
            sts.assume_role(**asked, SerialNumber=serial("bob"), TokenCode=text)
    assert sts.assume_role(**asked, SerialNumber=serial("bob"), TokenCode=code("bob"))["Credentials"]


def test_guessing_is_slowed_down(site: BrokerServer, keys: dict[str, Keys]) -> None:
    sts = site.client(keys["dave"])
    for _ in range(5):
        with refused("AccessDenied", message="invalid MFA one time pass code"):
            sts.get_session_token(SerialNumber=serial("dave"), TokenCode=code("dave", 7))
    with refused("AccessDenied", message="invalid MFA one time pass code") as refusal:
        sts.get_session_token(SerialNumber=serial("dave"), TokenCode=code("dave"))
    event = site.event(refusal.request_id)
    assert "too many wrong codes" in event["additionalEventData"]["reason"]


def test_a_role_session_has_no_device(site: BrokerServer, keys: dict[str, Keys]) -> None:
    session = Keys.of(site.client(keys["carol"]).assume_role(RoleArn=role_arn("any"), RoleSessionName="carol"))
    with refused("AccessDenied", status=403, message="MultiFactorAuthentication failed"):
        site.client(session).assume_role(
            RoleArn=role_arn("any"), RoleSessionName="xx", SerialNumber=serial("carol"), TokenCode=code("carol")
        )


# GetFederationToken


def test_a_federated_user_may_what_user_and_session_policy_allow(site: BrokerServer, keys: dict[str, Keys]) -> None:
    answer = site.client(keys["alice"]).get_federation_token(
        Name="guest", Policy=STARS, Tags=[{"Key": "Project", "Value": "x"}], DurationSeconds=900
    )
    assert answer["FederatedUser"] == {
        "FederatedUserId": f"{ACCOUNT}:guest",
        "Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/guest",
    }
    assert 0 < answer["PackedPolicySize"] < 100
    sts = site.client(Keys.of(answer))
    me = sts.get_caller_identity()
    assert (me["Arn"], me["UserId"]) == (answer["FederatedUser"]["Arn"], answer["FederatedUser"]["FederatedUserId"])
    for call, arguments in (
        (sts.assume_role, {"RoleArn": role_arn("any"), "RoleSessionName": "no"}),
        (sts.get_session_token, {}),
        (sts.get_federation_token, {"Name": "ab"}),
        (sts.get_access_key_info, {"AccessKeyId": "ASIAY34FZKBOKMUTVV7A"}),
    ):
        with refused("AccessDenied", status=403, message="with federation credentials"):
            call(**arguments)
    with refused("InvalidClientTokenId", status=403):
        site.client(Keys.of(answer), service="iam").get_outbound_web_identity_federation_info()
    event = site.event(answer["ResponseMetadata"]["RequestId"])
    assert event["responseElements"]["federatedUser"]["arn"] == answer["FederatedUser"]["Arn"]
    assert "secretAccessKey" not in json.dumps(event)


@pytest.mark.parametrize(
    "arguments",
    [
        {"Name": "a"},
        {"Name": "a" * 33},
        {"Name": "a b"},
        {"Name": "ab", "DurationSeconds": 899},
        {"Name": "ab", "DurationSeconds": 129_601},
        {"Name": "ab", "PolicyArns": [{"arn": f"arn:aws:iam::{ACCOUNT}:policy/absent"}]},
        {"Name": "ab", "PolicyArns": [{"arn": f"arn:aws:iam::{ACCOUNT}:policy/p{n}"} for n in range(11)]},
        {"Name": "ab", "Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]},
        {"Name": "ab", "Tags": [{"Key": "aws:a", "Value": ""}]},
        {"Name": "ab", "Policy": STARS + " " * 2_048},
    ],
)
def test_the_limits_of_a_federation_token(site: BrokerServer, keys: dict[str, Keys], arguments: Any) -> None:
    with refused("ValidationError", status=400):
        site.client(keys["alice"], parameter_validation=False).get_federation_token(**arguments)


def test_a_federation_token_needs_permission(site: BrokerServer, keys: dict[str, Keys]) -> None:
    with refused("AccessDenied", status=403, message="sts:GetFederationToken on resource: arn:aws:sts::"):
        site.client(keys["plain"]).get_federation_token(Name="guest")
    with refused("MalformedPolicyDocument", status=400):
        site.client(keys["alice"]).get_federation_token(Name="guest", Policy="{}")


# DecodeAuthorizationMessage


def _encoded(error: ClientError) -> str:
    message = error.response["Error"]["Message"]
    return str(message.partition("Encoded authorization failure message: ")[2])


def test_a_denial_is_decoded_by_those_who_may(site: BrokerServer, keys: dict[str, Keys], issuer: TokenIssuer) -> None:
    with pytest.raises(ClientError) as denied:
        site.client(keys["plain"]).assume_role(RoleArn=role_arn("with-mfa"), RoleSessionName="xx")
    encoded = _encoded(denied.value)
    assert 0 < len(encoded) <= 10_240
    event = site.event(denied.value.response["ResponseMetadata"]["RequestId"])
    assert "nearest miss" in event["additionalEventData"]["reason"]
    assert encoded not in json.dumps(event), "the record has the reason itself"
    answer = site.client(keys["plain"]).decode_authorization_message(EncodedMessage=encoded)
    decoded = json.loads(answer["DecodedMessage"])
    assert decoded["allowed"] is False
    assert decoded["context"]["action"] == "sts:AssumeRole"
    assert decoded["context"]["resource"] == role_arn("with-mfa")
    assert "MultiFactorAuthPresent" in json.dumps(decoded["nearestMiss"])
    narrowed = site.client(keys["alice"]).assume_role(
        RoleArn=role_arn("any"), RoleSessionName="narrow", Policy=policy(allow("sts:GetAccessKeyInfo"))
    )
    with refused("AccessDenied", status=403, message="sts:DecodeAuthorizationMessage"):
        site.client(Keys.of(narrowed)).decode_authorization_message(EncodedMessage=encoded)


def test_a_foreign_roles_denial_is_for_its_account(site: BrokerServer, keys: dict[str, Keys]) -> None:
    with pytest.raises(ClientError) as denied:
        site.client(keys["alice"]).assume_role(RoleArn=role_arn("abroad", OTHER_ACCOUNT), RoleSessionName="xx")
    with refused("InvalidAuthorizationMessageException", status=400):
        site.client(keys["alice"]).decode_authorization_message(EncodedMessage=_encoded(denied.value))


@pytest.mark.parametrize("text", ["A", "AAAA", "é", "AQ==", "A" * 10_240, "{}"])
def test_other_messages_are_refused(site: BrokerServer, keys: dict[str, Keys], text: str) -> None:
    with refused("InvalidAuthorizationMessageException", status=400):
        site.client(keys["alice"]).decode_authorization_message(EncodedMessage=text)


def test_a_changed_message_is_refused(site: BrokerServer, keys: dict[str, Keys]) -> None:
    with pytest.raises(ClientError) as denied:
        site.client(keys["plain"]).get_access_key_info(AccessKeyId="ASIAY34FZKBOKMUTVV7A")
    encoded = _encoded(denied.value)
    changed = encoded[:400] + ("A" if encoded[400] != "A" else "B") + encoded[401:]
    sts = site.client(keys["alice"], parameter_validation=False)
    for text in (changed, encoded[:-4], encoded + "AAAA"):
        with refused("InvalidAuthorizationMessageException", status=400):
            sts.decode_authorization_message(EncodedMessage=text)
    with refused("ValidationError", status=400):
        sts.decode_authorization_message(EncodedMessage="A" * 10_241)


# revocation


def _web(site: BrokerServer, issuer: TokenIssuer, subject: str = SUBJECT, **claims: Any) -> Keys:
    client = site.client()
    return Keys.of(
        client.assume_role_with_web_identity(
            RoleArn=role_arn("web"), RoleSessionName="web", WebIdentityToken=issuer.token(subject, **claims)
        )
    )


def _alive(site: BrokerServer, keys: Keys) -> bool:
    """Asked often enough that both workers have answered."""
    answers = set()
    for _ in range(16):
        client = site.client(keys)
        try:
            client.get_caller_identity()
            answers.add("alive")
        except ClientError as error:
            answers.add(error.response["Error"]["Code"])
        finally:
            client.close()
    assert answers in ({"alive"}, {"ExpiredToken"}), f"the workers disagree: {answers}"
    return answers == {"alive"}


def _revoke(site: BrokerServer, *arguments: str) -> None:
    accredit("sessions", "revoke", site.directory, *arguments)
    time.sleep(2)


def test_one_session_is_revoked_with_those_chained_from_it(
    site: BrokerServer, keys: dict[str, Keys], issuer: TokenIssuer
) -> None:
    one, other = _web(site, issuer), _web(site, issuer)
    chained = Keys.of(site.client(one).assume_role(RoleArn=role_arn("any"), RoleSessionName="chained"))
    again = Keys.of(site.client(chained).assume_role(RoleArn=role_arn("any"), RoleSessionName="again"))
    listed = {
        item["access_key_id"]: item for item in json.loads(accredit("sessions", "list", site.directory, "--json"))
    }
    assert listed[one.access_key_id]["subject"] == SUBJECT
    assert listed[again.access_key_id]["arn"].endswith("assumed-role/any/again")
    assert not listed[one.access_key_id]["revoked"]
    _revoke(site, "--session", one.access_key_id)
    assert [_alive(site, found) for found in (one, chained, again, other)] == [False, False, False, True]
    assert f"{one.access_key_id}" in accredit("sessions", "list", site.directory)
    assert "REVOKED" in accredit("sessions", "list", site.directory)
    assert site.events(eventName="RevokeSessions")


def test_all_sessions_of_a_subject_are_revoked(site: BrokerServer, issuer: TokenIssuer) -> None:
    one, other = _web(site, issuer, "job:gone"), _web(site, issuer, "job:stays")
    chained = Keys.of(site.client(one).assume_role(RoleArn=role_arn("any"), RoleSessionName="chained"))
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.issuer.partition('://')[2]}"
    _revoke(site, "--subject", "job:gone", "--provider", provider)
    assert [_alive(site, found) for found in (one, chained, other)] == [False, False, True]
    assert _alive(site, _web(site, issuer, "job:gone")), "whoever may sign in again gets a new session"


def test_all_sessions_of_a_source_identity_are_revoked(site: BrokerServer, keys: dict[str, Keys]) -> None:
    sts = site.client(keys["alice"])
    mallory, alice = (
        Keys.of(sts.assume_role(RoleArn=role_arn("any"), RoleSessionName=name, SourceIdentity=name))
        for name in ("mallory", "alice")
    )
    chained = Keys.of(site.client(mallory).assume_role(RoleArn=role_arn("any"), RoleSessionName="chained"))
    _revoke(site, "--source-identity", "mallory", "--account", ACCOUNT)
    assert [_alive(site, found) for found in (mallory, chained, alice)] == [False, False, True]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--session", "ASIAY34FZKBOKMUTVV7A", "--source-identity", "x", "--account", ACCOUNT),
        ("--source-identity", "x"),
        ("--subject", "x"),
        ("--session", "nonsense"),
        ("--session", "AKIAY34FZKBOKMUTVV7A"),
        ("--subject", "x", "--provider", "arn:aws:iam::123456789012:oidc-provider/absent"),
    ],
)
def test_a_revocation_names_exactly_what_it_revokes(site: BrokerServer, arguments: tuple[str, ...]) -> None:
    with pytest.raises(RuntimeError):
        accredit("sessions", "revoke", site.directory, *arguments)


def test_sessions_issued_before_a_time_are_denied_by_policy(site: BrokerServer, keys: dict[str, Keys]) -> None:
    """The AWSRevokeOlderSessions policy: Deny everything if aws:TokenIssueTime is before a date."""
    session = Keys.of(site.client(keys["alice"]).assume_role(RoleArn=role_arn("revoked-before"), RoleSessionName="old"))
    sts = site.client(session)
    with refused("AccessDenied", status=403, message="with an explicit deny in an identity-based policy"):
        sts.get_access_key_info(AccessKeyId="ASIAY34FZKBOKMUTVV7A")
    assert sts.get_caller_identity()["Account"] == ACCOUNT  # cannot be denied


@pytest.mark.parametrize("operation", ["assume_root", "get_delegated_access_token"])
def test_what_is_not_served_is_refused_by_name(site: BrokerServer, keys: dict[str, Keys], operation: str) -> None:
    arguments = {
        "assume_root": {"TargetPrincipal": ACCOUNT, "TaskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/X"}},
        "get_delegated_access_token": {"TradeInToken": "token"},
    }
    with refused("UnsupportedOperation", status=400, message="not supported"):
        getattr(site.client(keys["alice"]), operation)(**arguments[operation])


def test_the_aws_cli_gets_a_session_token(site: BrokerServer, keys: dict[str, Keys]) -> None:
    from realm.server import BIN, clean_environment

    done = subprocess.run(
        [BIN / "aws", "sts", "get-session-token", "--duration-seconds", "900", "--endpoint-url", site.url],
        env=clean_environment() | keys["plain"].environment() | {"AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Credentials"]["SessionToken"]


def test_no_session_forgets_where_it_came_from(site: BrokerServer, keys: dict[str, Keys]) -> None:
    """A chain is as long as it can remember: however long it was, revoking its first session ends it all."""
    session = first = Keys.of(site.client(keys["alice"]).assume_role(RoleArn=role_arn("any"), RoleSessionName="first"))
    links = [first]
    with refused("ValidationError", status=400, message="50 links"):
        while True:
            session = Keys.of(site.client(session).assume_role(RoleArn=role_arn("any"), RoleSessionName="chained"))
            links.append(session)
    assert len(links) == 51
    _revoke(site, "--session", first.access_key_id)
    assert not any(_alive(site, links[number]) for number in (0, 1, 20, 50))


def test_a_denials_length_says_nothing(site: BrokerServer, keys: dict[str, Keys]) -> None:
    """Whatever the caller sends beside what the policy says, and whether there is a role at all."""
    sts = site.client(keys["alice"])
    lengths = set()
    for name in ("abroad", "absent"):
        for tags in ([], [{"Key": f"key{number}", "Value": secrets.token_hex(16)} for number in range(30)]):
            with pytest.raises(ClientError) as denied:
                sts.assume_role(RoleArn=role_arn(name, OTHER_ACCOUNT), RoleSessionName="xx", Tags=tags)
            lengths.add(len(_encoded(denied.value)))
    assert len(lengths) == 1


def test_a_code_is_never_shown(site: BrokerServer, keys: dict[str, Keys]) -> None:
    with refused("ValidationError") as refusal:
        site.client(keys["bob"], parameter_validation=False).get_session_token(
            SerialNumber=serial("bob"), TokenCode="453381 "
        )
    assert "453381" not in refusal.message
    assert "453381" not in json.dumps(site.event(refusal.request_id))

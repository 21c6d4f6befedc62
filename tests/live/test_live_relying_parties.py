"""Tokens for relying parties: issued over the wire, verified by other people's libraries from what is published."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from realm import wire
from realm.components import node_modules, program
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, accredit, refused, request_id, serving
from realm.site import OTHER_ACCOUNT, SESSION_TAG_ACTIONS, allow, role, role_arn, trust, user, user_arn

MakeBroker = Callable[..., BrokerServer]
AUDIENCE = "https://api.example.com"
NAMESPACE = "https://sts.amazonaws.com/"
TOKEN_ACTIONS = ["sts:GetWebIdentityToken", "sts:TagGetWebIdentityToken"]
ALGORITHMS = ("RS256", "ES384")
_SECRET = "s" * 40
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

GUARDED = allow(
    TOKEN_ACTIONS,
    f"arn:aws:sts::{ACCOUNT}:self",
    Condition={
        "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": [AUDIENCE, "second"]},
        "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
        "StringEquals": {"sts:SigningAlgorithm": "ES384"},
        "StringLikeIfExists": {"aws:RequestTag/Team": "b*"},
    },
)
OBJECTS = "\n".join(
    (
        f'[[account]]\nid = "{OTHER_ACCOUNT}"\n',
        user("app", may=[allow(TOKEN_ACTIONS), allow(SESSION_TAG_ACTIONS)], secret_file="user.secret"),
        user("untagged", may=[allow("sts:GetWebIdentityToken")], secret_file="user.secret"),
        user("guarded", may=[GUARDED], secret_file="user.secret"),
        user("nobody", secret_file="user.secret"),
        user("reader", may=[allow("iam:GetOutboundWebIdentityFederationInfo")], secret_file="user.secret"),
        role(
            "job",
            trust({"AWS": ACCOUNT}, SESSION_TAG_ACTIONS),
            may=[allow(TOKEN_ACTIONS)],
            tags={"Team": "red", "Kept": "yes"},
            path="/team/",
        ),
        role("elsewhere", trust({"AWS": ACCOUNT}), may=[allow(TOKEN_ACTIONS)], account=OTHER_ACCOUNT),
    )
)


def _made(make_broker: MakeBroker, **settings: object) -> BrokerServer:
    made = make_broker(settings={"server.workers": 2, **{key.replace("__", "."): v for key, v in settings.items()}})
    secret_file = made.directory / "user.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(_SECRET)
    made.add(OBJECTS)
    return made


def _users(broker: BrokerServer) -> dict[str, Keys]:
    found = json.loads(accredit("config", "check", "--json", broker.directory))["access_keys"]
    return {name: Keys(key_id, _SECRET) for key_id, name in found.items()}


@dataclass
class Site:
    """A server whose account issues tokens."""

    broker: BrokerServer
    users: dict[str, Keys]
    issuer: str

    def ask(self, who: str | Keys = "app", **parameters: Any) -> dict[str, Any]:
        keys = self.users[who] if isinstance(who, str) else who
        given = {"Audience": [AUDIENCE], "SigningAlgorithm": "ES384", **parameters}
        return dict(self.broker.client(keys).get_web_identity_token(**given))

    def claims(self, who: str | Keys = "app", **parameters: Any) -> dict[str, Any]:
        """Verified by PyJWT."""
        token = self.ask(who, **parameters)["WebIdentityToken"]
        return verify_pyjwt(self.issuer, token, parameters.get("Audience", [AUDIENCE])[0])

    def session(self, name: str = "job", account: str = ACCOUNT, path: str = "/team/", **parameters: Any) -> Keys:
        given = {"RoleArn": role_arn(name, account, path), "RoleSessionName": "s1", **parameters}
        return Keys.of(self.broker.client(self.users["app"]).assume_role(**given))


@pytest.fixture(scope="module")
def site(make_broker: MakeBroker) -> Iterator[Site]:
    with serving(_made(make_broker)) as broker:
        issuer = broker.client(broker.root, service="iam").enable_outbound_web_identity_federation()["IssuerIdentifier"]
        yield Site(broker, _users(broker), issuer)


def get(url: str) -> Any:
    with _OPENER.open(url, timeout=10) as answer:
        return json.load(answer)


def discover(issuer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a relying party reads: the discovery document and the keys that it names."""
    found = get(f"{issuer}/.well-known/openid-configuration")
    return found, get(found["jwks_uri"])


def verify_pyjwt(issuer: str, token: str, audience: str = AUDIENCE) -> dict[str, Any]:
    found, keys = discover(issuer)
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    algorithms = found["id_token_signing_alg_values_supported"]
    options: Any = {"require": ["iss", "sub", "aud", "iat", "exp", "jti"]}
    return dict(jwt.decode(token, key, algorithms, options, audience=audience, issuer=found["issuer"]))


def verify_joserfc(issuer: str, token: str, audience: str = AUDIENCE) -> dict[str, Any]:
    found, keys = discover(issuer)
    algorithms = found["id_token_signing_alg_values_supported"]
    decoded = joserfc_jwt.decode(token, KeySet.import_key_set(keys), algorithms)
    joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": found["issuer"]}, aud={"essential": True, "value": audience}
    ).validate(decoded.claims)
    return dict(decoded.claims)


def verify_jose(issuer: str, *tokens: str) -> list[dict[str, Any]]:
    """npm's jose: claims and header of each, or the refusal's code."""
    given = {"modules": str(node_modules("jose")), "issuer": issuer, "audience": AUDIENCE, "tokens": tokens}
    done = subprocess.run(
        [program("node"), str(Path(__file__).parent / "js" / "verify.cjs")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def altered(token: str) -> str:
    """The token with another subject and the old signature."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = user_arn("admin")
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


# --- verified by others ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_is_verified_from_the_published_keys_alone(site: Site, algorithm: str) -> None:
    before = int(time.time())
    answer = site.ask(SigningAlgorithm=algorithm, Tags=[{"Key": "Team", "Value": "žluť"}])
    token = answer["WebIdentityToken"]
    claims = verify_pyjwt(site.issuer, token)
    assert verify_joserfc(site.issuer, token) == claims
    (by_jose,) = verify_jose(site.issuer, token)
    assert by_jose["payload"] == claims
    assert by_jose["protectedHeader"]["alg"] == algorithm
    assert by_jose["protectedHeader"].keys() == {"alg", "kid", "typ"}

    assert claims["iss"] == site.issuer == f"{site.broker.url}/oidc/{ACCOUNT}"
    assert (claims["sub"], claims["aud"]) == (user_arn("app"), AUDIENCE)
    assert claims["exp"] - claims["iat"] == 300
    assert before <= claims["iat"] <= before + 5
    assert int(answer["Expiration"].timestamp()) == claims["exp"]
    assert claims[NAMESPACE] == {
        "aws_account": ACCOUNT,
        "source_region": REGION,
        "principal_id": user_arn("app"),
        "request_tags": {"Team": "žluť"},
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_altered_token_is_refused(site: Site, algorithm: str) -> None:
    token = altered(site.ask(SigningAlgorithm=algorithm)["WebIdentityToken"])
    with pytest.raises(jwt.InvalidSignatureError):
        verify_pyjwt(site.issuer, token)
    with pytest.raises(JoseError):
        verify_joserfc(site.issuer, token)
    assert verify_jose(site.issuer, token) == [{"code": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}]


def test_a_token_is_for_its_audience(site: Site) -> None:
    token = site.ask(Audience=["somebody else"])["WebIdentityToken"]
    with pytest.raises(jwt.InvalidAudienceError):
        verify_pyjwt(site.issuer, token)
    assert verify_jose(site.issuer, token) == [{"code": "ERR_JWT_CLAIM_VALIDATION_FAILED"}]


def test_several_audiences_are_a_list(site: Site) -> None:
    audiences = [f"audience {number}" for number in range(10)]
    assert site.claims(Audience=audiences)["aud"] == audiences


def test_the_token_of_a_session_names_the_role(site: Site) -> None:
    keys = site.session(Tags=[{"Key": "team", "Value": "blue"}], SourceIdentity="alice", DurationSeconds=900)
    claims = site.claims(keys, DurationSeconds=60)
    assert claims["sub"] == role_arn("job", path="/team/")
    details = claims[NAMESPACE]
    assert details["principal_id"] == claims["sub"]
    assert details["principal_tags"] == {"team": "blue", "Kept": "yes"}
    assert details["source_identity"] == "alice"
    assert details["original_session_exp"].endswith("Z")
    assert "request_tags" not in details
    assert claims["exp"] - claims["iat"] == 60


def test_two_tokens_have_two_ids(site: Site) -> None:
    assert site.claims()["jti"] != site.claims()["jti"]


def test_the_record_has_the_tokens_id_and_not_the_token(site: Site) -> None:
    answer = site.ask()
    event = site.broker.event(request_id(answer))
    claims = verify_pyjwt(site.issuer, answer["WebIdentityToken"])
    assert event["responseElements"]["tokenId"] == claims["jti"]
    assert event["responseElements"]["keyId"] == jwt.get_unverified_header(answer["WebIdentityToken"])["kid"]
    assert event["requestParameters"]["audience"] == [AUDIENCE]
    assert answer["WebIdentityToken"].rpartition(".")[2] not in json.dumps(event)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"Audience.member.1": ""},
        {"Audience.member.1": "a" * 1_001},
        {f"Audience.member.{number}": "a" for number in range(1, 12)},
        {"Audience.member.1": "a", "DurationSeconds": "59"},
        {"Audience.member.1": "a", "DurationSeconds": "3601"},
        {"Audience.member.1": "a", "SigningAlgorithm": "none"},
        {"Audience.member.1": "a", "SigningAlgorithm": "HS256"},
        {"Audience.member.1": "a", "SigningAlgorithm": "es384"},
        {"Audience.member.1": "a", "SigningAlgorithm": ""},
        {"Audience.member.1": "a", "Tags.member.1.Key": "", "Tags.member.1.Value": "v"},
        {"Audience.member.1": "a", "Tags.member.1.Key": "k" * 129, "Tags.member.1.Value": "v"},
        {"Audience.member.1": "a", "Tags.member.1.Key": "k", "Tags.member.1.Value": "v" * 257},
        {"Audience.member.1": "a", "Tags.member.1.Key": "k"},
        {"Audience.member.1": "a", "Tags.member.1.Key": "aws:k", "Tags.member.1.Value": "v"},
        {
            "Audience.member.1": "a",
            "Tags.member.1.Key": "k",
            "Tags.member.1.Value": "v",
            "Tags.member.2.Key": "K",
            "Tags.member.2.Value": "w",
        },
        {
            "Audience.member.1": "a",
            **{f"Tags.member.{n}.{part}": f"{n}" for n in range(1, 52) for part in ("Key", "Value")},
        },
        {},
    ],
    ids=str,
)
def test_limits(site: Site, parameters: dict[str, str]) -> None:
    answer = wire.call(
        site.broker, site.users["app"], "GetWebIdentityToken", **{"SigningAlgorithm": "ES384", **parameters}
    )
    assert (answer.status, answer.code) == (400, "ValidationError"), answer


def test_what_is_not_supported_is_named(site: Site) -> None:
    answer = wire.call(
        site.broker,
        site.users["app"],
        "GetWebIdentityToken",
        **{"Audience.member.1": "a", "SigningAlgorithm": "ES384", "SubjectMode": "OriginIdentity"},
    )
    assert answer.status == 400
    assert "SubjectMode" in answer.message


def test_claims_that_do_not_fit_are_refused(site: Site) -> None:
    tags = [{"Key": f"key-{number}", "Value": "v" * 256} for number in range(50)]
    with refused("JWTPayloadSizeExceededException", status=400):
        site.ask(Tags=tags)
    fitting = site.ask(Tags=tags[:15], SigningAlgorithm="RS256")["WebIdentityToken"]
    assert 4_000 < len(fitting) < 8_000


def test_nobody_may_ask_unsigned(site: Site) -> None:
    body = wire.form("GetWebIdentityToken", **{"Audience.member.1": "a", "SigningAlgorithm": "ES384"})
    assert wire.post(site.broker, body).code == "MissingAuthenticationToken"


def test_a_token_does_not_outlive_its_callers_session(site: Site) -> None:
    keys = site.session(DurationSeconds=900)
    with refused("SessionDurationEscalationException", status=403) as refusal:
        site.ask(keys, DurationSeconds=901)
    assert site.broker.event(refusal.request_id)["errorCode"] == "SessionDurationEscalationException"
    site.claims(keys, DurationSeconds=800)


@pytest.mark.parametrize(
    ("who", "parameters", "action"),
    [
        ("nobody", {}, "sts:GetWebIdentityToken"),
        ("reader", {}, "sts:GetWebIdentityToken"),
        ("untagged", {"Tags": [{"Key": "Team", "Value": "b"}]}, "sts:TagGetWebIdentityToken"),
        ("guarded", {"Audience": ["other"]}, "sts:GetWebIdentityToken"),
        ("guarded", {"Audience": [AUDIENCE, "other"]}, "sts:GetWebIdentityToken"),
        ("guarded", {"Audience": [AUDIENCE.upper()]}, "sts:GetWebIdentityToken"),
        ("guarded", {"SigningAlgorithm": "RS256"}, "sts:GetWebIdentityToken"),
        ("guarded", {"DurationSeconds": 301}, "sts:GetWebIdentityToken"),
        ("guarded", {"Tags": [{"Key": "Team", "Value": "red"}]}, "sts:GetWebIdentityToken"),
    ],
    ids=str,
)
def test_policies_decide(site: Site, who: str, parameters: dict[str, Any], action: str) -> None:
    sentence = f"is not authorized to perform: {action} on resource: arn:aws:sts::{ACCOUNT}:self"
    with refused("AccessDenied", status=403, message=sentence):
        site.ask(who, **parameters)


@pytest.mark.parametrize(
    ("who", "parameters"),
    [
        ("untagged", {}),
        ("guarded", {}),
        ("guarded", {"Audience": [AUDIENCE, "second"]}),
        ("guarded", {"DurationSeconds": 300}),
        ("guarded", {"Tags": [{"Key": "Team", "Value": "blue"}]}),
    ],
    ids=str,
)
def test_policies_allow(site: Site, who: str, parameters: dict[str, Any]) -> None:
    assert site.claims(who, **parameters)["sub"] == user_arn(who)


def test_a_session_policy_narrows(site: Site) -> None:
    narrowed = site.session(Policy=json.dumps({"Version": "2012-10-17", "Statement": allow("sts:AssumeRole")}))
    with refused("AccessDenied"):
        site.ask(narrowed)


# --- the feature: who may switch it, and what it leaves -------------------------------------------------------------


def test_another_account_has_its_own_switch(site: Site) -> None:
    """Whoever may in one account learns nothing of the other, whose issuer is as good as absent."""
    assert wire.ask(site.broker, "GET", f"/oidc/{OTHER_ACCOUNT}/.well-known/openid-configuration").status == 404
    assert wire.ask(site.broker, "GET", "/oidc/nothing/.well-known/jwks.json").status == 404


@pytest.mark.parametrize("who", ["app", "nobody"])
@pytest.mark.parametrize(
    "method",
    [
        "enable_outbound_web_identity_federation",
        "disable_outbound_web_identity_federation",
        "get_outbound_web_identity_federation_info",
    ],
)
def test_iam_needs_its_permissions(site: Site, who: str, method: str) -> None:
    with refused("AccessDenied", status=403, message="is not authorized to perform: iam:"):
        getattr(site.broker.client(site.users[who], service="iam"), method)()


def test_the_issuer_can_be_read(site: Site) -> None:
    info = site.broker.client(site.users["reader"], service="iam").get_outbound_web_identity_federation_info()
    assert (info["IssuerIdentifier"], info["JwtVendingEnabled"]) == (site.issuer, True)


def test_documents_can_be_cached(site: Site) -> None:
    path = f"/oidc/{ACCOUNT}/.well-known/jwks.json"
    first = wire.ask(site.broker, "GET", path)
    assert (first.status, first.headers["content-type"]) == (200, "application/json")
    assert first.headers["cache-control"] == "public, max-age=150"
    again = wire.ask(site.broker, "GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert wire.ask(site.broker, "GET", path, headers={"If-None-Match": '"other"'}).status == 200
    assert wire.ask(site.broker, "POST", path).status == 405
    private = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
    assert not [key for key in json.loads(first.body)["keys"] if private & key.keys()]


def test_the_life_of_the_feature(make_broker: MakeBroker) -> None:
    """Off at first; on and off again, seen by every worker within two seconds, and recorded with the change."""
    with serving(_made(make_broker)) as broker:
        users, iam = _users(broker), broker.client(broker.root, service="iam")
        jwks = f"/oidc/{ACCOUNT}/.well-known/jwks.json"

        def ask() -> dict[str, Any]:
            given = {"Audience": [AUDIENCE], "SigningAlgorithm": "ES384"}
            return dict(broker.client(users["app"]).get_web_identity_token(**given))

        with refused("OutboundWebIdentityFederationDisabledException", status=403):
            ask()
        with refused("FeatureDisabled", status=404):
            iam.get_outbound_web_identity_federation_info()
        with refused("FeatureDisabled", status=404):
            iam.disable_outbound_web_identity_federation()
        assert wire.ask(broker, "GET", jwks).status == 404

        enabled = iam.enable_outbound_web_identity_federation()
        event = broker.events(request_id(enabled))
        assert [found["eventName"] for found in event] == ["EnableOutboundWebIdentityFederation"]
        assert event[0]["readOnly"] is False
        assert event[0]["responseElements"] == {"issuerIdentifier": enabled["IssuerIdentifier"]}
        with refused("FeatureEnabled", status=409):
            iam.enable_outbound_web_identity_federation()
        tokens = [ask()["WebIdentityToken"] for _ in range(10)]  # connections of their own: both workers answer

        disabled = iam.disable_outbound_web_identity_federation()
        assert len(broker.events(request_id(disabled))) == 1
        time.sleep(2)
        for _ in range(10):
            with refused("OutboundWebIdentityFederationDisabledException", status=403):
                ask()
        for token in tokens:  # what was issued stays good until it expires
            assert verify_pyjwt(enabled["IssuerIdentifier"], token)["sub"] == user_arn("app")

        keys = wire.ask(broker, "GET", jwks).body
        assert iam.enable_outbound_web_identity_federation()["IssuerIdentifier"] == enabled["IssuerIdentifier"]
        assert wire.ask(broker, "GET", jwks).body == keys
        ask()


# --- rotation -------------------------------------------------------------------------------------------------------


@dataclass
class Verifier:
    """A relying party that reads the keys again only when a token names one that it does not know."""

    issuer: str
    used: dict[str, float] = field(default_factory=dict)
    reads: int = 0
    _keys: dict[str, Any] = field(default_factory=dict)

    def verify(self, token: str) -> None:
        kid = jwt.get_unverified_header(token)["kid"]
        self.used.setdefault(kid, time.monotonic())
        if kid not in self._keys:
            self.reads += 1
            self._keys = published(self.issuer)
        jwt.decode(token, self._keys[kid], list(ALGORITHMS), audience=AUDIENCE, issuer=self.issuer)


def published(issuer: str) -> dict[str, Any]:
    _, keys = discover(issuer)
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(keys).keys}


class Rotations:
    """Callers and their verifiers at work while keys are rotated; what went wrong is kept."""

    def __init__(self, broker: BrokerServer, keys: Keys, issuer: str, watch_seconds: float) -> None:
        self._broker, self._keys, self._issuer, self._watch_seconds = broker, keys, issuer, watch_seconds
        self._stop = threading.Event()
        self.verifiers = {algorithm: Verifier(issuer) for algorithm in ALGORITHMS}
        self.seen: dict[str, float] = {}
        self.tokens: list[str] = []
        self.failures: list[str] = []

    def _work(self, algorithm: str) -> None:
        given = {"Audience.member.1": AUDIENCE, "SigningAlgorithm": algorithm, "DurationSeconds": "3600"}
        while not self._stop.is_set():
            try:
                answer = wire.call(self._broker, self._keys, "GetWebIdentityToken", **given)
                assert answer.status == 200, answer
                token = answer.element("WebIdentityToken")
                self.verifiers[algorithm].verify(token)
                self.tokens.append(token)
            except Exception as error:  # noqa: BLE001  # whatever it is, the test tells it
                self.failures.append(repr(error)[:500])

    def _watch(self) -> None:
        """A cache that honours max-age and nothing else."""
        while True:
            try:
                for kid in published(self._issuer):
                    self.seen.setdefault(kid, time.monotonic())
            except Exception as error:  # noqa: BLE001
                self.failures.append(repr(error)[:500])
            if self._stop.wait(self._watch_seconds):
                return

    def __enter__(self) -> Rotations:
        works = [threading.Thread(target=self._work, args=(algorithm,)) for algorithm in ALGORITHMS]
        self._threads = [threading.Thread(target=self._watch), *works]
        for thread in self._threads:
            thread.start()
            time.sleep(0.5)  # the watcher knows the first keys before they are used
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.timeout(300)
def test_twenty_rotations_under_load_break_no_verification(make_broker: MakeBroker) -> None:
    """Two workers; verifiers that ask again for unknown keys alone, and a cache that never does."""
    rotations, publish_seconds = 20, 4
    with serving(_made(make_broker, keys__publish_before_use_seconds=publish_seconds)) as broker:
        issuer = broker.client(broker.root, service="iam").enable_outbound_web_identity_federation()["IssuerIdentifier"]
        with Rotations(broker, _users(broker)["app"], issuer, publish_seconds / 2) as load:
            for _ in range(rotations):
                accredit("keys", "rotate", "--signing", broker.directory)
                time.sleep(0.5)
            time.sleep(publish_seconds + 1.5)

        assert not load.failures, (len(load.failures), load.failures[:3])
        states = json.loads(accredit("keys", "list", "--signing", "--json", broker.directory))
        assert len(states) == 2 * (rotations + 1)
        assert sorted(state["state"] for state in states) == ["signing"] * 2 + ["verifying"] * 2 * rotations
        for verifier in load.verifiers.values():
            assert len(verifier.used) > rotations // 2, "the keys were not used in turn"
            assert verifier.reads <= len(verifier.used)
            for kid, first_used in verifier.used.items():
                assert load.seen[kid] <= first_used, "a key signed before a cache could have it"

        final = published(issuer)
        assert len(load.tokens) > 5 * rotations
        for token in load.tokens:  # and every one of them still verifies
            kid = jwt.get_unverified_header(token)["kid"]
            jwt.decode(token, final[kid], list(ALGORITHMS), audience=AUDIENCE, issuer=issuer)

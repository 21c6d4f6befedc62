"""AssumeRoleWithSAML: what an assertion asks, what a role allows, and that each assertion counts once."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from realm import saml_forge as forge
from realm.saml_forge import ACCOUNT, AWS, NOW, PROVIDER, ROLE, Draft

from broker.app import Prepared, build_services
from broker.audit.event import CallRecord, render
from broker.callers import find_candidate
from broker.configure import Declaration, apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.domain.secret import Secret
from broker.errors import (
    AccessDenied,
    AssertionReplayed,
    AuditUnavailable,
    BrokerError,
    ConfigurationError,
    InvalidIdentity,
    MalformedPolicy,
    ValidationFailed,
)
from broker.saml.attributes import RolePair, parse_role_pair
from broker.saml.keys import describe_subject
from broker.services import Caller, Services
from broker.settings import Settings, load_settings
from broker.store.assertion_claims import delete_expired_claims
from broker.store.engine import Database
from broker.store.schema import migrate
from broker.sts.saml import AssumedRoleWithSaml, assume_role_with_saml
from providers.base import ExternalIdentity
from providers.errors import Expired, ProviderError, SignatureInvalid

MASTER = b"m" * 32
ACTIONS = ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"]
OTHER_PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/other"


def arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def trust(action: object = None, provider: str = PROVIDER, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": action or ACTIONS}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]})


def equals(**keys: object) -> dict[str, Any]:
    return {"StringEquals": {f"saml:{name}": value for name, value in keys.items()}}


ROLES = {
    "Developer": trust(),
    "Second": trust(),
    "plain": trust("sts:AssumeRoleWithSAML"),
    "of-another-provider": trust(provider=OTHER_PROVIDER),
    "by-subject": trust(**equals(sub=forge.SUBJECT, iss=forge.ENTITY_ID, aud=forge.ACS)),
    "by-qualifier": trust(**equals(namequalifier="ACjbFXpwXLxf5vwh0gbtySON1sQ=", doc=f"{ACCOUNT}/realm")),
    "by-persistent": trust(**equals(sub_type="persistent")),
    "by-mail": trust(**equals(mail="alice@x")),
    "by-group": trust(**{"ForAnyValue:StringEquals": {"saml:groups": "backend"}}),
    "by-tag": trust(StringEquals={"aws:RequestTag/team": "blue"}),
    "not-alice": trust(StringNotEquals={"saml:sub": forge.SUBJECT}),
}


def configuration(**settings: object) -> str:
    parts = [f'[[account]]\nid = "{ACCOUNT}"']
    for name in ("realm", "other"):
        lines = ["[[identity_provider]]", 'kind = "saml"', f'name = "{name}"', 'metadata_file = "idp.xml"']
        lines += [f'audiences = ["{forge.AUDIENCE}"]', f'acs_urls = ["{forge.ACS}"]']
        parts.append("\n".join(lines + [f"{key} = {json.dumps(value)}" for key, value in settings.items()]))
    parts += [f"[[role]]\nname = '{name}'\ntrust_policy = '{text}'" for name, text in ROLES.items()]
    return "\n".join([*parts, "max_session_duration = 7200"])


def read(directory: Path, text: str) -> tuple[Settings, Declaration]:
    (directory / "idp.xml").write_text(forge.metadata())
    (directory / "idp.xml").chmod(0o644)
    key = directory / "sp.pem"
    key.touch(mode=0o600)
    key.write_text(forge.private_pem("sp"))
    (directory / "accredit.toml").write_text(text)
    settings = load_settings(directory, {})
    return settings, check_configuration(settings, MASTER, {})


def make_services(directory: Path, text: str) -> Services:
    settings, declaration = read(directory, text)
    database = Database("sqlite:///accredit.db", directory)
    migrate(database)
    apply_configuration(database, declaration, MASTER)
    with database.change() as connection:
        add_key(connection, MASTER, now=NOW, activation_seconds=0)
    database.close()
    return build_services(Prepared(settings, MASTER))


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = make_services(tmp_path_factory.mktemp("saml"), configuration())
    yield made
    made.audit.close()
    made.database.close()


_numbers = iter(range(1_000_000))


def response(role: str = "Developer", *, xml: str = "", which: str = "assertion", **attributes: object) -> str:
    """A signed response for this role, with an id of its own; attributes of AWS's by their names without the prefix."""
    found: dict[str, Any] = {f"{AWS}Role": (f"{arn(role)},{PROVIDER}",), f"{AWS}RoleSessionName": ("alice",)}
    for name, values in attributes.items():
        key = f"{AWS}{name.replace('__', ':')}" if name[0].isupper() else name
        found[key] = (values,) if isinstance(values, str) else values
    draft = Draft(assertion_id=f"_a{next(_numbers)}", attributes={k: v for k, v in found.items() if v is not None})
    return forge.pack(forge.signed(draft, which))


def caller(now: datetime = NOW) -> Caller:
    return Caller(now, CallRecord("id", now))


def assume(services: Services, text: str, role: str = "Developer", **more: Any) -> AssumedRoleWithSaml:
    """And the step in which the endpoint makes it durable."""
    asking = more.pop("caller", None) or caller()
    more.setdefault("principal_arn", PROVIDER)
    answer = assume_role_with_saml(services, asking, role_arn=arn(role), saml_assertion=Secret(text), **more)
    if (error := services.audit.issued(asking.record, render(asking.record))) is not None:
        raise error
    return answer


# --- answers ----------------------------------------------------------------------------------------------------------


def test_the_answer(services: Services) -> None:
    answer = assume(services, response())
    assert (answer.subject, answer.subject_type, answer.issuer) == (forge.SUBJECT, forge.EMAIL, forge.ENTITY_ID)
    assert (answer.audience, answer.name_qualifier) == (forge.ACS, "ACjbFXpwXLxf5vwh0gbtySON1sQ=")
    assert answer.assumed_role_user.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Developer/alice"
    assert (answer.source_identity, answer.packed_policy_size) == (None, None)
    assert answer.credentials.expiration == NOW + timedelta(hours=1)


def test_awss_own_example_of_a_name_qualifier() -> None:
    """IAM User Guide, "uniquely identifying users in SAML-based federation"."""
    identity = ExternalIdentity("", "https://example.com/saml", "", ("",), {}, None, NOW, NOW)
    assert describe_subject(identity, "123456789012", "MySAMLIdP").name_qualifier == "1uAJanUnBc2XeUkHURMht+xam2c="


def test_what_stays_in_the_session(services: Services) -> None:
    answer = assume(services, response(SourceIdentity="alice", PrincipalTag__team="blue", TransitiveTagKeys="team"))
    made = answer.credentials
    session = find_candidate(services, made.access_key_id, made.session_token.reveal()).session
    assert session is not None
    assert session.federation == {
        "saml:sub": (forge.SUBJECT,),
        "saml:sub_type": (forge.EMAIL,),
        "saml:namequalifier": ("ACjbFXpwXLxf5vwh0gbtySON1sQ=",),
    }
    assert (session.provider, session.subject) == (PROVIDER, (PROVIDER, forge.SUBJECT))
    assert (session.tags, session.transitive_tag_keys) == ({"team": "blue"}, ("team",))
    assert (session.source_identity, answer.source_identity) == ("alice", "alice")


def test_the_record_has_what_came_with_the_assertion(services: Services) -> None:
    asking = caller()
    asking.record.parameters = {"role_arn": arn("Developer")}
    assume(services, response(PrincipalTag__team="blue", SourceIdentity="alice"), caller=asking)
    event = json.loads(render(asking.record))
    assert event["userIdentity"] == {
        "type": "SAMLUser",
        "principalId": f"ACjbFXpwXLxf5vwh0gbtySON1sQ=:{forge.SUBJECT}",
        "userName": forge.SUBJECT,
        "identityProvider": "ACjbFXpwXLxf5vwh0gbtySON1sQ=",
    }
    parameters = event["requestParameters"]
    assert parameters["sAMLAssertionID"].startswith("_a")
    assert (parameters["principalTags"], parameters["roleSessionName"]) == ({"team": "blue"}, "alice")


@pytest.mark.parametrize(
    ("role", "attributes"),
    [
        ("by-subject", {}),
        ("by-qualifier", {}),
        ("by-mail", {"mail": "alice@x"}),
        ("by-mail", {"urn:oid:0.9.2342.19200300.100.1.3": "alice@x"}),
        ("by-mail", {"0.9.2342.19200300.100.1.3": "alice@x"}),
        ("by-group", {"groups": ("frontend", "backend")}),
        ("by-tag", {"PrincipalTag__team": "blue"}),
    ],
)
def test_condition_keys(services: Services, role: str, attributes: dict[str, Any]) -> None:
    assume(services, response(role, **attributes), role)


@pytest.mark.parametrize(
    ("role", "attributes"),
    [
        ("by-mail", {}),
        ("by-mail", {"mail": "bob@x"}),
        ("by-group", {"groups": "frontend"}),
        ("by-tag", {"PrincipalTag__team": "red"}),
        ("by-persistent", {}),
        ("by-persistent", {"sub_type": "persistent"}),  # an attribute stands for nothing that the subject says
        ("not-alice", {"sub": "bob"}),
        ("of-another-provider", {}),
        ("plain", {"PrincipalTag__team": "blue"}),
        ("plain", {"SourceIdentity": "alice"}),
        ("missing", {}),
    ],
)
def test_the_trust_policy_refuses(services: Services, role: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(AccessDenied, match=r"^Not authorized to perform sts:\w+$"):
        assume(services, response(role, **attributes), role)


# --- what the assertion asks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (f"{ROLE},{PROVIDER}", True),
        (f"{PROVIDER},{ROLE}", True),
        (f"\n  {ROLE},\n  {PROVIDER}\n", True),
        (ROLE, False),
        (PROVIDER, False),
        (f"{ROLE},{OTHER_PROVIDER}", False),
        (f"{ROLE},{PROVIDER},{PROVIDER}", False),
        (f"{ROLE},{ROLE}", False),
        (f"{PROVIDER},{PROVIDER}", False),
        (f"{ROLE};{PROVIDER}", False),
        (f"{ROLE} {PROVIDER}", False),
        (f"{ROLE},{PROVIDER}x", False),
        (f"{ROLE.upper()},{PROVIDER}", False),
        (f"{ROLE.replace('Developer', 'developer')},{PROVIDER}", False),
        (f"{ROLE.replace('Developer', '*')},{PROVIDER}", False),
        (f"{ROLE.replace('Developer', 'Develop?r')},{PROVIDER}", False),
        (f"{ROLE},{PROVIDER.replace('realm', '*')}", False),
        (f"{ROLE.replace(ACCOUNT, '*')},{PROVIDER}", False),
        (f"{ROLE},{PROVIDER.replace(ACCOUNT, '210987654321')}", False),
        (f"{ROLE.replace('Developer', '${saml:sub}')},{PROVIDER}", False),
        (f"{ROLE}\u200b,{PROVIDER}", False),
        (f"{ROLE}\uff0c{PROVIDER}", False),
        ("", False),
        (",", False),
    ],
)
def test_role_pairs(services: Services, value: str, good: bool) -> None:
    assert (parse_role_pair(value) == RolePair(ROLE, PROVIDER)) is good
    text = response(Role=value)
    if good:
        assume(services, text)
    else:
        with pytest.raises(AccessDenied, match=r"^Not authorized to perform sts:AssumeRoleWithSAML$"):
            assume(services, text)


def test_one_good_value_is_enough(services: Services) -> None:
    assume(services, response(Role=("nonsense", f"{arn('Second')},{PROVIDER}", f"{ROLE},{PROVIDER}")))


NAME = r"RoleSessionName in AuthnResponse must match \[a-zA-Z_0-9\+=,\.@-\]\{2,64\}"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Role": None}, "Not authorized"),
        ({"RoleSessionName": None}, "^RoleSessionName is required in AuthnResponse$"),
        *[
            ({"RoleSessionName": name}, NAME)
            for name in (
                *(
                    "",
                    "a",
                    "a" * 65,
                    "a b",
                    "a/b",
                    "a:b",
                    "a*",
                    "${aws:username}",
                    "\uff41lice",
                    "\u0661\u0662",
                    "alice\n",
                ),
                *("\nalice", "alice ", "\u017dofie", "a\u200bb"),
            )
        ],
        ({"RoleSessionName": ("alice", "bob")}, "exactly one value"),
        ({"RoleSessionName": ()}, "exactly one value"),
        *[
            ({"SessionDuration": value}, "SessionDuration in AuthnResponse")
            for value in (
                "an hour",
                "",
                "899",
                "43201",
                "99999999",
                "-900",
                "1e4",
                "900.0",
                "0x384",
                "\u0669\u0660\u0660",
                " 900",
                "+900",
            )
        ],
        ({"SessionDuration": ("900", "1800")}, "exactly one value"),
        *[
            ({"SourceIdentity": value}, 'Source Identity must match .* and not begin with "aws:"')
            for value in ("a", "a" * 65, "a b", "aws:alice", "AWS:alice", "\u017dofie", "${aws:username}", "*alice")
        ],
        ({"SourceIdentity": ("alice", "bob")}, "exactly one value"),
        ({"PrincipalTag__team": ("a", "b")}, "must have exactly one value"),
        ({"PrincipalTag__team": ()}, "must have exactly one value"),
        ({"PrincipalTag__team": "a" * 257}, "not allowed"),
        ({"PrincipalTag__team": "${aws:username}"}, "not allowed"),
        ({"PrincipalTag__team": "a*"}, "not allowed"),
        ({"PrincipalTag__": "a"}, "not allowed"),
        ({"PrincipalTag__" + "x" * 129: "a"}, "not allowed"),
        ({"PrincipalTag__aws:x": "a"}, "reserved"),
        ({"PrincipalTag__team": "a", "PrincipalTag__Team": "b"}, "Duplicate tag keys"),
        ({"TransitiveTagKeys": "team"}, "not among the session tags"),
    ],
)
def test_what_may_not_be_asked(services: Services, attributes: dict[str, Any], message: str) -> None:
    kind: type[BrokerError] = AccessDenied if "Role" in attributes else InvalidIdentity
    with pytest.raises(kind, match=message):
        assume(services, response(**attributes))


# --- duration ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "attribute", "session_end", "seconds"),
    [
        (None, None, None, 3_600),
        (900, None, None, 900),
        (7_200, None, None, 7_200),
        (None, "1800", None, 1_800),
        (900, "1800", None, 900),
        (7_200, "43200", None, 7_200),
        (None, "43200", None, 3_600),
        (None, None, 1_200, 1_200),
        (None, None, 100, 100),
        (1_000, "2000", 500, 500),
        (None, None, 86_400, 3_600),
    ],
)
def test_durations(
    services: Services, asked: int | None, attribute: str | None, session_end: int | None, seconds: int
) -> None:
    attributes = dict(forge.default_attributes()) | ({f"{AWS}SessionDuration": (attribute,)} if attribute else {})
    end = None if session_end is None else forge.instant(session_end)
    draft = Draft(assertion_id=f"_d{next(_numbers)}", attributes=attributes, session_end=end)
    role = "Developer"
    if asked == 7_200:
        role, attributes[f"{AWS}Role"] = "not-alice", (f"{arn('not-alice')},{PROVIDER}",)
        draft.subject = "bob"
    answer = assume(services, forge.pack(forge.signed(draft)), role, duration_seconds=asked)
    assert (answer.credentials.expiration - NOW).total_seconds() == seconds


def test_more_than_the_role_allows_is_refused(services: Services) -> None:
    text = response()
    with pytest.raises(ValidationFailed, match="exceeds the MaxSessionDuration"):
        assume(services, text, duration_seconds=7_200)
    assume(services, text)  # and the mistake has not cost the sign-in


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"principal_arn": f"arn:aws:iam::{ACCOUNT}:saml-provider/nobody"}, InvalidIdentity),
        ({"principal_arn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/realm"}, InvalidIdentity),
        ({"principal_arn": PROVIDER.replace("realm", "Realm")}, InvalidIdentity),
        ({"principal_arn": PROVIDER.replace(ACCOUNT, "210987654321")}, InvalidIdentity),
        ({"principal_arn": "x"}, InvalidIdentity),
        ({"principal_arn": OTHER_PROVIDER}, AccessDenied),
        ({"policy": "{"}, MalformedPolicy),
        ({"policy": "[" * 2_000}, MalformedPolicy),
        ({"policy": '{"Version": "2012-10-17", "Statement": []}' + " " * 3_000}, ValidationFailed),
    ],
)
def test_parameters_that_do_not_fit(services: Services, more: dict[str, Any], kind: type[BrokerError]) -> None:
    with pytest.raises(kind):
        assume(services, response(), **more)


def test_another_role_than_the_assertion_names(services: Services) -> None:
    with pytest.raises(AccessDenied, match=r"^Not authorized to perform sts:AssumeRoleWithSAML$"):
        assume(services, response("Developer"), "Second")


@pytest.mark.parametrize(
    ("draft", "kind"),
    [
        (Draft(xml_name_id=""), AccessDenied),
        (Draft(issuer="https://evil.example"), ProviderError),
        (Draft(not_on_or_after=forge.instant(-61)), Expired),
    ],
)
def test_refusals_of_the_provider(services: Services, draft: Draft, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        assume(services, forge.pack(forge.signed(draft)))


def test_an_evil_key(services: Services) -> None:
    with pytest.raises(SignatureInvalid):
        assume(services, forge.pack(forge.signed(signer=forge.Signer(key="evil"))))


# --- replay -----------------------------------------------------------------------------------------------------------


def two_roles() -> Draft:
    roles = (f"{arn('Developer')},{PROVIDER}", f"{arn('Second')},{PROVIDER}")
    attributes = {f"{AWS}Role": roles, f"{AWS}RoleSessionName": ("alice",)}
    return Draft(assertion_id=f"_r{next(_numbers)}", attributes=attributes)


def test_an_assertion_counts_once_for_each_role(services: Services) -> None:
    text = forge.pack(forge.signed(two_roles()))
    assume(services, text, "Developer")
    assume(services, text, "Second")
    for role in ("Developer", "Second"):
        with pytest.raises(AssertionReplayed, match=r"^Response has already been redeemed$"):
            assume(services, text, role)


def test_another_response_around_it_is_the_same_assertion(services: Services) -> None:
    draft = two_roles()
    assume(services, forge.pack(forge.signed(draft)))
    draft.response_id = "_another"
    with pytest.raises(AssertionReplayed):
        assume(services, forge.pack(forge.signed(draft)))
    with pytest.raises(AssertionReplayed):
        assume(services, forge.pack(forge.signed(draft, "both")))


def test_one_time_use_counts_once_at_all(services: Services) -> None:
    draft = two_roles()
    draft.xml_more_conditions = "<saml:OneTimeUse/>"
    text = forge.pack(forge.signed(draft))
    assume(services, text, "Developer")
    with pytest.raises(AssertionReplayed):
        assume(services, text, "Second")


def test_another_node_knows_it(services: Services) -> None:
    """And a worker that was started anew: the claim is in the store."""
    text = forge.pack(forge.signed(two_roles()))
    assume(services, text)
    other = build_services(Prepared(services.settings, MASTER))
    try:
        with pytest.raises(AssertionReplayed):
            assume(other, text)
    finally:
        other.audit.close()
        other.database.close()


def test_of_many_at_once_one_has_it(services: Services) -> None:
    for _ in range(5):
        text = forge.pack(forge.signed(two_roles()))
        outcomes: list[str] = []
        start = threading.Barrier(8)

        def race(text: str = text, outcomes: list[str] = outcomes, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                assume(services, text)
                outcomes.append("taken")
            except AssertionReplayed:
                outcomes.append("refused")

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["refused"] * 7 + ["taken"]


def test_a_claim_lasts_as_long_as_the_assertion(services: Services) -> None:
    """At the last moment that it would be taken it is still known; later it is refused for its age."""
    text = forge.pack(forge.signed(two_roles()))
    assume(services, text)
    late = NOW + timedelta(seconds=354)
    with services.database.write() as connection:
        delete_expired_claims(connection, int((late + timedelta(seconds=1)).timestamp()))
    with pytest.raises(AssertionReplayed):
        assume(services, text, caller=caller(late))
    with pytest.raises(Expired):
        assume(services, text, caller=caller(late + timedelta(seconds=2)))


def test_without_a_record_there_is_no_claim(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction: what cannot be recorded is not redeemed either, and may be tried again."""
    text = forge.pack(forge.signed(two_roles()))
    with monkeypatch.context() as broken:
        broken.setattr("broker.audit.log.append_records", _full)
        with pytest.raises(AuditUnavailable):
            assume(services, text)
    assume(services, text)
    with pytest.raises(AssertionReplayed):
        assume(services, text)


def test_a_refused_claim_leaves_no_record_of_credentials(services: Services) -> None:
    text = forge.pack(forge.signed(two_roles()))
    assume(services, text)
    before = _events(services)
    with pytest.raises(AssertionReplayed):
        assume(services, text)
    assert _events(services) == before


def _full(_connection: object, _records: object) -> None:
    raise OSError(errno.ENOSPC, "no space left")


def _events(services: Services) -> int:
    services.audit.flush()
    with services.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM audit_events").scalar_one())


@pytest.mark.parametrize(
    ("settings", "second_role", "again", "later"),
    [
        ({"replay": "once"}, False, False, False),
        ({"replay": "once-per-role"}, True, False, False),
        ({"replay": "window", "reuse_seconds": 60}, True, True, False),
    ],
)
def test_stricter_and_looser_providers(
    tmp_path: Path, settings: dict[str, Any], second_role: bool, again: bool, later: bool
) -> None:
    made = make_services(tmp_path, configuration(**settings))
    try:
        text = forge.pack(forge.signed(two_roles()))
        assume(made, text)
        for allowed, role, seconds in ((second_role, "Second", 0), (again, "Developer", 30), (later, "Developer", 60)):
            asking = caller(NOW + timedelta(seconds=seconds))
            if not allowed:
                with pytest.raises(AssertionReplayed):
                    assume(made, text, role, caller=asking)
                continue
            assume(made, text, role, caller=asking)
            event = json.loads(render(asking.record))
            assert ("used again" in json.dumps(event.get("additionalEventData"))) is (role == "Developer")
    finally:
        made.audit.close()
        made.database.close()


# --- configuration ----------------------------------------------------------------------------------------------------


def test_encrypted_assertions_and_weak_algorithms_that_are_let_pass(tmp_path: Path) -> None:
    made = make_services(
        tmp_path, configuration(private_key_files=["sp.pem"], assertion_encryption="Required", allow_sha1=True)
    )
    try:
        asking = caller()
        assume(made, forge.pack(forge.encrypted(signer=forge.Signer(digest="sha1"))), caller=asking)
        warnings = json.loads(render(asking.record))["additionalEventData"]["warnings"]
        assert len(warnings) == 2
        with pytest.raises(ProviderError, match="invalid SAML response"):
            assume(made, response())
    finally:
        made.audit.close()
        made.database.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clock_skew_seconds": 61}, "clock_skew_seconds"),
        ({"clock_skew_seconds": -1}, "clock_skew_seconds"),
        ({"reuse_seconds": 301}, "reuse_seconds"),
        ({"reuse_seconds": 0}, "reuse_seconds"),
        ({"max_lifetime_seconds": 0}, "max_lifetime_seconds"),
        ({"replay": "often"}, "replay"),
        ({"assertion_encryption": "Required"}, "no private key"),
        ({"private_key_files": ["idp.xml"]}, "chmod 600"),
        ({"private_key_files": ["bad.pem"]}, "private key cannot be used"),
        ({"surprise": 1}, "surprise"),
        ({"client_ids": ["x"]}, "client_ids"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.touch(mode=0o600)
    bad.write_text(forge.private_pem("weak"))
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, configuration(**settings))


def test_metadata_that_cannot_be_used(tmp_path: Path) -> None:
    text = configuration()
    for metadata, message in (
        ("<x/>", "is no EntityDescriptor"),
        (forge.metadata(valid_until="2020-01-01T00:00:00Z"), "until 2020"),
    ):
        (tmp_path / "other.xml").write_text(metadata)
        with pytest.raises(ConfigurationError, match=message):
            read(tmp_path, text.replace("idp.xml", "other.xml"))


def test_each_provider_knows_us_by_a_name_of_its_own(tmp_path: Path) -> None:
    text = "\n".join(line for line in configuration().splitlines() if not line.startswith(("audiences", "acs_urls")))
    made = make_services(tmp_path, '[server]\nbase_url = "https://broker.example"\n' + text)
    try:
        record = made.catalog.provider(PROVIDER)
        assert record is not None
        name = f"https://broker.example/saml/{ACCOUNT}/realm"
        assert (record.settings["audiences"], record.settings["acs_urls"]) == ([name], [f"{name}/acs"])
        assert record.issuer == forge.ENTITY_ID
    finally:
        made.audit.close()
        made.database.close()

"""The STS rows of the attack list, each test named after its row: what AssumeRole must refuse or must not widen.

What the policy engine refuses on its own (STS-04, STS-05, STS-07) stands in tests/vectors/policy under the same names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.app import Prepared, build_services
from broker.audit.event import CallRecord
from broker.authorization import authorize
from broker.callers import find_candidate, session_principal
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.domain.session import PolicyDescriptor, Session, Tag
from broker.errors import AccessDenied, BrokerError, ConfigurationError, MalformedPolicy, ValidationFailed
from broker.services import Caller, Candidate, Services
from broker.session_requests import parse_tags
from broker.settings import load_settings
from broker.store.engine import Database
from broker.store.schema import migrate
from broker.sts.assume_role import AssumedRole, assume_role

ACCOUNT, FOREIGN = "123456789012", "210987654321"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MASTER = b"m" * 32
ENTER = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})


def arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def trust(**condition: Any) -> str:
    return policy({"Principal": {"AWS": ACCOUNT}, "Action": ENTER, "Condition": condition})


ALL = {"Action": "sts:*", "Resource": "*"}
OWN_TEAM = {"Action": "sts:*", "Resource": arn("${aws:PrincipalTag/team}")}
OLD = {"DateLessThan": {"aws:TokenIssueTime": "2026-01-02T03:04:05Z"}}
ROLES: dict[str, tuple[str, str]] = {
    "first": (trust(), policy(ALL)),
    "second": (trust(), policy(ALL)),
    "guarded": (trust(StringEquals={"sts:ExternalId": "Ticket-4711"}), policy(ALL)),
    "blue-only": (trust(StringEquals={"aws:PrincipalTag/team": "blue"}), policy(ALL)),
    "alice-only": (trust(StringEquals={"aws:SourceIdentity": "alice"}), policy(ALL)),
    "own-team": (trust(), policy(OWN_TEAM)),
    "narrow": (trust(), policy({"Action": "sts:AssumeRole", "Resource": arn("second")})),
    "revoked": (trust(), policy(ALL, {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": OLD})),
}
MANAGED = {"nothing": policy({"Action": "s3:Nothing", "Resource": "*"})}


def configuration(roles: dict[str, tuple[str, str]], managed: dict[str, str]) -> str:
    parts = [f'[[account]]\nid = "{ACCOUNT}"', f'[[account]]\nid = "{FOREIGN}"']
    for account in (ACCOUNT, FOREIGN):
        parts += [
            f"[[policy]]\nname = '{name}'\naccount = '{account}'\ndocument = '{text}'" for name, text in managed.items()
        ]
    for name, (trusting, inline) in roles.items():
        parts.append(f"[[role]]\nname = '{name}'\naccount = '{ACCOUNT}'\ntrust_policy = '{trusting}'")
        parts.append(f"[[role.inline_policy]]\nname = 'inline'\ndocument = '{inline}'")
    return "\n".join(parts)


def configure(directory: Path, text: str, store_url: str) -> None:
    (directory / "accredit.toml").write_text(f'[store]\nurl = "{store_url}"\n{text}')
    settings = load_settings(directory, {})
    declaration = check_configuration(settings, MASTER, {})
    database = Database(store_url, directory)
    migrate(database)
    apply_configuration(database, declaration, MASTER)
    with database.change() as connection:
        add_key(connection, MASTER, now=NOW, activation_seconds=0)
    database.close()


@pytest.fixture
def services(tmp_path: Path, store_url: str) -> Iterator[Services]:
    configure(tmp_path, configuration(ROLES, MANAGED), store_url)
    made = build_services(Prepared(load_settings(tmp_path, {}), MASTER))
    yield made
    made.audit.close()
    made.database.close()


def caller(services: Services, role: str = "first", *, issued_at: datetime = NOW, **changes: Any) -> Caller:
    """Someone with a session of the role."""
    view = services.catalog.role(arn(role))
    assert view is not None
    later = NOW + timedelta(hours=12)
    session = Session(ACCOUNT, view.role.arn, view.role.role_id, "s", issued_at, later, **changes)
    return Caller(NOW, CallRecord("id", NOW), verified=Candidate(session_principal(session), "secret", session=session))


def assume(services: Services, who: Caller, role: str = "second", **arguments: Any) -> AssumedRole:
    return assume_role(services, who, role_arn=arn(role), role_session_name="s", **arguments)


def chained(services: Services, answer: AssumedRole) -> Caller:
    """Who calls with the credentials that were issued."""
    found = answer.credentials
    candidate = find_candidate(services, found.access_key_id, found.session_token.reveal())
    return Caller(NOW, CallRecord("id", NOW), verified=candidate)


def tags(**values: str) -> list[Tag]:
    return [Tag(key, value) for key, value in values.items()]


@pytest.mark.parametrize(
    "given",
    [None, "ticket-4711", "Ticket-4711 ", "Ticket-471", "Ticket-47111", "*", "Ticket-????", "${aws:userid}", ""],
)
def test_sts_01_the_external_id_is_exact_and_told_to_nobody(services: Services, given: str | None) -> None:
    assert assume(services, caller(services), "guarded", external_id="Ticket-4711").credentials
    with pytest.raises(AccessDenied) as refusal:
        assume(services, caller(services), "guarded", external_id=given)
    assert "icket" not in refusal.value.message


@pytest.mark.parametrize("seconds", [3_601, 43_200])
def test_sts_02_a_chained_session_lives_an_hour_at_most(services: Services, seconds: int) -> None:
    assert assume(services, caller(services)).credentials.expiration <= NOW + timedelta(hours=1)
    with pytest.raises(ValidationFailed):
        assume(services, caller(services), duration_seconds=seconds)


@pytest.mark.parametrize("again", [{"team": "red"}, {"TEAM": "red"}, {"team": "blue"}])
def test_sts_02_a_transitive_tag_cannot_be_overwritten(services: Services, again: dict[str, str]) -> None:
    sticky = assume(services, caller(services), tags=tags(team="blue"), transitive_tag_keys=["team"])
    with pytest.raises(ValidationFailed):
        assume(services, chained(services, sticky), tags=tags(**again))
    third = assume(services, chained(services, assume(services, chained(services, sticky))), "blue-only")
    assert third.credentials


def test_sts_02_a_tag_that_is_not_transitive_ends_with_its_session(services: Services) -> None:
    loose = assume(services, caller(services), tags=tags(team="blue"))
    assert assume(services, chained(services, loose), "blue-only").credentials
    dropped = assume(services, chained(services, loose))
    with pytest.raises(AccessDenied):
        assume(services, chained(services, dropped), "blue-only")


@pytest.mark.parametrize("other", ["bob", "Alice", "alice2"])
def test_sts_02_a_source_identity_stays_through_the_chain(services: Services, other: str) -> None:
    first = assume(services, caller(services), source_identity="alice")
    second = assume(services, chained(services, first))
    assert second.source_identity == "alice"
    assert assume(services, chained(services, second), "alice-only", source_identity="alice").credentials
    with pytest.raises(AccessDenied):
        assume(services, chained(services, second), source_identity=other)
    with pytest.raises(AccessDenied):
        assume(services, chained(services, assume(services, caller(services), source_identity=other)), "alice-only")


WIDER = [
    policy(ALL),
    policy({"Action": "*", "Resource": "*"}),
    policy({"NotAction": "s3:*", "Resource": "*"}),
    policy({"Action": "sts:*", "NotResource": arn("second")}),
    policy({"NotAction": "s3:*", "NotResource": arn("second")}),
]


@pytest.mark.parametrize("wider", WIDER)
def test_sts_03_a_session_policy_never_widens_the_role(services: Services, wider: str) -> None:
    passed = assume(services, caller(services), "narrow", policy=wider)
    for target in ("first", "own-team"):
        with pytest.raises(AccessDenied):
            assume(services, chained(services, passed), target)
    with pytest.raises(AccessDenied):
        authorize(services, chained(services, passed), "sts:GetAccessKeyInfo", "*")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"policy": policy(ALL).replace("]", " " * 2_000 + "]")}, ValidationFailed),
        ({"policy": policy(ALL)[:-1]}, MalformedPolicy),
        ({"policy": policy({**ALL, "Principal": "*"})}, MalformedPolicy),
        ({"policy_arns": [PolicyDescriptor(f"arn:aws:iam::{FOREIGN}:policy/nothing")]}, ValidationFailed),
        ({"policy_arns": [PolicyDescriptor(f"arn:aws:iam::{ACCOUNT}:policy/absent")]}, ValidationFailed),
        ({"policy_arns": [PolicyDescriptor(arn("second"))]}, ValidationFailed),
    ],
)
def test_sts_03_a_session_policy_that_is_none_is_refused(
    services: Services, arguments: dict[str, Any], error: type[BrokerError]
) -> None:
    with pytest.raises(error):
        assume(services, caller(services), **arguments)


def test_sts_03_a_managed_session_policy_that_is_gone_denies(
    services: Services, tmp_path: Path, store_url: str
) -> None:
    wide = PolicyDescriptor(f"arn:aws:iam::{ACCOUNT}:policy/wide")
    configure(tmp_path, configuration(ROLES, {"wide": policy(ALL)}), store_url)
    held = assume(services, caller(services), policy_arns=[wide])
    assert assume(services, chained(services, held), "first").credentials
    configure(tmp_path, configuration(ROLES, MANAGED), store_url)
    with pytest.raises(AccessDenied):
        assume(services, chained(services, held), "first")


@pytest.mark.parametrize("team", ["*", "s*", "secon?", "${aws:PrincipalTag/other}", "${*}", "first/../second"])
def test_sts_05_a_tag_in_a_pattern_is_literal(services: Services, team: str) -> None:
    """Also where the tag's characters could not be passed over the wire: what the engine is given is literal."""
    plain = assume(services, caller(services), "own-team", tags=tags(team="second", other="second"))
    assert assume(services, chained(services, plain)).credentials
    with pytest.raises(AccessDenied):
        assume(services, caller(services, "own-team", tags={"team": team, "other": "second"}))


@pytest.mark.parametrize("role", ["Second", "SECOND", "\uff53econd", "secon\u0501", "second/", "/second", "second*"])
def test_sts_06_a_role_is_found_by_its_exact_name_alone(services: Services, role: str) -> None:
    assert assume(services, caller(services)).credentials
    with pytest.raises((AccessDenied, ValidationFailed)):
        assume(services, caller(services), role)


def test_sts_06_role_names_are_unique_without_regard_to_case(tmp_path: Path) -> None:
    both = {"second": ROLES["second"], "Second": ROLES["second"]}
    with pytest.raises(ConfigurationError, match="declared twice"):
        configure(tmp_path, configuration(both, {}), "sqlite:///accredit.db")


def test_sts_06_tag_keys_are_unique_without_regard_to_case(services: Services) -> None:
    with pytest.raises(ValidationFailed):
        assume(services, caller(services), tags=tags(team="blue", Team="red"))


def test_sts_09_sessions_older_than_the_revocation_may_nothing(services: Services) -> None:
    """AWSRevokeOlderSessions: the statement is read with the role, so sessions issued before are bound by it."""
    assert authorize(services, caller(services, "revoked"), "sts:GetAccessKeyInfo", "*")
    old = caller(services, "revoked", issued_at=NOW - timedelta(seconds=1))
    with pytest.raises(AccessDenied):
        authorize(services, old, "sts:GetAccessKeyInfo", "*")


@pytest.mark.parametrize("tag", [Tag("cafe\u0301", "x"), Tag("x", "cafe\u0301")])
def test_sts_06_a_tag_has_one_spelling(tag: Tag) -> None:
    """What looks like a composed letter and is not would be another tag to every policy."""
    with pytest.raises(ValidationFailed, match="normalization"):
        parse_tags([tag], ())
    assert parse_tags([Tag("caf\u00e9", "x")], ()) == {"caf\u00e9": "x"}

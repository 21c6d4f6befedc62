"""A session whose role is gone, moved or made anew may do nothing, whatever its session policy said."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.app import Prepared, build_services
from broker.audit.event import CallRecord
from broker.authorization import authorize
from broker.callers import load_identity, session_principal
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.domain.session import Session
from broker.errors import AccessDenied
from broker.services import Caller, Candidate, Services
from broker.settings import load_settings
from broker.store.engine import Database
from broker.store.schema import migrate
from broker.sts.assume_role import assume_role

ACCOUNT = "123456789012"
MASTER = b"m" * 32
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", **statement}})


def _configure(tmp_path: Path, store_url: str, *, path: str) -> None:
    trust = _policy(Principal={"AWS": "*"}, Action="sts:AssumeRole")
    (tmp_path / "accredit.toml").write_text(
        f"""
[store]
url = "{store_url}"
[[account]]
id = "{ACCOUNT}"
[[role]]
name = "dev"
path = "{path}"
trust_policy = '{trust}'
[[role.inline_policy]]
name = "all"
document = '{_policy(Action="sts:*", Resource="*")}'
[[role]]
name = "aud"
trust_policy = '{trust}'
"""
    )
    database = Database(store_url, tmp_path)
    migrate(database)
    settings = load_settings(tmp_path, {})
    apply_configuration(database, check_configuration(settings, MASTER, {}), MASTER)
    with database.change() as connection:
        add_key(connection, MASTER, now=NOW, activation_seconds=0)
    database.close()


@pytest.fixture
def services(tmp_path: Path, store_url: str):
    _configure(tmp_path, store_url, path="/")
    made = build_services(Prepared(load_settings(tmp_path, {}), MASTER))
    yield made
    made.audit.close()
    made.database.close()


def _caller(services: Services, **changes: object) -> Caller:
    view = services.catalog.role(f"arn:aws:iam::{ACCOUNT}:role/dev")
    assert view is not None
    values = {
        "account": ACCOUNT,
        "owner_arn": view.role.arn,
        "owner_id": view.role.role_id,
        "session_name": "s1",
        "issued_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    session = Session(**{**values, **changes})  # type: ignore[arg-type]
    candidate = Candidate(session_principal(session), "secret", session=session)
    return Caller(NOW, CallRecord("id", NOW), verified=candidate)


def test_a_session_of_a_role_that_is_there_is_bound_by_its_policies(services: Services) -> None:
    assert authorize(services, _caller(services), "sts:GetAccessKeyInfo", "*").session_policies is None


@pytest.mark.parametrize(
    "changes",
    [
        {"owner_arn": f"arn:aws:iam::{ACCOUNT}:role/gone"},
        {"owner_id": "AROAOFANOTHERROLE1234"},
        {"owner_arn": f"arn:aws:iam::{ACCOUNT}:role/gone", "session_policy": _policy(Action="sts:*", Resource="*")},
    ],
)
def test_a_session_of_a_lost_role_is_denied_even_where_a_trust_policy_lets_everybody_in(
    services: Services, changes: dict[str, object]
) -> None:
    caller = _caller(services, **changes)
    identity = load_identity(services, caller.authenticated())
    assert identity.session_policies is not None
    with pytest.raises(AccessDenied):
        assume_role(services, caller, role_arn=f"arn:aws:iam::{ACCOUNT}:role/aud", role_session_name="s2")
    with pytest.raises(AccessDenied):
        authorize(services, caller, "sts:GetAccessKeyInfo", "*")


def test_moving_the_role_does_not_widen_a_narrowed_session(services: Services, tmp_path: Path, store_url: str) -> None:
    narrowed = _caller(services, session_policy=_policy(Action="s3:*", Resource="*"))
    with pytest.raises(AccessDenied):
        authorize(services, narrowed, "sts:GetAccessKeyInfo", "*")
    _configure(tmp_path, store_url, path="/team/")
    with pytest.raises(AccessDenied):
        assume_role(services, narrowed, role_arn=f"arn:aws:iam::{ACCOUNT}:role/aud", role_session_name="s2")


def test_what_is_not_there_is_not_remembered(services: Services) -> None:
    """Names without end could be asked for."""
    for number in range(100):
        assert services.catalog.role(f"arn:aws:iam::{ACCOUNT}:role/absent-{number}") is None
    assert len(services.catalog._cache[1]) < 10

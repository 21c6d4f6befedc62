"""The managed policies that the product brings along: what they allow, of what is served, and how they get there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from broker import product_policies
from broker.aws.model import load_extensions, load_service
from broker.aws.operations import OPERATIONS, Effect
from broker.catalog import Catalog
from broker.configure import apply_configuration, check_configuration
from broker.domain.principal import Principal, PrincipalKind
from broker.errors import ConfigurationError
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind, policy_size
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate
from broker.policy.lint import lint
from broker.product_policies import PRODUCT_POLICIES, product_policy_arns, put_product_policies, read_product_policy
from broker.settings import QuotaSettings, load_settings
from broker.store.engine import Database
from broker.store.managed_policies import find_managed_policy
from broker.store.policies import find_policy
from broker.store.policy_versions import list_versions
from broker.store.schema import migrate
from broker.store.tables import managed_policies

ACCOUNT = "123456789012"
ANN = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/team/ann", "AIDAANN", user_name="ann")
AUDITOR = "arn:aws:iam::aws:policy/SecurityAudit"
ALL = sorted(PRODUCT_POLICIES)
DANGEROUS_ON_PURPOSE = {
    "AdministratorAccess": ["FULL_ADMINISTRATOR"],
    "IAMFullAccess": ["PASS_ROLE_WITH_STAR_IN_RESOURCE"],
}


def _actions() -> Iterator[tuple[str, Effect]]:
    """Every operation that is served, as policies call it."""
    for name, entries in OPERATIONS.items():
        prefix = load_service(name, load_extensions().get(name)).signing_name
        yield from ((f"{prefix}:{operation}", entry.effect) for operation, entry in entries.items())


ACTIONS = list(_actions())
NO_PERMISSION = {"sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:GetSessionToken"}
"""What is asked for without credentials, or needs no permission."""


def _allows(policy: str, action: str, resource: str = "*", **context: str) -> bool:
    source = PolicySource(policy, compile_policy(read_product_policy(policy), PolicyKind.IDENTITY))
    keys = {"aws:username": ("ann",), **{key.replace("_", ":"): (value,) for key, value in context.items()}}
    return evaluate(AccessRequest(ANN, action, resource, ACCOUNT, keys), PolicySet(identity=(source,))).allowed


def _allowed(policy: str) -> set[str]:
    return {action for action, _ in ACTIONS if _allows(policy, action)}


def _with(*effects: Effect, prefix: str = "") -> set[str]:
    return {action for action, effect in ACTIONS if effect in effects and action.startswith(prefix)}


@pytest.mark.parametrize("name", ALL)
def test_a_text_is_clean_and_within_every_quota(name: str) -> None:
    text = read_product_policy(name)
    for kind in (PolicyKind.IDENTITY, PolicyKind.BOUNDARY, PolicyKind.SESSION):
        found = [finding.code for finding in lint(text, kind)]
        assert found == (DANGEROUS_ON_PURPOSE.get(name, []) if kind is PolicyKind.IDENTITY else [])
    assert policy_size(text) <= 2_048, "too large for a session policy"
    assert policy_size(text) <= QuotaSettings().managed_policy


def test_every_file_is_in_the_table() -> None:
    files = Path(__file__).resolve().parents[2] / "config" / "policies"
    assert sorted(file.stem for file in files.iterdir()) == ALL


def test_every_policy_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "managed-policies.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)`", text, re.MULTILINE) == ALL


def test_administrator_access_is_everything() -> None:
    assert _allowed("AdministratorAccess") == {action for action, _ in ACTIONS}


@pytest.mark.parametrize("action", sorted(_with(Effect.CHANGE, Effect.ISSUE)))
def test_read_only_access_changes_and_issues_nothing(action: str) -> None:
    assert not _allows("ReadOnlyAccess", action)


ENDS_A_JOB = {"access-analyzer:CancelPolicyGeneration"}
"""Changes nothing, for our jobs are done at once; yet no business of a reader."""


@pytest.mark.parametrize("action", sorted(_with(Effect.READ) - NO_PERMISSION - ENDS_A_JOB))
def test_read_only_access_reads_everything(action: str) -> None:
    assert _allows("ReadOnlyAccess", action)


def test_iam_full_access_is_all_of_iam_and_nothing_else() -> None:
    assert _allowed("IAMFullAccess") == {action for action, _ in ACTIONS if action.startswith("iam:")}


@pytest.mark.parametrize("name", ["IAMReadOnlyAccess", "SecurityAudit"])
def test_readers_of_iam_read_all_of_it_and_change_nothing_but_reports(name: str) -> None:
    allowed = _allowed(name)
    assert _with(Effect.READ, prefix="iam:") <= allowed
    changed = {action for action in allowed if action in _with(Effect.CHANGE, Effect.ISSUE)}
    assert changed <= {"iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails"}
    assert name == "SecurityAudit" or {action.partition(":")[0] for action in allowed} == {"iam"}


OWN = [f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:user/team/ann"]
OTHERS = [
    f"arn:aws:iam::{ACCOUNT}:user/{name}"
    for name in ("bob", "annabel", "joann", "ann/bob", "team/bob", "team/joann", "*", "")
] + ["*", f"arn:aws:iam::{ACCOUNT}:role/ann", f"arn:aws:iam::{ACCOUNT}:group/ann"]
SELF_SERVICE = [
    ("IAMUserChangePassword", "iam:ChangePassword"),
    ("IAMSelfManageAccessKeysAndMFA", "iam:CreateAccessKey"),
    ("IAMSelfManageAccessKeysAndMFA", "iam:DeleteAccessKey"),
    ("IAMSelfManageAccessKeysAndMFA", "iam:ListAccessKeys"),
    ("IAMSelfManageAccessKeysAndMFA", "iam:UpdateAccessKey"),
    ("IAMSelfManageAccessKeysAndMFA", "iam:EnableMFADevice"),
    ("IAMSelfManageAccessKeysAndMFA", "iam:ListMFADevices"),
    ("IAMSelfManageAccessKeysAndMFA", "iam:ResyncMFADevice"),
]


@pytest.mark.parametrize(("name", "action"), SELF_SERVICE)
def test_self_service_is_for_oneself(name: str, action: str) -> None:
    assert all(_allows(name, action, arn) for arn in OWN)
    assert not [arn for arn in OTHERS if _allows(name, action, arn)]


@pytest.mark.parametrize("name", ["IAMUserChangePassword", "IAMSelfManageAccessKeysAndMFA"])
def test_self_service_is_nothing_else(name: str) -> None:
    may = {action for owner, action in SELF_SERVICE if owner == name} | {
        *("iam:CreateVirtualMFADevice", "iam:GetAccessKeyLastUsed", "iam:GetMFADevice", "iam:GetUser"),
        *(["iam:GetAccountPasswordPolicy"] if name == "IAMUserChangePassword" else []),
    }
    assert not [action for action, _ in ACTIONS if action not in may and _allows(name, action, OWN[0])]


def test_a_device_is_ones_own_by_its_name_and_goes_with_mfa_alone() -> None:
    own, others = f"arn:aws:iam::{ACCOUNT}:mfa/ann", f"arn:aws:iam::{ACCOUNT}:mfa/annabel"
    name = "IAMSelfManageAccessKeysAndMFA"
    assert _allows(name, "iam:CreateVirtualMFADevice", own)
    assert not _allows(name, "iam:CreateVirtualMFADevice", others)
    for action, resource in (("iam:DeleteVirtualMFADevice", own), ("iam:DeactivateMFADevice", OWN[0])):
        assert not _allows(name, action, resource)
        assert not _allows(name, action, resource, aws_MultiFactorAuthPresent="false")
        assert _allows(name, action, resource, aws_MultiFactorAuthPresent="true")
        assert not _allows(name, action, others, aws_MultiFactorAuthPresent="true")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database("sqlite:///test.db", tmp_path)
    migrate(opened)
    yield opened
    opened.close()


def _put(database: Database, now: int = 1) -> list[str]:
    with database.change() as connection:
        return put_product_policies(connection, now)


def test_they_are_made_once(database: Database) -> None:
    assert sorted(_put(database)) == sorted(product_policy_arns())
    with database.read() as connection:
        before = connection.execute(select(managed_policies)).all()
    assert _put(database, 2) == []
    with database.read() as connection:
        assert connection.execute(select(managed_policies)).all() == before


def test_a_new_text_is_a_new_version_that_decisions_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(database)
    catalog = Catalog(database, b"m" * 32)
    first = catalog.managed_policy(AUDITOR)
    for number in range(2, 9):
        text = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
        text += " " * number
        monkeypatch.setattr(product_policies, "read_product_policy", lambda name, text=text: text)
        assert AUDITOR in _put(database, number)
        with database.read() as connection:
            found = find_managed_policy(connection, AUDITOR)
            assert found is not None
            assert (found.default_version, found.last_version, found.updated_at) == (number, number, number)
            assert find_policy(connection, AUDITOR) == text
            kept = [version.number for version in list_versions(connection, found.id)]
            assert kept == list(range(number, max(0, number - 5), -1))
    assert catalog.managed_policy(AUDITOR) != first


CONFIGURATION = f"""
[[account]]
id = "{ACCOUNT}"
[[user]]
name = "ann"
policies = ["{AUDITOR}"]
permissions_boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
"""


def _configure(directory: Path, text: str, database: Database) -> None:
    (directory / "accredit.toml").write_text(text)
    apply_configuration(database, check_configuration(load_settings(directory, {}), b"m" * 32, {}), b"m" * 32)


def test_the_configuration_may_name_them(tmp_path: Path, database: Database) -> None:
    _configure(tmp_path, CONFIGURATION, database)
    with database.read() as connection:
        assert find_managed_policy(connection, AUDITOR) is not None
    _configure(tmp_path, CONFIGURATION, database)


@pytest.mark.parametrize("named", ["arn:aws:iam::aws:policy/NoSuch", "SecurityAudit", "arn:aws:iam::aws:policy/x/../y"])
def test_the_configuration_may_name_no_others(tmp_path: Path, database: Database, named: str) -> None:
    with pytest.raises(ConfigurationError, match="is not among"):
        _configure(tmp_path, CONFIGURATION.replace(AUDITOR, named), database)

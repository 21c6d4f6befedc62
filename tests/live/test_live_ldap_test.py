"""``accredit ldap test``: each stage can fail, and says what to change."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from realm.components import BIN, free_port
from realm.directory import BASE, GROUPS, PASSWORD, PEOPLE, OpenLdap, openldap_entry
from realm.server import ACCOUNT, BrokerServer, clean_environment, serving
from realm.site import role, role_arn, trust

ACTIONS = ["sts:AssumeRoleWithLDAPIdentity", "sts:TagSession"]
SEARCH = {"base_dn": PEOPLE, "filter": "(uid={username})"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLdap]:
    made = OpenLdap(tmp_path_factory.mktemp("openldap"), NO_REPLICA="1")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(directory: OpenLdap, make_broker: Callable[..., BrokerServer]) -> Path:
    made = make_broker(settings={"server.workers": 1})
    home = made.directory
    variants: dict[str, dict[str, Any]] = {
        "good": {"session_tags": {"Department": "departmentNumber"}},
        "dns": {"servers": ["ldaps://nowhere.invalid"]},
        "tcp": {"servers": [f"ldaps://127.0.0.1:{free_port()}"]},
        "authority": {},
        "plain": {"servers": [directory.ldap.replace("ldap://", "ldaps://")]},
        "bind": {"bind_dn": f"cn=other,ou=services,{BASE}"},
        "base": {"user_search": {"base_dn": f"ou=nowhere,{BASE}", "filter": "(uid={username})"}},
        "filter": {"user_search": {"base_dn": PEOPLE, "filter": "(cn={username})"}},
        "several": {"user_search": {"base_dn": PEOPLE, "filter": "(|(uid={username})(departmentNumber=engineering))"}},
        "groups": {"group_search": {"base_dn": f"ou=nowhere,{BASE}", "filter": "(member={dn})"}},
        "identity": {"unique_id_attribute": "objectGUID"},
        "mapping": {"session_name_attribute": "employeeNumber"},
        "roleless": {},
        "template": {
            "user_search": None,
            "bind_dn": None,
            "bind_password_file": None,
            "group_search": None,
            "user_dn_template": f"uid={{username}},{PEOPLE}",
        },
    }
    for name, members in variants.items():
        made.add(openldap_entry(directory, home, name, **{"servers": [directory.ldaps], **members}))
    (home / "authority.pem").write_text(directory.other_authority())
    named = [f"arn:aws:iam::{ACCOUNT}:ldap-provider/{name}" for name in variants if name != "roleless"]
    wanted = {"ForAnyValue:StringEquals": {"ldap:groups": "aws-admins"}}
    made.add(role("Admins", trust({"Federated": named}, ACTIONS, **wanted)))
    made.add(role("Everybody", trust({"Federated": named}, ACTIONS)))
    with serving(made):
        pass
    return home


def run(site: Path, provider: str, *options: str, user: str = "alice", password: str | None = PASSWORD) -> Any:
    words = ["ldap", "test", site, "--provider", provider, "--user", user, *options]
    if password is not None:
        words += ["--password-file", "-"]
    return subprocess.run(
        [BIN / "accredit", *words],
        input=password,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment() | {"PYTHONWARNINGS": "default"},
    )


def test_all_is_well(site: Path) -> None:
    done = run(site, "good")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "✓ DNS",
        "✓ TCP",
        "✓ TLS",
        "✓ bind",
        "✓ base",
        f"✓ user      (|(uid=alice)(mail=alice)) finds uid=alice,{PEOPLE}",
        "✓ password",
        "✓ groups    10 groups",
        "✓ session   alice",
        "tag Department = engineering",
        f"✓ role      {role_arn('Admins')}",
    ):
        assert words in done.stdout
    assert PASSWORD not in done.stdout
    assert f"-b {GROUPS} '(|(member=uid=alice,{PEOPLE})(memberUid=alice))'" in done.stdout


def test_the_ldapsearch_line_finds_the_same(site: Path, directory: OpenLdap) -> None:
    lines = [line.strip()[2:] for line in run(site, "good").stdout.splitlines() if "$ " in line]
    (user,) = [line for line in lines if "(uid=alice)" in line]
    command = user.replace("ca.pem", directory.variables["LDAP_CA_FILE"]).replace("-W", f"-w '{PASSWORD}'")
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)
    assert f"dn: uid=alice,{PEOPLE}" in found.stdout


def test_without_a_password_nobody_logs_in(site: Path) -> None:
    done = run(site, "good", password=None)
    assert done.returncode == 0
    assert "- password  no password was given" in done.stdout
    assert "✓ groups    10 groups" in done.stdout


def test_what_a_trust_policy_wants(site: Path) -> None:
    done = run(site, "good", user="bob")
    assert done.returncode == 0
    assert f"✗ role      {role_arn('Admins')}: sts:AssumeRoleWithLDAPIdentity: `ldap:groups`" in done.stdout
    assert f"✓ role      {role_arn('Everybody')}" in done.stdout


FAILURES = {
    "dns": ("✗ DNS", "check the host"),
    "tcp": ("✗ TCP", "is the directory listening on port"),
    "authority": ("✗ TLS", "give the authority"),
    "plain": ("✗ TLS", "does the directory speak TLS on this port"),
    "bind": ("✗ bind", "check bind_dn and the bind password"),
    "base": ("✗ base", f"the directory has {BASE}"),
    "filter": ("✗ user", "check the filter"),
    "several": ("✗ user", "narrow the filter"),
    "groups": ("✗ groups", "check group_search"),
    "identity": ("✗ groups", "name another one as unique_id_attribute"),
    "mapping": ("✗ session", "change the mapping"),
    "roleless": ("✗ role", "name it as Federated principal"),
}


@pytest.mark.parametrize("provider", FAILURES)
def test_what_is_wrong_and_what_to_change(site: Path, provider: str) -> None:
    stage, fix = FAILURES[provider]
    done = run(site, provider)
    assert done.returncode == 1
    assert stage in done.stdout
    after = done.stdout.partition(stage)[2]
    assert "fix: " in after
    assert fix in after
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("alice", "wrong", "type the password again"),
        ("mustchange", PASSWORD, "has to put that right"),
        ("disabled", PASSWORD, "has to put that right"),
        ("nobody", PASSWORD, "check the filter"),
    ],
)
def test_people_who_may_not(site: Path, user: str, password: str, words: str) -> None:
    done = run(site, "good", user=user, password=password)
    assert done.returncode == 1
    assert words in done.stdout


def test_a_template(site: Path) -> None:
    done = run(site, "template")
    assert done.returncode == 0, done.stdout
    assert f"✓ user      the template makes uid=alice,{PEOPLE}" in done.stdout


def test_as_json(site: Path) -> None:
    done = run(site, "good", "--json")
    found = json.loads(done.stdout)
    assert [stage["name"] for stage in found["stages"]][-5:] == ["bind", "base", "user", "password", "groups"]
    assert all(stage["passed"] for stage in found["stages"])
    assert {one["role_arn"]: one["allowed"] for one in found["roles"]} == {
        role_arn("Admins"): True,
        role_arn("Everybody"): True,
    }


def test_which_provider_has_to_be_said(site: Path) -> None:
    done = subprocess.run(
        [BIN / "accredit", "ldap", "test", site, "--user", "alice"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "give --provider: there are 14" in done.stderr
    done = run(site, "unknown")
    assert (done.returncode, "there is no LDAP provider" in done.stderr) == (1, True)

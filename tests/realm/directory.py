"""Real directories: OpenLDAP with a replica, and an Active Directory domain controller (Samba)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from realm.components import missing

_HERE = Path(__file__).parent
PASSWORD = "Passw0rd!"
UTF8_PASSWORD = "pässwörd 日本 🔑"
BASE = "dc=realm,dc=test"
PEOPLE, GROUPS, SERVICES = (f"ou={name},{BASE}" for name in ("people", "groups", "services"))


class _Script:
    """A directory that a script starts; ``variables`` is what it tells."""

    def __init__(self, script: str, home: Path, environment: Mapping[str, str]) -> None:
        self._script, self._state = _HERE / script, home / "directory"
        self._environment = {**os.environ, **environment}
        self.variables: dict[str, str] = {}
        text = self._run("start")
        for line in text.splitlines():
            name, _, value = line.partition("=")
            self.variables[name] = value.strip("'")

    def stop(self) -> None:
        self._run("stop")

    def authority(self) -> str:
        raise NotImplementedError

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["bash", self._script, *arguments, self._state],
            capture_output=True,
            text=True,
            timeout=110,
            env=self._environment,
        )
        if done.returncode:
            raise RuntimeError(f"{self._script.name} {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout


class OpenLdap(_Script):
    """Node 1 takes changes, node 2 follows it."""

    def __init__(self, home: Path, **environment: str) -> None:
        if not Path("/usr/sbin/slapd").exists() or shutil.which("ldapmodify") is None:
            missing("slapd with ldap-utils")
        super().__init__("openldap.sh", home, environment)

    @property
    def ldaps(self) -> str:
        return self.variables["LDAPS_URI"]

    @property
    def ldap(self) -> str:
        return self.variables["LDAP_URI"]

    @property
    def replica(self) -> str:
        return self.variables["LDAPS2_URI"]

    @property
    def reader(self) -> str:
        return self.variables["LDAP_READER_DN"]

    def authority(self) -> str:
        return Path(self.variables["LDAP_CA_FILE"]).read_text()

    def other_authority(self) -> str:
        return Path(self.variables["LDAP_OTHER_CA_FILE"]).read_text()

    def stop_node(self, number: int) -> None:
        self._run("stop-node", str(number))

    def start_node(self, number: int) -> None:
        self._run("start-node", str(number))

    def change(self, ldif: str, *, relax: bool = False) -> None:
        """Change entries as the administrator."""
        command = ["ldapmodify", "-x", "-H", self.ldaps, "-D", self.variables["LDAP_ADMIN_DN"], "-w", PASSWORD]
        done = subprocess.run(
            [*command, *(["-e", "relax"] if relax else [])],
            input=ldif,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "LDAPTLS_CACERT": self.variables["LDAP_CA_FILE"]},
        )
        if done.returncode:
            raise RuntimeError(f"ldapmodify: {done.stdout}{done.stderr}")

    def add_person(self, uid: str, **attributes: str) -> str:
        """Somebody new; the DN."""
        dn = f"uid={uid},{PEOPLE}"
        values = {"cn": uid, "sn": uid, "mail": f"{uid}@realm.test", "userPassword": PASSWORD, **attributes}
        lines = "".join(f"{name}: {value}\n" for name, value in values.items())
        self.change(f"dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {uid}\n{lines}")
        return dn

    def delete(self, dn: str) -> None:
        self.change(f"dn: {dn}\nchangetype: delete\n")

    def lock(self, dn: str) -> None:
        """Lock an account for good."""
        self.change(
            f"dn: {dn}\nchangetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n",
            relax=True,
        )

    def unlock(self, dn: str) -> None:
        self.change(f"dn: {dn}\nchangetype: modify\ndelete: pwdAccountLockedTime\n", relax=True)


class ActiveDirectory(_Script):
    """A domain controller."""

    def __init__(self, home: Path, **environment: str) -> None:
        if not Path("/usr/sbin/samba").exists() or not Path("/usr/bin/samba-tool").exists():
            missing("Samba as a domain controller")
        if os.geteuid() != 0:
            missing("Samba as a domain controller (root, for its ports)")
        super().__init__("samba-ad.sh", home, environment)

    def authority(self) -> str:
        return Path(self.variables["AD_CA_FILE"]).read_text()

    def change(self, ldif: str) -> None:
        """Change entries as the administrator."""
        variables = self.variables
        command = ["ldapmodify", "-x", "-H", variables["AD_LDAPS_URI"], "-D", variables["AD_ADMIN_UPN"], "-w", PASSWORD]
        done = subprocess.run(
            command,
            input=ldif,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "LDAPTLS_CACERT": variables["AD_CA_FILE"]},
        )
        if done.returncode:
            raise RuntimeError(f"ldapmodify: {done.stdout}{done.stderr}")


def openldap_entry(directory: OpenLdap, home: Path, name: str = "corp", **members: Any) -> str:
    """``[[identity_provider]]`` of a configuration file; the files that it names are written into ``home``.

    A member that is None is left out.
    """
    fields: dict[str, Any] = {
        "servers": [directory.ldaps, directory.replica],
        "bind_dn": directory.reader,
        "bind_password_file": f"{name}.password",
        "user_search": {"base_dn": PEOPLE, "filter": "(|(uid={username})(mail={username}))"},
        "group_search": {"base_dn": GROUPS, "filter": "(|(member={dn})(memberUid={username}))", "nested": "Walk"},
        "attributes": ["mail", "departmentNumber"],
        "page_size": 50,
        **members,
    }
    return _entry(name, directory, home, fields)


def active_directory_entry(directory: ActiveDirectory, home: Path, name: str = "ad", **members: Any) -> str:
    """The same for a domain controller."""
    variables = directory.variables
    login = "(|(sAMAccountName={username})(userPrincipalName={username})(mail={username}))"
    fields: dict[str, Any] = {
        "servers": [variables["AD_LDAPS_URI"]],
        "bind_dn": variables["AD_READER_DN"],
        "bind_password_file": f"{name}.password",
        "user_search": {"base_dn": variables["AD_BASE_DN"], "filter": f"(&(objectClass=user){login})"},
        "group_search": {"base_dn": variables["AD_BASE_DN"], "filter": "(member={dn})", "nested": "InChain"},
        "attributes": ["mail"],
        **members,
    }
    return _entry(name, directory, home, fields)


def _entry(name: str, directory: _Script, home: Path, fields: Mapping[str, Any]) -> str:
    password = home / f"{name}.password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)
    (home / f"{name}.pem").write_text(directory.authority())
    lines = ["[[identity_provider]]", 'kind = "ldap"', f'name = "{name}"', f'ca_file = "{name}.pem"']
    lines += [f"{key} = {_toml(value)}" for key, value in fields.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)

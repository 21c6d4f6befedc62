"""The demonstration's directory: OpenLDAP's server, where it is installed, with one person and one group."""

from __future__ import annotations

import ipaddress
import secrets
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PERSON, GROUP = "alice", "operators"
BASE = "dc=example,dc=com"
HOW_TO_GET_IT = "apt-get install slapd"
_SCHEMAS = Path("/etc/ldap/schema")
_SERVERS = ("/usr/sbin/slapd", "/usr/lib/openldap/slapd")
_START_SECONDS = 10.0


def find_server() -> Path | None:
    """OpenLDAP's server with its tools and schemas, if the machine has them."""
    found = next((Path(name) for name in _SERVERS if Path(name).exists()), None)
    complete = found is not None and shutil.which("slapadd", path="/usr/sbin:/usr/bin") and _SCHEMAS.is_dir()
    return found if complete else None


class DemoDirectory:
    """Serves LDAPS on a loopback port, out of ``home``, until it is closed."""

    def __init__(self, program: Path, home: Path) -> None:
        self._home = home
        self.password = secrets.token_urlsafe(12)
        self.certificate = home / "server.pem"
        (home / "db").mkdir(parents=True, mode=0o700)
        _write_certificate(home)
        (home / "slapd.conf").write_text(_configuration(home), encoding="utf-8")
        self._fill()
        self.port = _free_port()
        command = [str(program), "-d", "0", "-f", str(home / "slapd.conf"), "-h", f"ldaps://127.0.0.1:{self.port}/"]
        with (home / "slapd.log").open("wb") as log:
            self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()

    def close(self) -> None:
        """Stop the server."""
        self._server.terminate()
        self._server.wait(10)

    def _fill(self) -> None:
        entries = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: uid={PERSON},{BASE}
objectClass: inetOrgPerson
uid: {PERSON}
cn: Alice
sn: Example
mail: {PERSON}@example.com
userPassword: {self.password}

dn: cn={GROUP},{BASE}
objectClass: groupOfNames
cn: {GROUP}
member: uid={PERSON},{BASE}
"""
        command = ["slapadd", "-q", "-f", str(self._home / "slapd.conf")]
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        subprocess.run(command, input=entries, text=True, check=True, capture_output=True, env=path)

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)


def _configuration(home: Path) -> str:
    includes = "\n".join(f"include {_SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson"))
    return f"""{includes}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/slapd.pid
TLSCertificateFile {home}/server.pem
TLSCertificateKeyFile {home}/server.key
database mdb
suffix "{BASE}"
directory {home}/db
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""


def _write_certificate(home: Path) -> None:
    """One that vouches for itself, for the loopback address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demonstration")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(days=30))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = builder.sign(key, hashes.SHA256())
    (home / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (home / "server.key").touch(mode=0o600)
    (home / "server.key").write_bytes(private)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

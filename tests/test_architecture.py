"""Who may import whom (ARCHITECTURE.md), and what must not be in the repository. The rules are the tables below."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("broker", "providers")

LAYERS = (
    {"config_files", "errors", "identifiers", "logs", "wsgi", "broker"},
    {"domain", "issuer_urls", "later", "provider_files", "proxies", "settings"},
    {"policy", "store"},
    {"assertion_claims", "credentials", "database", "directory_subjects", "provider_pool", "revocations"}
    | {"shared_issuers"},
    {"audit", "authorization_messages", "catalog", "mfa", "product_policies", "saml_providers", "tickets"},
    {"accounts", "audit_outputs", "usage"},
    {"services"},
    {"callers", "restrictions"},
    {"authorization"},
    {"session_requests"},
    {"ldap", "saml"},
    {"sts", "iam", "trail"},
    {"analysis"},
    {"aws", "configure", "directory_watch", "health", "housekeeping", "initialize", "issuer_pages"}
    | {"metadata_refresher"},
    {"web"},
    {"portal", "console"},
    {"app"},
    {"server"},
    {"demo"},
    {"cli"},
)
"""The rooms of ``broker``, from the ground up. A room imports from lower layers alone, never from its own layer."""

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "flask": (
        "broker/app.py",
        "broker/health.py",
        "broker/issuer_pages.py",
        "broker/web/",
        "broker/portal/",
        "broker/console/",
    ),
    "werkzeug": ("broker/web/", "broker/app.py"),
    "markupsafe": ("broker/web/", "broker/portal/"),
    "authlib": ("providers/oidc/client.py",),
    "botocore": ("broker/aws/", "broker/demo/"),
    "boto3": ("broker/demo/",),
    "sqlalchemy": ("broker/store/", "broker/audit/"),
    "alembic": ("broker/store/",),
    "click": ("broker/cli/",),
    "granian": ("broker/server.py", "broker/later.py"),
    "gunicorn": ("broker/server.py",),
    "ldap3": ("providers/ldap/",),
    "pyasn1": ("providers/ldap/",),
    "jwt": ("broker/credentials/", "providers/oidc/", "broker/demo/"),
    "cryptography": (
        "broker/audit/notes.py",
        "broker/credentials/",
        "providers/oidc/",
        "providers/saml/",
        "broker/demo/",
    ),
    "psycopg": ("broker/store/postgresql.py",),
    "msgspec": ("broker/", "providers/"),
    "pyotp": ("broker/mfa.py",),
    "argon2": ("broker/credentials/passwords.py",),
    "segno": ("broker/iam/mfa_devices.py", "broker/portal/"),
    "lxml": ("providers/saml/",),
    "onelogin": ("providers/saml/service.py",),
    "rfc8785": ("broker/audit/canonical.py",),
    "regex": ("broker/aws/", "broker/session_requests.py"),
    "xmlsec": ("providers/saml/",),
    "webauthn": ("broker/iam/passkeys.py",),
    "yaml": ("broker/cli/",),
    "zxcvbn": ("broker/iam/password_rules.py",),
}
"""Where a library may be used. A library that is not named here may not be used at all."""

TYPES_OF_LIBRARIES = {("sqlalchemy", "Connection")}
"""What other rooms may say about the store: a transaction that they were given."""

OUTBOUND = {"http.client", "urllib.request", "socket", "ssl", "ftplib", "smtplib", "xmlrpc.client", "asyncio"}
OUTBOUND_ALLOWED = (
    "providers/fetch.py",
    "providers/ldap/",
    "broker/audit/sinks.py",
    "broker/demo/",
    "broker/cli/demo.py",
    "broker/provider_files.py",
)
"""``providers.fetch`` is the only way out by HTTP, ``providers.ldap`` to directories; ``provider_files`` has ``ssl``
read certificates, and ``sinks`` asks ``socket`` for the host's name."""

NO_INPUT_OR_OUTPUT = {"os", "pathlib", "io", "tempfile", "subprocess", "socket", "time", "random", "secrets", "logging"}
PURE = ("broker/domain/", "broker/policy/")
"""Decided by arguments alone: the time is one of them."""

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "base_utils"}
KEY_SUFFIXES = {".key", ".p12", ".pfx", ".jks", ".keytab"}
KEY_MARKS = [f"-----BEGIN {kind}PRIVATE KEY-----" for kind in ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ")]


def _files(*packages: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for name in packages for path in (ROOT / name).rglob("*.py"))


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), file)


def _imports(file: str) -> Iterator[tuple[str, str]]:
    """Every imported module with the name taken from it, those inside functions too."""
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from ((str(node.module), alias.name) for alias in node.names)


def _room(module: str) -> str:
    """``broker.sts.identity`` -> ``sts``."""
    return module.split(".")[1] if "." in module else module


def _modules(name: str, taken: str) -> str:
    """The module that an import means: ``from broker import errors`` is ``broker.errors``."""
    if (name == "broker" and (ROOT / "broker" / f"{taken}.py").exists()) or (
        ROOT / "broker" / taken / "__init__.py"
    ).exists():
        return f"broker.{taken}"
    return name


def test_a_room_has_one_place() -> None:
    """Else the last one would count, and the others would only look like rules."""
    placed = [room for rooms in LAYERS for room in rooms]
    assert sorted(placed) == sorted(set(placed))
    there = {_room(file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")) for file in _files("broker")}
    assert set(placed) == there


@pytest.mark.parametrize("file", _files("broker"))
def test_a_room_imports_from_lower_layers_alone(file: str) -> None:
    heights = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
    own = _room(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    assert own in heights, f"{own} has no place in LAYERS"
    for name, taken in _imports(file):
        if name.split(".")[0] == "broker":
            room = _room(_modules(name, taken))
            assert room in heights, f"{room} has no place in LAYERS"
            assert room == own or heights[room] < heights[own], f"{own} imports {room}"


@pytest.mark.parametrize("file", _files("providers"))
def test_providers_know_nothing_of_the_broker(file: str) -> None:
    assert not [name for name, _ in _imports(file) if name.split(".")[0] == "broker"]


@pytest.mark.parametrize("file", _files(*PACKAGES))
def test_a_library_is_used_in_its_room_alone(file: str) -> None:
    for name, taken in _imports(file):
        library = name.split(".")[0]
        if library in sys.stdlib_module_names or library in PACKAGES or (name, taken) in TYPES_OF_LIBRARIES:
            continue
        assert file.startswith(LIBRARIES.get(library, ())), f"{library} ({taken or name}) is not for {file}"


@pytest.mark.parametrize("file", [file for file in _files(*PACKAGES) if not file.startswith(OUTBOUND_ALLOWED)])
def test_nothing_else_talks_to_the_network(file: str) -> None:
    assert not {name for name, _ in _imports(file)} & OUTBOUND


@pytest.mark.parametrize("file", [file for file in _files("broker") if file.startswith(PURE)])
def test_decisions_depend_on_their_arguments_alone(file: str) -> None:
    assert not {name.split(".")[0] for name, _ in _imports(file)} & NO_INPUT_OR_OUTPUT
    calls = {ast.unparse(node.func) for node in ast.walk(_tree(file)) if isinstance(node, ast.Call)}
    assert not {call for call in calls if call in ("open", "print", "datetime.now", "datetime.utcnow", "date.today")}


@pytest.mark.parametrize("file", _files("broker/domain"))
def test_the_domain_needs_the_standard_library_alone(file: str) -> None:
    """And msgspec, which makes its values."""
    own = ("broker.domain", "broker.errors", "msgspec")
    for name, _ in _imports(file):
        assert name.split(".")[0] in sys.stdlib_module_names or name.startswith(own), name


def test_every_library_of_the_table_is_used() -> None:
    used = {name.split(".")[0] for file in _files(*PACKAGES) for name, _ in _imports(file)}
    assert not LIBRARIES.keys() - used


def test_every_dependency_is_used() -> None:
    """And the other way round: what is imported without an extra is a dependency."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {_library(line) for line in project["dependencies"]}
    optional = {_library(line) for lines in project["optional-dependencies"].values() for line in lines}
    names = {
        "argon2": "argon2-cffi",
        "jwt": "pyjwt",
        "onelogin": "python3-saml",
        "yaml": "pyyaml",
        "werkzeug": "flask",
        "markupsafe": "flask",
    }
    used = {names.get(library, library) for library in LIBRARIES}
    assert used - named <= optional
    assert not named - used


def _library(requirement: str) -> str:
    """``psycopg[binary]>=3.2`` -> ``psycopg``."""
    return requirement.split(">=")[0].split("[")[0].lower()


@pytest.mark.parametrize("file", _files(*PACKAGES, "tests", "bench"))
def test_a_module_says_what_it_is(file: str) -> None:
    if (ROOT / file).read_text(encoding="utf-8").strip():
        assert ast.get_docstring(_tree(file)), "no docstring"
    parts = {part.removesuffix(".py") for part in Path(file).parts}
    assert not parts & FORBIDDEN_NAMES, "name it after the thing"


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_private_key_is_in_the_repository() -> None:
    for path in _tracked():
        assert path.suffix not in KEY_SUFFIXES, path
        text = path.read_bytes().decode("utf-8", "replace")
        assert not [mark for mark in KEY_MARKS if mark in text], path


def test_no_generated_file_is_in_the_repository() -> None:
    parts = {"node_modules", "__pycache__", ".venv", ".hypothesis", ".mypy_cache", ".ruff_cache"}
    assert not [path for path in _tracked() if parts & set(path.relative_to(ROOT).parts)]


def test_generic_handlers_are_at_the_outer_edges_alone() -> None:
    """``except Exception`` is where a failure becomes an answer (house rule 6), or a denial, or leaves a thread."""
    edges = {
        "broker/audit/group.py",
        "broker/aws/endpoint.py",
        "broker/directory_watch.py",
        "broker/housekeeping.py",
        "broker/metadata_refresher.py",
        "broker/policy/evaluate.py",
        "broker/server.py",
        "broker/store/shared_changes.py",
        "broker/web/site.py",
        "providers/saml/readers.py",
    }
    found = {
        file
        for file in _files(*PACKAGES)
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    }
    assert found <= edges

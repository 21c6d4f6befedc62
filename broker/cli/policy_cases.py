"""Cases for ``accredit policy test``: who asks for what under which policies, and what the answer should be.

``docs/policy-lint.md`` describes the file. Everything that a file gets wrong is a ConfigurationError that names the
file, the case and the key.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from broker.domain.arn import ACCOUNT_ID, Arn, role_arn
from broker.domain.principal import Principal, PrincipalKind
from broker.errors import ConfigurationError, MalformedPolicy, ValidationFailed
from broker.policy.compile import compile_policy
from broker.policy.context import Context, principal_context
from broker.policy.document import PolicyKind
from broker.policy.evaluate import AccessRequest, Decision, PolicySet, PolicySource, evaluate

MAX_BYTES = 1_048_576
_MAX_DEPTH = 64
_KEY_PART = r"""(?>[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_KEY_PART}(?>[ \t]*\.[ \t]*{_KEY_PART}){{{_MAX_DEPTH}}}")

_REQUIRED = frozenset({"name", "principal", "action", "resource", "policies", "expect"})
_KNOWN = _REQUIRED | {"context"}
_POLICIES = ("identity", "trust", "boundary", "session")
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9_.-]+")
_EXPECTED = {"allow": True, "deny": False}
_EXTERNAL = {
    "oidc-provider": PrincipalKind.WEB_IDENTITY,
    "saml-provider": PrincipalKind.SAML_IDENTITY,
    "ldap-provider": PrincipalKind.LDAP_IDENTITY,
}


def _yaml(text: str) -> Any:
    """A YAML document without aliases, which could make a small file stand for a huge one. Raises ValueError."""
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("aliases are not allowed")
            opens, closes = (isinstance(event, kind) for kind in (yaml.CollectionStartEvent, yaml.CollectionEndEvent))
            depth += opens - closes
            if depth > _MAX_DEPTH:  # the parser would take gigabytes
                raise ValueError("nested too deeply")
        return yaml.load(text, _YamlLoader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


class _YamlLoader(yaml.SafeLoader):  # type: ignore[misc]  # the library has no types
    """Refuses a key that is given twice, as TOML does; ``Version: 2012-10-17`` is a text, as people mean it."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # the library's name and type
        first: [(tag, form) for tag, form in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise ValueError(f"a key is given twice at line {node.start_mark.line + 1}")
        return found


def _toml(text: str) -> Any:
    """A TOML document. Raises ValueError."""
    if _LONG_KEY.search(text):  # the parser would take gigabytes
        raise ValueError("nested too deeply")
    return tomllib.loads(text)


READERS: Mapping[str, Callable[[str], Any]] = {".toml": _toml, ".yaml": _yaml}
"""File name suffix -> parser."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question and the answer that is expected of it."""

    name: str
    request: AccessRequest
    policies: PolicySet
    allowed: bool

    def decide(self) -> Decision:
        return evaluate(self.request, self.policies)


def load_cases(file: Path) -> list[Case]:
    """The cases of one file, at least one. Raises ConfigurationError."""
    document = _document(file)
    _only(str(file), document, frozenset({"case"}), frozenset({"case"}))
    cases = document["case"]
    if not isinstance(cases, list) or not cases:
        raise ConfigurationError(f"{file}: case must be a list of cases, and not an empty one")
    return [_case(f"{file}: case {number}", file.parent, item) for number, item in enumerate(cases, 1)]


def _document(file: Path) -> Any:
    text = _text(file, str(file))
    try:
        return READERS[file.suffix](text)
    except RecursionError as error:
        raise ConfigurationError(f"{file}: nested too deeply") from error
    except ValueError as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _text(file: Path, where: str) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigurationError(f"{where}: {file} is larger than {MAX_BYTES} bytes")
        return content.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{where}: cannot read {file}: {reason}") from error


def _only(where: str, table: Any, known: frozenset[str], required: frozenset[str]) -> None:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: a table is expected")
    if unknown := [key for key in table if key not in known]:
        raise ConfigurationError(f"{where}: unknown key {unknown[0]!a}")
    if missing := sorted(required - table.keys()):
        raise ConfigurationError(f"{where}: {missing[0]} is missing")


def _case(where: str, directory: Path, item: Any) -> Case:
    _only(where, item, _KNOWN, _REQUIRED)
    for key in ("name", "principal", "action", "resource", "expect"):
        if not isinstance(item[key], str) or not item[key].isprintable():
            raise ConfigurationError(f"{where}: {key} must be printable text")
    if item["expect"] not in _EXPECTED:
        raise ConfigurationError(f"{where}: expect must be allow or deny")
    if not _ACTION.fullmatch(item["action"]):
        raise ConfigurationError(f"{where}: action must be one action, as in sts:AssumeRole")
    given = _context(where, item.get("context", {}))
    principal = _principal(where, item["principal"], given)
    try:
        account = principal.account if item["resource"] == "*" else Arn.parse(item["resource"]).account
        context = Context({**_unless_given(principal_context(principal), given), **given})
    except (ValidationFailed, ValueError) as error:
        raise ConfigurationError(f"{where}: {error}") from error
    account = account or principal.account  # buckets, for one, have ARNs without account
    request = AccessRequest(principal, item["action"], item["resource"], account, context)
    return Case(item["name"], request, _policy_set(where, directory, item["policies"]), _EXPECTED[item["expect"]])


def _unless_given(keys: dict[str, tuple[str, ...]], given: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The keys that follow from the principal; an empty id is one that the case does not know."""
    folded = {key.lower() for key in given}
    return {key: values for key, values in keys.items() if key.lower() not in folded and values != ("",)}


def _context(where: str, table: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: context must be a table")
    found: dict[str, tuple[str, ...]] = {}
    for key, value in table.items():
        values = value if isinstance(value, list) else [value]
        if not isinstance(key, str) or not all(isinstance(each, str | int | float | date) for each in values):
            raise ConfigurationError(f"{where}: context {key!a} must be a value or a list of values")
        found[key] = tuple(_as_text(each) for each in values)
    return found


def _as_text(value: str | int | float | date) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _principal(where: str, text: str, given: Mapping[str, tuple[str, ...]]) -> Principal:
    """Who an ARN names. ``aws:userid`` and ``aws:PrincipalArn`` of the context say what an ARN leaves open."""
    try:
        arn = Arn.parse(text)
    except ValidationFailed as error:
        raise ConfigurationError(f"{where}: principal {text[:64]!a} is no ARN") from error
    folded = {key.lower(): values[0] for key, values in given.items() if values}
    user_id, account = folded.get("aws:userid", ""), arn.account
    kind, name = arn.kind, arn.name
    if ACCOUNT_ID.fullmatch(account):
        match arn.service, kind:
            case "iam", "root":
                return Principal(PrincipalKind.ROOT, account, text, account)
            case "iam", "user":
                return Principal(PrincipalKind.USER, account, text, user_id, user_name=name)
            case "iam", "oidc-provider" | "saml-provider":
                return Principal(_EXTERNAL[kind], account, text, user_id)
            case "iam", "role":
                session = f"arn:{arn.partition}:sts::{account}:assumed-role/{name}/policy-test"
                return _role_session(account, session, text, user_id)
            case "sts", "federated-user":
                return Principal(PrincipalKind.FEDERATED_USER, account, text, f"{account}:{name}")
            case "sts", "assumed-role" if arn.resource.count("/") == 2:
                role = role_arn(account, "/", arn.resource.split("/")[1])
                return _role_session(account, text, folded.get("aws:principalarn", role), user_id)
    raise ConfigurationError(f"{where}: principal {text[:64]!a} is nobody who can ask")


def _role_session(account: str, session: str, role: str, user_id: str) -> Principal:
    role_id = user_id.partition(":")[0] or None
    return Principal(PrincipalKind.ROLE_SESSION, account, session, user_id, role_arn=role, role_id=role_id)


def _policy_set(where: str, directory: Path, table: Any) -> PolicySet:
    where = f"{where}: policies"
    _only(where, table, frozenset(_POLICIES), frozenset())
    found = {key: tuple(_sources(where, directory, key, table[key])) for key in _POLICIES if key in table}
    for key in ("trust", "boundary"):
        if len(found.get(key, ())) > 1:
            raise ConfigurationError(f"{where}: there can be one {key} policy only")
    return PolicySet(
        identity=found.get("identity", ()),
        resource=next(iter(found.get("trust", ())), None),
        resource_is_trust="trust" in found,
        boundary=next(iter(found.get("boundary", ())), None),
        session=found.get("session"),
    )


def _sources(where: str, directory: Path, key: str, value: Any) -> Iterator[PolicySource]:
    """The policies under one key: a file's name, a policy as a table, or a list of them."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ConfigurationError(f"{where}: {key} is an empty list")
    for item in items:
        name = item if isinstance(item, str) else f"{key} policy"
        try:
            text = _text(directory / item, where) if isinstance(item, str) else json.dumps(item)
            yield PolicySource(name, compile_policy(text, PolicyKind(key)))
        except MalformedPolicy as error:
            raise ConfigurationError(f"{where}: {name}: {error.message}") from error
        except (RecursionError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{where}: {key} must be the name of a file, or a policy") from error

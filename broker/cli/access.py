"""``accredit access``: smaller policies, and who can become whom."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from broker.analysis.access_paths import access_graph
from broker.analysis.minimal_policy import minimal_policy
from broker.analysis.replay import Change, replay, told
from broker.audit.lookup import Search, search_all
from broker.audit.observed import last_used, observed
from broker.aws.operations import OPERATIONS
from broker.catalog import Catalog
from broker.credentials.masterkey import load_master_key
from broker.database import command_database
from broker.domain.arn import Arn
from broker.errors import BrokerError
from broker.policy.compile import compile_policy
from broker.policy.document import PolicyKind
from broker.settings import load_settings
from broker.store.entities import Entity, find_entity
from broker.store.managed_policies import find_managed_policy
from broker.store.policy_versions import find_version

_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
_days = click.option("--days", default=90, type=click.IntRange(1, 36_500), help="How far back to look.")
_json = click.option("--json", "as_json", is_flag=True)
_PREFIXES = {"accessanalyzer": "access-analyzer"}


@click.group()
def access() -> None:
    """Least privilege: what is used, what a change would do, who can become whom."""


@access.command()
@_directory
@click.argument("arn")
@_days
@_json
def permissions(directory: Path, arn: str, days: int, as_json: bool) -> None:
    """Show which of its permissions the user or role ARN has used, and which not."""
    with _opened(directory) as (connection, catalog):
        entity = _entity(connection, arn)
        used = last_used(observed(connection, entity.account, entity.id, _since(days)))
        view = catalog.user(entity.id) if entity.kind == "user" else catalog.role(entity.arn)
        statements = [
            one for source in (view.identity if view else ()) for one in source.policy.statements if _allows(one)
        ]
        granted = {action for action in _actions() if any(one.matches_action(action.lower()) for one in statements)}
    unused = sorted(granted - used.keys())
    if as_json:
        click.echo(json.dumps({"used": used, "unused": unused}))
        return
    for action, moment in sorted(used.items()):
        click.echo(f"used    {action}  {datetime.fromtimestamp(moment, UTC).isoformat()[:19]}Z")
    for action in unused:
        click.echo(f"unused  {action}")


@access.command()
@_directory
@click.argument("arn")
@_days
def generate(directory: Path, arn: str, days: int) -> None:
    """Print the smallest policy that allows what the user or role ARN did."""
    with _opened(directory) as (connection, _):
        entity = _entity(connection, arn)
        click.echo(minimal_policy(observed(connection, entity.account, entity.id, _since(days))))


@access.command("replay")
@_directory
@click.option("--policy", "policy_arn", help="The managed policy to change.")
@click.option("--inline", help="The inline policy to change: 'user/NAME inline policy POLICY', or of a role or group.")
@click.option("--trust", help="The role whose trust policy to change.")
@click.option("--document", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="What it becomes.")
@click.option("--version", "version_id", help="What it becomes: a version of --policy, as v3.")
@click.option("--account", help="Whose calls; that of --policy or --trust, if left out.")
@_days
@_json
def replay_policy(
    directory: Path,
    policy_arn: str | None,
    inline: str | None,
    trust: str | None,
    document: Path | None,
    version_id: str | None,
    account: str | None,
    days: int,
    as_json: bool,
) -> None:
    """Ask the recorded calls again with a changed policy: which would be decided otherwise, and whom that hits."""
    if sum(map(bool, (policy_arn, inline, trust))) != 1 or bool(document) == bool(version_id and policy_arn):
        raise click.UsageError("give one of --policy, --inline and --trust, and --document (or --version of --policy)")
    owner = account or (Arn.parse(policy_arn or trust or "").account if not inline else "")
    if not owner or owner == "aws":
        raise click.UsageError("give --account")
    name = f"trust policy of {trust}" if trust else policy_arn or inline or ""
    with _opened(directory) as (connection, catalog):
        text = document.read_text(encoding="utf-8") if document else _version(connection, policy_arn, version_id)
        change = Change(name, compile_policy(text, PolicyKind.TRUST if trust else PolicyKind.IDENTITY))
        events = (found.event for found in search_all(connection, Search(owner, start=_since(days))))
        result = replay(catalog, events, change)
    if as_json:
        lists = {"denied": result.denied, "allowed": result.allowed}
        rows = {key: [[*pair, count] for pair, count in found.most_common()] for key, found in lists.items()}
        click.echo(
            json.dumps(
                {"decisions": result.decisions, "concerned": result.concerned, "unknown": result.unknown, **rows}
            )
        )
        return
    for line in told(result):
        click.echo(line)


@access.command()
@_directory
@click.option("--to", "target", help="Who can become this role?")
@click.option("--from", "source", help="What can this user, role or identity provider become?")
@click.option("--to-administrator", is_flag=True, help="The shortest way to somebody who can do everything.")
@click.option("--account", help="All of an account, with --to-administrator.")
@_json
def paths(
    directory: Path, target: str | None, source: str | None, to_administrator: bool, account: str | None, as_json: bool
) -> None:
    """Show the ways from users, roles and identity providers to roles."""
    named = target or source
    if not named and not (account and to_administrator):
        raise click.UsageError("give --to ROLE, --from ARN, or --to-administrator with --from or --account")
    with _opened(directory) as (connection, catalog):
        graph = access_graph(connection, catalog, account or Arn.parse(named or "").account)
    if named and named not in graph.nodes:
        raise BrokerError(f"there is no user, role or identity provider {named}")
    ways: list[list[str] | None]
    if to_administrator:
        ways = [graph.to_administrator(arn) for arn in ([source] if source else graph.nodes)]
    elif target:
        ways = [way for arn, way in graph.reaching(target).items() if source in (None, arn)]
    else:
        ways = list(graph.reachable(source or "").values())
    found = sorted((way for way in ways if way), key=lambda way: (len(way), way))
    click.echo(json.dumps(found) if as_json else "\n".join(" -> ".join(way) for way in found) or "none")


@contextmanager
def _opened(directory: Path) -> Iterator[tuple[Connection, Catalog]]:
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    with command_database(settings) as database, database.read() as connection:
        yield connection, Catalog(database, master_key)


def _entity(connection: Connection, arn: str) -> Entity:
    found = find_entity(connection, arn)
    if found is None or found.kind == "group":
        raise BrokerError(f"there is no user or role {arn}")
    return found


def _version(connection: Connection, arn: str | None, version_id: str | None) -> str:
    policy = find_managed_policy(connection, arn or "")
    number = (version_id or "").removeprefix("v")
    version = find_version(connection, policy.id, int(number)) if policy and number.isdecimal() else None
    if version is None:
        raise BrokerError(f"there is no version {version_id} of {arn}")
    return version.document


def _allows(statement: Any) -> bool:
    return bool(statement.statement.effect.value == "Allow")


def _actions() -> Iterator[str]:
    """Every action that is served, as policies write it."""
    for service, entries in OPERATIONS.items():
        yield from (f"{_PREFIXES.get(service, service)}:{name}" for name in entries)


def _since(days: int) -> int:
    return int((datetime.now(UTC) - timedelta(days=days)).timestamp())

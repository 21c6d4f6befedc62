"""``accredit ldap``: a directory tried out, and looked through for who has gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from broker.cli.parts import opened_services
from broker.domain.arn import ldap_provider_arn
from broker.errors import ValidationFailed
from broker.ldap.reports import LoginReport, report_login
from broker.ldap.sync import SyncReport, sync_directory
from broker.services import Services
from broker.store.identity_providers import ProviderRecord
from providers.errors import ProviderError

if TYPE_CHECKING:
    from providers.ldap.probe import Stage

_SIGNS = {True: "✓", False: "✗", None: "-"}


@click.group()
def ldap() -> None:
    """Directories: LDAP and Active Directory."""


_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
_provider = click.option("--provider", metavar="NAME|ARN", help="By default the only one that there is.")
_account = click.option("--account", metavar="ID", help="The account of NAME; by default the first one configured.")


@ldap.command("test")
@_directory
@click.option("--user", "username", required=True, help="Whom to look for, as people type it.")
@click.option(
    "--password-file",
    type=click.File("r"),
    help="The user's password; - is standard input. Without it nobody logs in, and the rest is tried.",
)
@click.option("--ask", is_flag=True, help="Ask for the password.")
@_provider
@_account
@click.option("--json", "as_json", is_flag=True)
def test(
    directory: Path,
    username: str,
    password_file: TextIO | None,
    ask: bool,
    provider: str | None,
    account: str | None,
    as_json: bool,
) -> None:
    """Try a login stage by stage, as the broker of DIRECTORY would. No session is made.

    Each stage shows the ldapsearch command that does the same, and, where it failed, what to change. The exit status is
    0 if everything passed and a role would let the user in.
    """
    from providers.ldap.probe import Probe
    from providers.ldap.provider import LdapProvider

    password = password_file.read().rstrip("\r\n") if password_file else None
    if ask:
        password = click.prompt("Password", hide_input=True, err=True)
    now = datetime.now(UTC)
    with opened_services(directory) as services:
        record = _choose(services, provider, account)
        live = services.providers.get(record)
        assert isinstance(live, LdapProvider)  # of kind "ldap"
        probe = Probe(live, username, password, now)
        stages = []
        for stage in probe.stages():
            stages.append(stage)
            if not as_json:
                click.echo("\n".join(_stage_lines(stage)))
        login = None if probe.identity is None else report_login(services, record, probe.identity, now)
    if as_json:
        click.echo(json.dumps(_as_json(record, stages, login), indent=2))
    else:
        click.echo("\n".join(_login_lines(login)))
    failed = any(stage.passed is False for stage in stages)
    if failed or login is None or not any(role.allowed for role in login.roles):
        raise SystemExit(1)


@ldap.command()
@_directory
@_provider
@_account
@click.option("--dry-run", is_flag=True, help="Show who would lose their sessions; nobody does.")
@click.option("--force", is_flag=True, help="Whatever the threshold says.")
@click.option("--json", "as_json", is_flag=True)
def sync(directory: Path, provider: str | None, account: str | None, dry_run: bool, force: bool, as_json: bool) -> None:
    """Look up in the directory all who may have sessions; whoever is disabled or gone there loses them now.

    The broker does this by itself too (sync_seconds). The exit status is 1 if the threshold refuses it.
    """
    with opened_services(directory) as services:
        record = _choose(services, provider, account)
        try:
            report = sync_directory(services, record, datetime.now(UTC), dry_run=dry_run, force=force)
        except ProviderError as error:
            raise ValidationFailed(f"{error.message} {error.detail}") from None
    click.echo(json.dumps(_sync_json(report), indent=2) if as_json else "\n".join(_sync_lines(report, dry_run)))
    if report.refused is not None:
        raise SystemExit(1)


def _choose(services: Services, provider: str | None, account: str | None) -> ProviderRecord:
    """Raises ValidationFailed."""
    found = services.catalog.ldap_providers(None)
    if provider is not None:
        owner = account or next((entry.id for entry in services.settings.account), "")
        arn = provider if provider.startswith("arn:") else ldap_provider_arn(owner, provider)
        found = tuple(one for one in found if one.arn == arn)
        if not found:
            raise ValidationFailed(f"there is no LDAP provider {arn}")
    if len(found) != 1:
        named = ", ".join(one.arn for one in found)
        raise ValidationFailed(f"give --provider: there are {len(found)} LDAP providers{': ' if named else ''}{named}")
    return found[0]


def _stage_lines(stage: Stage) -> Iterator[str]:
    yield f"{_SIGNS[stage.passed]} {stage.name:9} {_shown(stage.said)}"
    if stage.fix:
        yield f"            fix: {_shown(stage.fix)}"
    if stage.command:
        yield f"            $ {_shown(stage.command)}"


def _login_lines(login: LoginReport | None) -> Iterator[str]:
    if login is None:
        return
    if login.asked is None:
        yield f"✗ session   {_shown(login.problem)}"
        yield "            fix: change the mapping of attributes, or the entry"
        return
    yield f"✓ session   {login.asked.session_name}"
    for key, value in login.asked.tags.items():
        yield f"            tag {_shown(key)} = {_shown(value)}"
    if login.asked.source_identity is not None:
        yield f"            source identity {login.asked.source_identity}"
    for role in login.roles:
        rest = f": {_shown(role.reason)}" if role.reason else ""
        yield f"{_SIGNS[role.allowed]} role      {role.role_arn}{rest}"
    if not login.roles:
        yield "✗ role      no role's trust policy names this provider"
        yield "            fix: name it as Federated principal, with sts:AssumeRoleWithLDAPIdentity as action"


def _as_json(record: ProviderRecord, stages: list[Stage], login: LoginReport | None) -> dict[str, object]:
    return {
        "provider": record.arn,
        "stages": [asdict(stage) for stage in stages],
        "session": None if login is None or login.asked is None else asdict(login.asked),
        "session_problem": login.problem or None if login is not None else None,
        "roles": [asdict(role) for role in login.roles] if login is not None else [],
    }


def _sync_lines(report: SyncReport, dry_run: bool) -> Iterator[str]:
    word = "lost their sessions" if report.applied else "would lose their sessions"
    yield f"{report.provider}: {report.known} may have sessions, {len(report.ended)} {word}"
    for one in report.ended:
        yield f"  {_shown(one.subject.username)} ({_shown(one.subject.dn)}): {_shown(one.reason)}"
    if report.refused is not None:
        yield f"refused: {report.refused}; look at the directory and the settings, then --force"
    elif dry_run:
        yield "nothing was done (--dry-run)"


def _sync_json(report: SyncReport) -> dict[str, object]:
    return {
        "provider": report.provider,
        "known": report.known,
        "ended": [
            {
                "subject": one.subject.subject,
                "username": one.subject.username,
                "dn": one.subject.dn,
                "reason": one.reason,
            }
            for one in report.ended
        ],
        "refused": report.refused,
        "applied": report.applied,
    }


def _shown(value: str) -> str:
    """On one line, without characters that a terminal would obey: a directory may be hostile."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in value[:2_048])

"""``accredit policy``: lint policies, and test what they allow."""

from __future__ import annotations

import json
from pathlib import Path

import click

from broker.cli.policy_cases import READERS, Case, load_cases
from broker.cli.sarif import render_sarif
from broker.domain.arn import ACCOUNT_ID
from broker.errors import ConfigurationError
from broker.policy.document import PolicyKind
from broker.policy.lint import Finding, FindingType, finding_as_json, guess_kind, lint
from broker.policy.reader import MAX_CHARACTERS

_THRESHOLDS = {type_.value.lower().replace("_", "-"): type_ for type_ in FindingType}


@click.group()
def policy() -> None:
    """Policies: what is wrong with them, and what they allow."""


@policy.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--kind", type=click.Choice([kind.value for kind in PolicyKind]), help="Guessed from the elements if not given."
)
@click.option("--account", metavar="ID", help="The account that the policies belong to; all others are foreign.")
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice(list(_THRESHOLDS)),
    default="security-warning",
    show_default=True,
    help="The least grave finding that makes the exit status 1.",
)
def lint_files(files: tuple[Path, ...], kind: str | None, account: str | None, form: str, fail_on: str) -> None:
    """Report what is wrong, dangerous or superfluous in policy documents."""
    if account is not None and not ACCOUNT_ID.fullmatch(account):
        raise click.BadParameter("an account id has 12 digits", param_hint="--account")
    found: list[tuple[str, Finding]] = []
    for file in files:
        text = _read(file)
        findings = lint(text, PolicyKind(kind) if kind else guess_kind(text), account)
        found += ((str(file), finding) for finding in findings)
    if form == "sarif":
        click.echo(json.dumps(render_sarif(found), indent=2))
    elif form == "json":
        click.echo(json.dumps([{"file": name, **finding_as_json(finding)} for name, finding in found], indent=2))
    else:
        for name, finding in found:
            click.echo(_line(name, finding))
    if any(finding.type.at_least(_THRESHOLDS[fail_on]) for _, finding in found):
        raise SystemExit(1)


@policy.command("test")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
def test_directory(directory: Path) -> None:
    """Ask the questions that the case files of DIR list, and compare the answers."""
    files = sorted(file for file in directory.iterdir() if file.suffix in READERS)
    if not files:
        raise ConfigurationError(f"{directory} has no case files ({', '.join(f'*{suffix}' for suffix in READERS)})")
    results = [_ask(file, case) for file in files for case in load_cases(file)]
    wrong = results.count(False)
    click.echo(f"{len(results)} cases, {wrong} wrong")
    if wrong:
        raise SystemExit(1)


def _read(file: Path) -> str:
    """As much of a file as the linter needs to see that it is too long."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return stream.read(MAX_CHARACTERS + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"cannot read {file}: it is not UTF-8") from error


def _line(file: str, finding: Finding) -> str:
    start = finding.locations[0].span.start
    return f"{file}:{start.line}:{start.column + 1}: {finding.type.value} {finding.code} {finding.details}"


def _ask(file: Path, case: Case) -> bool:
    """Whether the answer is the expected one; says so."""
    decision = case.decide()
    right = decision.allowed is case.allowed
    answer = "allow" if decision.allowed else "deny"
    reason = " ".join(part for part in (answer, decision.sentence(), decision.error and f"({decision.error})") if part)
    click.echo(f"{'ok' if right else 'WRONG'}  {file.name}: {case.name}: {reason}")
    return right

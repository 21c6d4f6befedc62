"""``accredit saml``: what becomes of a SAML response, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click

from broker.cli.parts import opened_services
from broker.domain.arn import ACCOUNT_ID, saml_provider_arn
from broker.errors import ValidationFailed
from broker.saml.reports import MappedRole, SamlReport, choose_provider, mapped_roles, report
from providers.base import SamlResponse
from providers.errors import ProviderError
from providers.saml.response import parse_saml_response

_LONGEST = 1_000_000


@click.group()
def saml() -> None:
    """SAML: what becomes of a response, and why."""


@saml.command()
@click.argument("file", metavar="FILE|-", type=click.File("rb"))
@click.option(
    "--directory",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The data directory of the broker that would receive it.",
)
@click.option("--provider", metavar="NAME|ARN", help="By default the one that has the response's issuer.")
@click.option("--account", metavar="ID", help="By default the first that is configured.")
@click.option("--at", "at", metavar="TIME", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="By default now (UTC).")
@click.option("--json", "as_json", is_flag=True)
def check(
    file: Any, directory: Path, provider: str | None, account: str | None, at: datetime | None, as_json: bool
) -> None:
    """Check a SAML response as the broker would, and show each check. No session is made, nothing is redeemed.

    FILE holds the form's field SAMLResponse (base64), the whole form, or the XML. The exit status is 0 if the response
    would be taken and lets its subject into a role.
    """
    now = datetime.now(UTC) if at is None else at.replace(tzinfo=UTC)
    try:
        response = _read(file.read(_LONGEST + 1))
        with opened_services(directory) as services:
            owner = account or next((entry.id for entry in services.settings.account), "")
            record = choose_provider(services, owner, response, _provider_arn(owner, provider))
            found = report(services, record, response, now)
            roles = mapped_roles(services, found, now)
    except ProviderError as error:
        raise ValidationFailed(f"{error.message}: {error.detail}") from None
    click.echo(json.dumps(_as_json(found, roles), indent=2) if as_json else "\n".join(_lines(found, roles)))
    if found.inspection.problem is not None or not any(one.allowed for one in roles):
        raise SystemExit(1)


def _read(raw: bytes) -> SamlResponse:
    """Whatever people have at hand."""
    if len(raw) > _LONGEST:
        raise ValidationFailed(f"more than {_LONGEST} bytes")
    text = raw.decode("utf-8", "replace").strip().removeprefix("\ufeff")
    if text.startswith("<"):
        return SamlResponse(text.encode())
    if "SAMLResponse=" in text:
        text = parse_qs(text).get("SAMLResponse", [""])[0]
    return parse_saml_response(text)


def _provider_arn(account: str, provider: str | None) -> str | None:
    if provider is None or provider.startswith("arn:"):
        return provider
    if not ACCOUNT_ID.fullmatch(account):
        raise ValidationFailed("no account is configured: give --account")
    return saml_provider_arn(account, provider)


def _lines(found: SamlReport, roles: list[MappedRole]) -> Iterator[str]:
    inspection = found.inspection
    yield f"provider     {found.record.arn}"
    yield f"configured   {' '.join(inspection.configured)}"
    yield f"in response  {' '.join(inspection.presented) or 'no certificate'}"
    if found.identity is not None and found.subject is not None:
        yield f"assertion    {_shown(found.identity.assertion_id)} of {_shown(found.identity.issuer)}"
        yield f"subject      {_shown(found.subject.subject)} ({_shown(found.subject.subject_type)})"
        for name, values in found.identity.attributes.items():
            yield f"  {_shown(name)} = {', '.join(map(_shown, values))}"
    yield "checks"
    for one in inspection.checks:
        rest = _shown(one.actual) if one.passed else f"expected {_shown(one.expected)}; it is {_shown(one.actual)}"
        yield f"  {'✓' if one.passed else '✗'} {one.name}: {rest}"
    if inspection.opened is not None:
        for warning in inspection.opened.warnings:
            yield f"  ! weak, and let pass by the provider's settings: {_shown(warning)}"
    yield "session"
    if found.asked is not None:
        yield f"  ✓ RoleSessionName: {found.asked.session_name}"
        for key, value in found.asked.tags.items():
            yield f"    tag {_shown(key)} = {_shown(value)}"
    else:
        yield f"  ✗ {found.asked_problem or 'the assertion cannot be read'}"
    yield "roles"
    for role in roles:
        rest = f": {_shown(role.reason)}" if role.reason else ""
        yield f"  {'✓' if role.allowed else '✗'} {_shown(role.value)}{rest}"
    if not roles:
        yield "  ✗ none: the attribute https://aws.amazon.com/SAML/Attributes/Role is missing"


def _as_json(found: SamlReport, roles: list[MappedRole]) -> dict[str, Any]:
    inspection = found.inspection
    identity = found.identity
    return {
        "provider": found.record.arn,
        "configured_certificates": list(inspection.configured),
        "presented_certificates": list(inspection.presented),
        "issuer": identity and identity.issuer,
        "assertion_id": identity and identity.assertion_id,
        "subject": found.subject and found.subject.subject,
        "subject_type": found.subject and found.subject.subject_type,
        "attributes": {name: list(values) for name, values in identity.attributes.items()} if identity else None,
        "checks": [
            {"name": one.name, "passed": one.passed, "expected": one.expected, "actual": one.actual}
            for one in inspection.checks
        ],
        "warnings": list(inspection.opened.warnings) if inspection.opened else [],
        "session_problem": found.asked_problem or None,
        "roles": [{"value": one.value, "allowed": one.allowed, "reason": one.reason or None} for one in roles],
    }


def _shown(value: str | None) -> str:
    """On one line, without characters that a terminal would obey: the response may be hostile."""
    text = "" if value is None else value[:512]
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)

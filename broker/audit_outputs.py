"""The outputs that ``accredit.toml`` configures, made ready. What they need is read at the start, or it fails then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from broker.audit.alerts import Alert
from broker.audit.sinks import FileSink, OtlpSink, Sink, StdoutSink, SyslogSink, WebhookSink
from broker.errors import ConfigurationError
from broker.settings import (
    AuditOutputEntry,
    FileOutputEntry,
    OtlpOutputEntry,
    Settings,
    StdoutOutputEntry,
    SyslogOutputEntry,
    parse_bind,
)
from providers.fetch import Fetcher, Trust

_LEAST_SECRET = 16


def open_outputs(settings: Settings, fetcher: Fetcher) -> dict[str, Sink]:
    """Name -> sink. Raises ConfigurationError."""
    return {entry.name: _open(settings, fetcher, entry) for entry in settings.audit_output}


def open_alerts(settings: Settings, outputs: Mapping[str, Sink]) -> list[Alert]:
    """The rules that are switched on."""
    return [
        Alert(entry.rule, outputs[entry.output] if entry.output else None, entry.threshold, entry.seconds)
        for entry in settings.audit_alert
    ]


def _open(settings: Settings, fetcher: Fetcher, entry: AuditOutputEntry) -> Sink:
    if isinstance(entry, FileOutputEntry):
        return FileSink(settings.file(entry.path), entry.rotate_bytes, entry.keep)
    if isinstance(entry, StdoutOutputEntry):
        return StdoutSink()
    trust = Trust(_text(settings.file(entry.ca_file)) if entry.ca_file else None)
    if isinstance(entry, SyslogOutputEntry):
        return SyslogSink(fetcher, *parse_bind(entry.address), trust)
    if isinstance(entry, OtlpOutputEntry):
        return OtlpSink(fetcher, entry.url, _headers(settings, entry.headers_file), trust)
    secret = _secret(settings.file(entry.secret_file))
    return WebhookSink(fetcher, entry.name, entry.url, secret.encode(), trust)


def _headers(settings: Settings, name: str) -> Mapping[str, str]:
    if not name:
        return {}
    pairs = [line.partition(":") for line in _secret(settings.file(name)).splitlines() if line.strip()]
    if not all(colon and key.strip().isascii() for key, colon, _ in pairs):
        raise ConfigurationError(f"audit_output: {name} has a line that is not 'Name: value'")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _secret(path: Path) -> str:
    text = _text(path).strip()
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"audit_output: others may read {path}: chmod 600 {path}")
    if len(text) < _LEAST_SECRET:
        raise ConfigurationError(f"audit_output: the secret in {path} is shorter than {_LEAST_SECRET} characters")
    return text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"audit_output: {path} cannot be read: {error}") from None

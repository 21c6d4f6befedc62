"""Settings: every option and its default, read once at the start from TOML and environment.

The file is ``accredit.toml`` of the data directory. ``ACCREDIT_SECTION_KEY`` overrides ``key`` of ``[section]``;
lists are given comma-separated. An unknown key or variable is an error that names it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from broker.errors import ConfigurationError

CONFIG_FILE = "accredit.toml"
MASTER_KEY_VARIABLE = "ACCREDIT_MASTER_KEY"
STORE_PASSWORD_VARIABLE = "ACCREDIT_STORE_PASSWORD"  # noqa: S105  # a variable's name
ISSUER_PATH = "/oidc"
"""Issuers of tokens for relying parties are below this path of the base URL, one for each account."""
SAML_PATH = "/saml"
"""What we are called towards SAML providers is below this path, a name for each provider."""
_PREFIX = "ACCREDIT_"
_SECRET_VARIABLES = (MASTER_KEY_VARIABLE, STORE_PASSWORD_VARIABLE)


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the configuration."""


class ServerSettings(_Section, frozen=True):
    """``[server]``: how HTTP is served."""

    bind: str = "127.0.0.1:8400"
    engine: Literal["granian", "gunicorn"] = "granian"
    workers: int = 2
    threads: int = 8
    """Requests that one worker handles at a time; a request waiting for the disk or an issuer holds one."""
    base_url: str = ""
    """The address that people and clients see; ``http(s)://<bind>`` when empty. Never taken from a Host header."""
    path_prefix: str = ""
    """AWS calls are answered at ``/`` and, when set, at this path too (``--endpoint-url https://host/prefix``)."""
    max_body_bytes: int = 262_144
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed. None by default."""
    tls_certificate: str = ""
    tls_key: str = ""
    drain_seconds: int = 30
    """How long a stopping worker may finish the requests it has."""


class StoreSettings(_Section, frozen=True):
    """``[store]``: where durable objects are."""

    url: str = "sqlite:///accredit.db"
    """An SQLAlchemy URL: ``sqlite:///PATH``, relative to the data directory, or ``postgresql+psycopg://…``."""
    password_file: str = ""
    """PostgreSQL's password, mode 0600; the variable ACCREDIT_STORE_PASSWORD takes precedence."""


class KeySettings(_Section, frozen=True):
    """``[keys]``: the keys behind credentials and secrets."""

    master_key_file: str = "master.key"
    """32 random bytes in base64, mode 0600; the variable ACCREDIT_MASTER_KEY takes precedence."""
    activation_seconds: int = 5
    """A new key is known to every worker for this long before it is used."""
    publish_before_use_seconds: int = 300
    """A new signing key is published for this long before it signs; relying parties cache keys for half of it."""


class StsSettings(_Section, frozen=True):
    """``[sts]``: the token service."""

    clock_window_seconds: int = 300
    """How far a signature's date may be from our clock, either way."""


class FetchSettings(_Section, frozen=True):
    """``[fetch]``: the only outbound HTTP, to identity providers."""

    allow_http_loopback: bool = False
    allow_networks: tuple[str, ...] = ()
    """Private networks (CIDR) in which identity providers may be reached; public addresses always may."""
    timeout_seconds: float = 5.0
    keys_fresh_seconds: int = 3_600


class AuditSettings(_Section, frozen=True):
    """``[audit]``: the audit record."""

    read_flush_milliseconds: int = 50
    """Records of read-only calls are on disk after this time at the latest (bound: 100)."""
    failures_per_second: float = 10
    """Failed calls of nobody known that one address leaves a record of, after a burst of ten times as many; what is
    above is counted into one event a second."""
    seal_seconds: float = 2.0
    """How often new events become leaves of the Merkle tree, are indexed, and its head is signed."""
    anchor_file: str = "audit.heads"
    """Where this node writes a signed head each minute: best on another disk, or one that only takes additions."""


class LogSettings(_Section, frozen=True):
    """``[log]``: JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    requests: bool = False
    """One line per request. Off by default: the audit record has every call."""


class IamSettings(_Section, frozen=True):
    """``[iam]``: the identities."""

    access_key_reminder_days: int = 90
    """``accredit report credentials`` names active access keys that are older."""


class WebSettings(_Section, frozen=True):
    """``[web]``: the pages, and the sessions of people who are signed in to them."""

    idle_minutes: int = 60
    """A session that nobody used for so long is over."""
    session_hours: int = 12
    """Every session is over after this time."""
    step_up_minutes: int = 5
    """How long ago a second factor may have been given for a change of what signs people in."""
    require_mfa: tuple[str, ...] = ()
    """Accounts whose users get no further on the pages than to a second factor, until they have given one."""


class QuotaSettings(_Section, frozen=True):
    """``[quotas]``: how many objects an account may have, and how large policies may be; AWS's defaults.

    Sizes are in characters, white space outside of strings aside.
    """

    trust_policy: int = 2_048
    """Up to 8,192."""
    managed_policy: int = 6_144
    user_inline_policies: int = 2_048
    """All of one user's together."""
    role_inline_policies: int = 10_240
    """All of one role's together."""
    group_inline_policies: int = 5_120
    """All of one group's together."""
    attached_policies: int = 10
    """Managed policies of one user, group or role."""
    users: int = 5_000
    groups: int = 300
    roles: int = 1_000
    policies: int = 1_500
    """Managed policies of the account's own."""
    policy_versions: int = 5
    instance_profiles: int = 1_000
    groups_per_user: int = 10
    access_keys_per_user: int = 2
    mfa_devices_per_user: int = 8
    saml_providers: int = 100
    oidc_providers: int = 100
    client_ids: int = 100
    """Of one OpenID Connect provider."""
    ldap_providers: int = 100
    tags: int = 50
    """Of one object."""


class AccountEntry(_Section, frozen=True):
    """``[[account]]``"""

    id: str
    alias: str = ""


class PolicyEntry(_Section, frozen=True):
    """``[[policy]]``: a managed policy; ``document`` is its JSON text, or ``document_file`` names the file."""

    name: str
    account: str = ""
    path: str = "/"
    document: str = ""
    document_file: str = ""


class InlinePolicyEntry(_Section, frozen=True):
    """``[[role.inline_policy]]`` and ``[[user.inline_policy]]``"""

    name: str
    document: str = ""
    document_file: str = ""


class RoleEntry(_Section, frozen=True):
    """``[[role]]``; ``policies`` are ARNs of managed policies, or names of the same account's."""

    name: str
    account: str = ""
    path: str = "/"
    description: str = ""
    trust_policy: str = ""
    trust_policy_file: str = ""
    max_session_duration: int = 3_600
    policies: tuple[str, ...] = ()
    inline_policy: tuple[InlinePolicyEntry, ...] = ()
    permissions_boundary: str = ""
    tags: dict[str, str] = {}


class AccessKeyEntry(_Section, frozen=True):
    """``[[user.access_key]]``: the secret comes from a file or an environment variable, never from this file.

    Without ``id`` the id is derived from the user and the source's name: ``accredit config check`` shows it.
    """

    id: str = ""
    secret_file: str = ""
    secret_env: str = ""


class MfaDeviceEntry(_Section, frozen=True):
    """``[[user.mfa_device]]``: a TOTP device; its seed (base32) comes from a file (mode 0600) or a variable."""

    name: str
    seed_file: str = ""
    seed_env: str = ""


class UserEntry(_Section, frozen=True):
    """``[[user]]``"""

    name: str
    account: str = ""
    path: str = "/"
    policies: tuple[str, ...] = ()
    inline_policy: tuple[InlinePolicyEntry, ...] = ()
    permissions_boundary: str = ""
    access_key: tuple[AccessKeyEntry, ...] = ()
    mfa_device: tuple[MfaDeviceEntry, ...] = ()
    tags: dict[str, str] = {}


class SignInEntry(_Section, frozen=True):
    """``[identity_provider.sign_in]``: what people need to sign in to the pages through an OpenID Connect provider."""

    client_id: str
    """One of the provider's ``client_ids``: the one that we are registered under."""
    client_secret_file: str = ""
    """Mode 0600; neither this nor ``client_secret_env`` for a public client, which has PKCE alone."""
    client_secret_env: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    title: str = ""
    """What the button says; the issuer's host when empty."""


class OidcProviderEntry(_Section, frozen=True, tag_field="kind", tag="oidc"):
    """``[[identity_provider]]``: an OpenID Connect issuer that roles may trust."""

    issuer: str
    client_ids: tuple[str, ...]
    account: str = ""
    jwks_file: str = ""
    """The issuer's JWKS as a file, for issuers that cannot be reached; nothing is fetched then."""
    ca_file: str = ""
    """PEM: the only authority that may vouch for the issuer's TLS certificate."""
    thumbprints: tuple[str, ...] = ()
    leeway_seconds: int = 60
    max_lifetime_seconds: int = 86_400
    allow_several_audiences: bool = False
    sign_in: SignInEntry | None = None


class SamlProviderEntry(_Section, frozen=True, tag_field="kind", tag="saml"):
    """``[[identity_provider]]`` with ``kind = "saml"``: a SAML 2.0 identity provider that roles may trust."""

    name: str
    metadata_file: str
    account: str = ""
    audiences: tuple[str, ...] = ()
    """What it calls us; ``Settings.saml_entity_id`` when empty."""
    acs_urls: tuple[str, ...] = ()
    """Where it may deliver to (Recipient, Destination); ``Settings.saml_acs_url`` when empty."""
    clock_skew_seconds: int = 60
    max_lifetime_seconds: int = 86_400
    max_authentication_age_seconds: int = 604_800
    """How long ago the person may have signed in at the provider."""
    replay: Literal["once-per-role", "once", "window"] = "once-per-role"
    """How often an assertion counts; ``window``: again for the same role within ``reuse_seconds``."""
    reuse_seconds: int = 300
    assertion_encryption: Literal["Allowed", "Required"] = "Allowed"
    private_key_files: tuple[str, ...] = ()
    """RSA keys (PEM, mode 0600) that open encrypted assertions; several while they roll over."""
    allow_sha1: bool = False
    allow_rsa_1_5: bool = False
    allow_cbc: bool = False


class LdapUserSearchEntry(_Section, frozen=True):
    """``[identity_provider.user_search]``: where people are looked for, and by which filter."""

    base_dn: str
    filter: str


class LdapGroupSearchEntry(_Section, frozen=True):
    """``[identity_provider.group_search]``: where groups are looked for, and how groups of groups are followed."""

    base_dn: str
    filter: str
    name_attribute: str = "cn"
    nested: Literal["None", "Walk", "InChain"] = "None"


class LdapProviderEntry(_Section, frozen=True, tag_field="kind", tag="ldap"):
    """``[[identity_provider]]`` with ``kind = "ldap"``: a directory whose logins roles may trust (docs/ldap.md)."""

    name: str
    servers: tuple[str, ...]
    account: str = ""
    ca_file: str = ""
    """PEM: the only authority that may vouch for the servers."""
    bind_dn: str = ""
    bind_password_file: str = ""
    """The password of ``bind_dn``, mode 0600."""
    user_search: LdapUserSearchEntry | None = None
    user_dn_template: str = ""
    group_search: LdapGroupSearchEntry | None = None
    attributes: tuple[str, ...] = ()
    session_tags: dict[str, str] = {}
    """Key of the tag -> attribute."""
    source_identity_attribute: str = ""
    session_name_attribute: str = ""
    unique_id_attribute: str = ""
    username_attribute: str = ""
    referral_servers: tuple[str, ...] = ()
    connect_timeout_seconds: int = 2
    timeout_seconds: int = 5
    page_size: int = 500
    allow_query_login: bool = False
    sync_seconds: int = 900
    recheck_seconds: int = 300
    sync_threshold_percent: int = 20


IdentityProviderEntry = OidcProviderEntry | SamlProviderEntry | LdapProviderEntry
_OUTPUT_NAME = re.compile(r"[A-Za-z0-9-]{1,24}")


class FileOutputEntry(_Section, frozen=True, tag_field="kind", tag="file"):
    """``[[audit_output]]``: a file of events, one JSON object a line, beginning anew at ``rotate_bytes``."""

    name: str
    path: str
    rotate_bytes: int = 100_000_000
    keep: int = 10
    """So many older files."""


class StdoutOutputEntry(_Section, frozen=True, tag_field="kind", tag="stdout"):
    """``[[audit_output]]`` with ``kind = "stdout"``: the broker's standard output, one JSON object a line."""

    name: str


class SyslogOutputEntry(_Section, frozen=True, tag_field="kind", tag="syslog"):
    """``[[audit_output]]`` with ``kind = "syslog"``: RFC 5424 messages by TLS (RFC 5425)."""

    name: str
    address: str
    """``HOST:PORT``; the port is usually 6514."""
    ca_file: str = ""


class WebhookOutputEntry(_Section, frozen=True, tag_field="kind", tag="webhook"):
    """``[[audit_output]]`` with ``kind = "webhook"``: signed POST requests."""

    name: str
    url: str
    secret_file: str
    """The key of the signatures, mode 0600."""
    ca_file: str = ""


class OtlpOutputEntry(_Section, frozen=True, tag_field="kind", tag="otlp"):
    """``[[audit_output]]`` with ``kind = "otlp"``: OpenTelemetry logs by OTLP/HTTP, as JSON."""

    name: str
    url: str
    """With its path, usually ``/v1/logs``."""
    headers_file: str = ""
    """``Name: value`` lines, mode 0600: what the collector wants besides."""
    ca_file: str = ""


AuditOutputEntry = FileOutputEntry | StdoutOutputEntry | SyslogOutputEntry | WebhookOutputEntry | OtlpOutputEntry


class AuditAlertEntry(_Section, frozen=True):
    """``[[audit_alert]]``: a rule that is watched over."""

    rule: Literal[
        "audit-gap", "brute-force", "clock-jump", "key-export", "mfa-removed", "root-used", "trust-policy-widened"
    ]
    output: str = ""
    """The name of an output that is told besides the log."""
    threshold: int = 20
    """``brute-force``: so many failures of an address within ``seconds``."""
    seconds: int = 300
    """``brute-force``: see there. ``clock-jump``: how far times may be apart. ``audit-gap``: how long events may stay
    unsealed."""


class Settings(_Section, frozen=True):
    """Everything. ``directory`` is the data directory; relative file names start there."""

    directory: Path
    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    keys: KeySettings = KeySettings()
    sts: StsSettings = StsSettings()
    fetch: FetchSettings = FetchSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    iam: IamSettings = IamSettings()
    web: WebSettings = WebSettings()
    quotas: QuotaSettings = QuotaSettings()
    account: tuple[AccountEntry, ...] = ()
    policy: tuple[PolicyEntry, ...] = ()
    role: tuple[RoleEntry, ...] = ()
    user: tuple[UserEntry, ...] = ()
    identity_provider: tuple[IdentityProviderEntry, ...] = ()
    audit_output: tuple[AuditOutputEntry, ...] = ()
    audit_alert: tuple[AuditAlertEntry, ...] = ()

    def file(self, name: str) -> Path:
        """The path of a file that the configuration names."""
        return self.directory / name

    def base_url(self) -> str:
        scheme = "https" if self.server.tls_certificate else "http"
        return self.server.base_url or f"{scheme}://{self.server.bind}"

    def pages_url(self) -> str:
        """The address that people are given. Without a configured one a loopback address is called ``localhost``:
        passkeys are for names, never for numbers (W3C WebAuthn, "RP ID")."""
        host, port = parse_bind(self.server.bind)
        if self.server.base_url or host not in ("127.0.0.1", "::1", "localhost"):
            return self.base_url().rstrip("/")
        return f"{'https' if self.server.tls_certificate else 'http'}://localhost:{port}"

    def issuer_url(self, account: str) -> str:
        """The issuer of the account's tokens for relying parties: ``iss``, and where its documents are."""
        return f"{self.base_url().rstrip('/')}{ISSUER_PATH}/{account}"

    def saml_entity_id(self, account: str, provider: str) -> str:
        """What we are called towards a SAML provider: each knows us under another name, so that an assertion that one
        of them issued for us can be no other's."""
        return f"{self.base_url().rstrip('/')}{SAML_PATH}/{account}/{provider}"

    def saml_acs_url(self, account: str, provider: str) -> str:
        """Where a SAML provider delivers its responses to."""
        return f"{self.saml_entity_id(account, provider)}/acs"


_SECTIONS = {
    field.name: field.type
    for field in msgspec.structs.fields(Settings)
    if isinstance(field.type, type) and issubclass(field.type, _Section)
}


def load_settings(directory: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read ``accredit.toml`` of ``directory`` and the environment. Raises ConfigurationError naming the key."""
    path = directory / CONFIG_FILE
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist: make a data directory with 'accredit init'") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    _override(raw, os.environ if environ is None else environ)
    for provider in raw.get("identity_provider", ()):
        if isinstance(provider, dict):
            provider.setdefault("kind", "oidc")
    try:
        settings = msgspec.convert({**raw, "directory": directory}, Settings, strict=True, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    _check(settings)
    return settings


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, Path):
        return value
    raise NotImplementedError(kind)


def _override(raw: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Lay ``ACCREDIT_SECTION_KEY`` over the file. Variables that ``secret_env`` names are secrets, not settings."""
    entries = raw.get("user", [])
    secrets = {
        key.get("secret_env")
        for user in (entries if isinstance(entries, list) else [])
        if isinstance(user, dict)
        for key in user.get("access_key", [])
        if isinstance(key, dict)
    }
    providers = raw.get("identity_provider", [])
    for provider in providers if isinstance(providers, list) else []:
        sign_in = provider.get("sign_in") if isinstance(provider, dict) else None
        secrets |= {sign_in.get("client_secret_env")} if isinstance(sign_in, dict) else set()
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX) or variable in secrets or variable in _SECRET_VARIABLES:
            continue
        section, _, key = variable.removeprefix(_PREFIX).lower().partition("_")
        fields = {f.name: f.type for f in msgspec.structs.fields(_SECTIONS[section])} if section in _SECTIONS else {}
        if key not in fields:
            raise ConfigurationError(f"environment variable {variable} names no setting")
        value: Any = text
        if fields[key] == tuple[str, ...]:
            value = [item.strip() for item in text.split(",") if item.strip()]
        try:
            raw.setdefault(section, {})[key] = msgspec.convert(value, fields[key], strict=False)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"environment variable {variable}: {error}") from None


def _check(settings: Settings) -> None:
    """Refuse values that the types cannot."""
    server = settings.server
    if server.workers < 1 or server.threads < 1 or server.max_body_bytes < 1:
        raise ConfigurationError("server.workers, server.threads and server.max_body_bytes must be at least 1")
    if bool(server.tls_certificate) != bool(server.tls_key):
        raise ConfigurationError("server.tls_certificate and server.tls_key are given together or not at all")
    if server.path_prefix and (not server.path_prefix.startswith("/") or server.path_prefix.endswith("/")):
        raise ConfigurationError("server.path_prefix starts with / and does not end with it")
    parse_bind(server.bind)
    for name, networks in (
        ("server.trusted_proxies", server.trusted_proxies),
        ("fetch.allow_networks", settings.fetch.allow_networks),
    ):
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ConfigurationError(f"{name}: {error}") from None
    if not 0 < settings.audit.read_flush_milliseconds <= 100:
        raise ConfigurationError("audit.read_flush_milliseconds must be between 1 and 100")
    if settings.audit.failures_per_second <= 0:
        raise ConfigurationError("audit.failures_per_second must be above 0")
    if not 0.05 <= settings.audit.seal_seconds <= 3_600:
        raise ConfigurationError("audit.seal_seconds must be between 0.05 and 3600")
    if settings.keys.publish_before_use_seconds < 2:
        raise ConfigurationError("keys.publish_before_use_seconds must be at least 2, when every node has the key")
    if settings.sts.clock_window_seconds < 1:
        raise ConfigurationError("sts.clock_window_seconds must be at least 1")
    if not 1 <= settings.quotas.trust_policy <= 8_192:
        raise ConfigurationError("quotas.trust_policy must be between 1 and 8192")
    for name in ("idle_minutes", "session_hours", "step_up_minutes"):
        if getattr(settings.web, name) < 1:
            raise ConfigurationError(f"web.{name} must be at least 1")
    if settings.iam.access_key_reminder_days < 1:
        raise ConfigurationError("iam.access_key_reminder_days must be at least 1")
    outputs = [output.name for output in settings.audit_output]
    if len(set(outputs)) != len(outputs) or not all(_OUTPUT_NAME.fullmatch(name) for name in outputs):
        raise ConfigurationError("audit_output: each has a name of its own, of at most 24 letters, digits and hyphens")
    for alert in settings.audit_alert:
        if alert.output and alert.output not in outputs:
            raise ConfigurationError(f"audit_alert: there is no audit_output {alert.output}")
        if alert.threshold < 1 or alert.seconds < 1:
            raise ConfigurationError("audit_alert: threshold and seconds must be at least 1")
    for quota, limit in msgspec.structs.asdict(settings.quotas).items():
        if limit < 1:
            raise ConfigurationError(f"quotas.{quota} must be at least 1")


def parse_bind(bind: str) -> tuple[str, int]:
    """``127.0.0.1:8400`` or ``[::1]:8400`` as address and port. Raises ConfigurationError."""
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigurationError(f"server.bind: {bind} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)

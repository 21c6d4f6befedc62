"""The composition root: the only module that builds concrete parts and puts them together."""

from __future__ import annotations

import gc
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flask import Flask
from werkzeug.exceptions import HTTPException

from broker.assertion_claims import AssertionClaims
from broker.audit.alerts import AlertSink
from broker.audit.anchor import Anchor
from broker.audit.journal import replay
from broker.audit.log import AuditLog
from broker.audit.relay import ALERTS, Relay, start_relay
from broker.audit.sealer import Sealer, start_sealing
from broker.audit_outputs import open_alerts, open_outputs
from broker.aws.endpoint import AwsEndpoint
from broker.catalog import Catalog
from broker.configure import apply_configuration, check_configuration
from broker.console.account_pages import account_pages
from broker.console.pages import console_pages
from broker.credentials.audit_ring import AuditRing, ensure_audit_keys
from broker.credentials.issuer import CredentialIssuer
from broker.credentials.keyring import KeyRing, check_master_key
from broker.credentials.masterkey import load_master_key
from broker.credentials.passwords import Passwords
from broker.credentials.provider_secrets import unseal_bind_password
from broker.credentials.signing_ring import SigningRing
from broker.database import command_database, worker_database
from broker.directory_subjects import DirectorySubjects
from broker.directory_watch import start_directory_watch
from broker.errors import ConfigurationError, Unavailable
from broker.health import health_pages, unavailable_page
from broker.housekeeping import start_housekeeping
from broker.issuer_pages import issuer_pages
from broker.mfa import MfaVerifier
from broker.portal.directory_pages import directory_pages
from broker.portal.oidc_pages import oidc_pages
from broker.portal.password_pages import password_pages
from broker.portal.role_pages import role_pages
from broker.portal.security_pages import security_pages
from broker.portal.session_pages import session_pages
from broker.portal.setup_pages import setup_pages
from broker.portal.sign_in_pages import sign_in_pages
from broker.portal.step_up import step_up_pages
from broker.provider_pool import ProviderPool
from broker.revocations import Revocations
from broker.saml_providers import unseal_private_key
from broker.services import Services
from broker.settings import Settings, load_settings
from broker.store.schema import migrate
from broker.usage import UsageLog
from broker.web.site import Site
from providers.fetch import Fetcher
from providers.ldap.gate import LoginGate
from providers.oidc.jwks import FetchGate
from providers.registry import Surroundings


@dataclass(frozen=True, slots=True)
class Prepared:
    """What workers are built from: read and checked once, so that no worker depends on what the files say later."""

    settings: Settings
    master_key: bytes = field(repr=False)


def prepare(directory: Path) -> Prepared:
    """Before the workers start: check the configuration, migrate the database, apply what the file declares.

    Raises ConfigurationError.
    """
    if directory.stat().st_mode & 0o007:
        raise ConfigurationError(f"others may enter the data directory: chmod 700 {directory}")
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    declaration = check_configuration(settings, master_key)
    open_outputs(settings, _fetcher(settings))
    with command_database(settings) as database:
        migrate(database)
        check_master_key(database, master_key)
        replay(database)
        ensure_audit_keys(database, master_key, datetime.now(UTC))
        apply_configuration(database, declaration, master_key)
    return Prepared(settings, master_key)


def build_services(prepared: Prepared) -> Services:
    """The parts, for this process."""
    settings, master_key = prepared.settings, prepared.master_key
    database = worker_database(settings)
    ring = KeyRing(database, master_key)
    return Services(
        settings=settings,
        database=database,
        catalog=Catalog(database, master_key),
        ring=ring,
        revocations=Revocations(database),
        signing=SigningRing(database, master_key),
        issuer=CredentialIssuer(ring),
        mfa=MfaVerifier(database, master_key),
        providers=_provider_pool(settings, master_key),
        claims=AssertionClaims(database),
        subjects=DirectorySubjects(database),
        audit=AuditLog(
            database,
            read_flush_seconds=settings.audit.read_flush_milliseconds / 1000,
            failures_per_second=settings.audit.failures_per_second,
        ),
        usage=UsageLog(database),
        passwords=Passwords(),
        master_key=master_key,
    )


def build_sealer(services: Services) -> Sealer:
    """What seals the audit record, for this process."""
    settings = services.settings
    ring = AuditRing(services.database, services.master_key)
    return Sealer(services.database, ring, Anchor(settings.file(settings.audit.anchor_file)))


def _provider_pool(settings: Settings, master_key: bytes) -> ProviderPool:
    """Half of a worker's threads may wait for issuers, half for one directory, and all but two for any of them: those
    that hang never hold up the rest."""
    fetch, threads = settings.fetch, settings.server.threads
    waiting = threading.Semaphore(max(threads - 2, 1))
    gate = FetchGate(threads // 2, waiting)
    logins = LoginGate(max(threads // 2, 1), waiting)
    return ProviderPool(
        Surroundings(
            fetcher=_fetcher(settings),
            gate=gate,
            keys_fresh_seconds=fetch.keys_fresh_seconds,
            wait_seconds=2 * fetch.timeout_seconds,
            unseal=partial(unseal_private_key, master_key),
            unseal_password=lambda arn, sealed: unseal_bind_password(master_key, arn, sealed).reveal(),
            logins=logins,
        )
    )


_ROOMS = (
    sign_in_pages,
    password_pages,
    oidc_pages,
    directory_pages,
    setup_pages,
    role_pages,
    step_up_pages,
    security_pages,
    session_pages,
    console_pages,
    account_pages,
)
"""The rooms with pages for people."""


def build_pages(services: Services) -> Flask:
    """What answers everything that is no AWS call."""
    pages = Flask("broker", static_folder=None)
    pages.config["MAX_CONTENT_LENGTH"] = services.settings.server.max_body_bytes
    site = Site(services)
    pages.register_blueprint(site.static_pages())
    for make in _ROOMS:
        pages.register_blueprint(make(site))
    pages.register_blueprint(health_pages(services))
    pages.register_blueprint(issuer_pages(services))
    pages.register_error_handler(Unavailable, unavailable_page)
    pages.register_error_handler(HTTPException, site.http_error)
    return pages


def _start_outputs(services: Services) -> None:
    """Outputs of the audit record, and alerts, which are one more reader of it."""
    outputs = open_outputs(services.settings, _fetcher(services.settings))
    alerts = AlertSink(services.database, open_alerts(services.settings, outputs))
    readers = {**outputs, **({ALERTS: alerts} if services.settings.audit_alert else {})}
    if readers:
        start_relay(Relay(services.database, readers), alerts.watch)


def _fetcher(settings: Settings) -> Fetcher:
    return Fetcher(
        allow_http_loopback=settings.fetch.allow_http_loopback,
        allow_networks=settings.fetch.allow_networks,
        timeout_seconds=settings.fetch.timeout_seconds,
    )


def create_app(prepared: Prepared) -> Flask:
    """The WSGI application of one worker: AWS calls first, pages behind them."""
    services = build_services(prepared)
    pages = build_pages(services)
    pages.wsgi_app = AwsEndpoint(services, pages.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way
    start_housekeeping(services)
    start_directory_watch(services)
    start_sealing(build_sealer(services), services.settings.audit.seal_seconds)
    _start_outputs(services)
    gc.collect()
    gc.freeze()  # what lives as long as the worker need not be looked at again, nor copied after the fork
    return pages

"""Runs the WSGI application under granian, or gunicorn where that is wanted.

The parent prepares the store and forks the workers; each builds its own application, so that nothing of a connection
is shared. Options of the command line reach the workers through the environment, as any other setting may.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.app import Prepared, create_app, prepare
from broker.errors import BrokerError
from broker.later import offer_later_answers
from broker.logs import configure_logging
from broker.settings import Settings, parse_bind

_log = logging.getLogger(__name__)


def run(directory: Path, overrides: Mapping[str, object]) -> None:
    """Serve until told to stop. Raises ConfigurationError before anything is served."""
    for name, value in overrides.items():
        os.environ[f"ACCREDIT_SERVER_{name.upper()}"] = str(value)
    prepared = prepare(directory)
    configure_logging(prepared.settings.log.level)
    engine = {"granian": _run_granian, "gunicorn": _run_gunicorn}[prepared.settings.server.engine]
    engine(_Current(directory, prepared))


class _Current:
    """The last good configuration. Workers are forked, so each is built from what is here at that moment."""

    def __init__(self, directory: Path, prepared: Prepared) -> None:
        self._directory = directory
        self._prepared = prepared

    @property
    def settings(self) -> Settings:
        return self._prepared.settings

    def application(self) -> Any:
        """A worker's WSGI application."""
        return create_app(self._prepared).wsgi_app

    def prepare_again(self) -> None:
        """On reload: a configuration that cannot be used is refused, and the old state goes on.

        Whatever goes wrong must not escape: the engines would be left with a parent that neither serves nor stops.
        """
        try:
            self._prepared = prepare(self._directory)
        except BrokerError as error:
            _log.error("configuration not applied", extra={"error": error.message, "detail": error.detail})
        except Exception:  # noqa: BLE001  # the outer edge
            _log.exception("configuration not applied")


def granian_options(settings: Settings) -> dict[str, Any]:
    """How granian serves: also what a benchmark's floor has to be served with."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    address, port = parse_bind(settings.server.bind)
    return {
        "address": address,
        "port": port,
        "interface": Interfaces.WSGI,
        "workers": settings.server.workers,
        "blocking_threads": settings.server.threads,
        "http": HTTPModes.http1,
        "http1_settings": HTTP1Settings(header_read_timeout=10_000),
        "websockets": False,
        "ssl_cert": Path(settings.server.tls_certificate) if settings.server.tls_certificate else None,
        "ssl_key": Path(settings.server.tls_key) if settings.server.tls_key else None,
        "log_level": LogLevels.warning,
        "log_dictconfig": {"loggers": {"_granian": {"propagate": True}}},  # to our own handler, as JSON
        "respawn_failed_workers": True,
        "workers_kill_timeout": settings.server.drain_seconds,
    }


def _run_granian(current: _Current) -> None:
    from granian import Granian

    offer_later_answers()
    server = Granian("broker.app", **granian_options(current.settings))
    os.register_at_fork(after_in_child=_default_signals)
    server.on_startup(lambda: _announce(current.settings))
    server.on_reload(current.prepare_again)
    server.serve(target_loader=lambda *_: current.application(), wrap_loader=False)


def _default_signals() -> None:
    """A worker that is still starting has the parent's handlers, which would swallow the order to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _run_gunicorn(current: _Current) -> None:
    try:
        from gunicorn.app.base import BaseApplication
        from gunicorn.glogging import Logger
    except ImportError:
        raise BrokerError(
            "server.engine is gunicorn, which is not installed: pip install 'accredit[gunicorn]'"
        ) from None

    settings = current.settings

    class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
        """Hands gunicorn's messages to our own handler."""

        def setup(self, cfg: Any) -> None:
            super().setup(cfg)
            self.error_log.handlers = []
            self.error_log.propagate = True

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            options = {
                "bind": settings.server.bind,
                "workers": settings.server.workers,
                "worker_class": "gthread",
                "threads": settings.server.threads,
                "certfile": settings.server.tls_certificate or None,
                "keyfile": settings.server.tls_key or None,
                "graceful_timeout": settings.server.drain_seconds,
                "loglevel": "warning",
                "logger_class": JsonLogger,
                # broker.proxies alone decides which forwarded headers are believed
                "forwarded_allow_ips": "",
                "secure_scheme_headers": {},
                "forwarder_headers": "",
                "when_ready": lambda _server: _announce(settings),
                "on_reload": lambda _server: current.prepare_again(),
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return current.application()

    Application().run()


def _announce(settings: Settings) -> None:
    _log.info("serving", extra={"bind": settings.server.bind, "url": settings.base_url()})

"""The floor H: a bare Flask application with one constant view and nothing else, on the broker's own server settings.

``python -m bench.floor PORT WORKERS THREADS`` serves it. ``check_same_settings`` shows that granian is given the same
options as ``broker/server.py`` gives, logging apart: a floor on another server would be no measure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

app = Flask("floor", static_folder=None)


@app.get("/")
def constant() -> str:
    return "hello"


def options(port: int, workers: int, threads: int) -> dict[str, Any]:
    """What ``broker/server.py`` passes to granian."""
    return {
        "address": "127.0.0.1",
        "port": port,
        "interface": Interfaces.WSGI,
        "workers": workers,
        "blocking_threads": threads,
        "http": HTTPModes.http1,
        "http1_settings": HTTP1Settings(header_read_timeout=10_000),
        "websockets": False,
        "ssl_cert": None,
        "ssl_key": None,
        "log_level": LogLevels.warning,
        "respawn_failed_workers": True,
        "workers_kill_timeout": 30,
    }


def check_same_settings() -> None:
    """Raises SystemExit if the broker's granian options are no longer the floor's.

    The floor does not import them: it is to be a bare application, also in memory.
    """
    from broker.server import granian_options
    from broker.settings import ServerSettings, Settings

    given = granian_options(Settings(directory=Path(), server=ServerSettings(bind="127.0.0.1:1")))
    expected = options(1, ServerSettings().workers, ServerSettings().threads)
    if _serving(given) != _serving(expected):
        raise SystemExit(f"bench/floor.py does not serve as broker/server.py does:\n  {expected}\n  {given}")


def _serving(given: dict[str, Any]) -> dict[str, Any]:
    """Without the options that only say what is logged."""
    return {name: value for name, value in given.items() if not name.startswith("log_")}


if __name__ == "__main__":
    Granian("floor", **options(*(int(text) for text in sys.argv[1:4]))).serve(
        target_loader=lambda *_: app.wsgi_app, wrap_loader=False
    )

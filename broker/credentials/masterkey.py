"""The master key: the one secret outside the database, under which all stored secrets are sealed."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from broker.errors import ConfigurationError
from broker.settings import MASTER_KEY_VARIABLE

_BYTES = 32


def create_master_key(path: Path) -> None:
    """Write a new key, readable by the owner alone. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(base64.b64encode(os.urandom(_BYTES)).decode("ascii") + "\n")
        file.flush()
        os.fsync(file.fileno())


def load_master_key(path: Path, environ: Mapping[str, str]) -> bytes:
    """The key from the environment or from ``path``. Raises ConfigurationError, also if others may read the file."""
    text = environ.get(MASTER_KEY_VARIABLE)
    source = f"environment variable {MASTER_KEY_VARIABLE}"
    if text is None:
        source = str(path)
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"keys.master_key_file: {source} cannot be read: {error}") from None
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigurationError(f"keys.master_key_file: {source} must be readable by its owner alone (chmod 600)")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise ConfigurationError(f"{source} must hold {_BYTES} bytes in base64")
    return key

"""The files of ``config/``, from the installed package or from the checkout."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_INSTALLED = _HERE / "_config"


def read_config_file(name: str) -> str:
    """The text of ``config/<name>``."""
    source = _INSTALLED if _INSTALLED.is_dir() else _HERE.parent / "config"
    return (source / name).read_text(encoding="utf-8")

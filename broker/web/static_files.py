"""Files that every page loads. Their addresses carry a digest of their content, so that browsers may keep them.

``static/manifest.sha256`` names each file with its SHA-256, as ``sha256sum`` writes it: a file that differs is not
served.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from broker.errors import ConfigurationError

_DIRECTORY = Path(__file__).parent / "static"
_MANIFEST = "manifest.sha256"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes = field(repr=False)
    content_type: str
    version: str


def load_static_files(directory: Path = _DIRECTORY) -> dict[str, StaticFile]:
    """Name -> file. Raises ConfigurationError for one that is not what the manifest says."""
    found = {}
    for line in (directory / _MANIFEST).read_text(encoding="ascii").splitlines():
        digest, _, name = line.partition("  ")
        content = (directory / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ConfigurationError(f"the file {name} of the pages is not the one that belongs to this version")
        found[name] = StaticFile(content, _TYPES[Path(name).suffix], digest[:16])
    return found

"""Log files and digest files as CloudTrail delivers them, for tools that check those.

CloudTrail User Guide, "CloudTrail digest file structure": a digest lists the log files of a time with their hashes, is
signed with an RSA key (SHA256withRSA), and names the digest before it, with its hash and signature. There is no bucket:
files lie below a directory, and what would be a digest's metadata is in a file beside it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from broker.domain.moment import iso_seconds

ALGORITHM = "SHA256withRSA"
_METADATA = ".metadata.json"

SignDigest = Callable[[bytes], tuple[str, bytes]]
"""Signs; gives the fingerprint of the key and the signature."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account's files go: below ``root``, in a bucket called ``bucket``."""

    root: Path
    bucket: str
    account: str
    region: str

    def digests(self) -> Path:
        return self.root / "AWSLogs" / self.account / "CloudTrail-Digest" / self.region

    def key(self, kind: str, end: datetime, name: str) -> str:
        day = f"{end:%Y/%m/%d}"
        return f"AWSLogs/{self.account}/{kind}/{self.region}/{day}/{self.account}_{kind}_{self.region}_{name}.json.gz"


def last_digest_end(place: Place) -> datetime | None:
    """Until when there are digests."""
    found = _last(place)
    return None if found is None else datetime.fromisoformat(found[0]["digestEndTime"])


def write_digest(place: Place, records: Sequence[str], start: datetime, end: datetime, sign: SignDigest) -> Path:
    """Write the log file of a time (none if there were no events) and its digest; the digest's path."""
    stamp = f"{end:%Y%m%dT%H%M%SZ}"
    times = sorted(json.loads(record)["eventTime"] for record in records)
    logs = [_write_log(place, records, times, end, stamp)] if records else []
    key = place.key("CloudTrail-Digest", end, f"accredit_{place.region}_{stamp}")
    before = _last(place)
    fingerprint, _ = sign(b"")
    digest = {
        "awsAccountId": place.account,
        "digestStartTime": iso_seconds(start),
        "digestEndTime": iso_seconds(end),
        "digestS3Bucket": place.bucket,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": fingerprint,
        "digestSignatureAlgorithm": ALGORITHM,
        "newestEventTime": times[-1] if times else None,
        "oldestEventTime": times[0] if times else None,
        **_previous(place, before),
        "logFiles": logs,
    }
    content = json.dumps(digest).encode()
    _, signature = sign(string_to_sign(digest, content))
    path = _store(place.root / key, content)
    metadata = {"signature": signature.hex(), "signature-algorithm": ALGORITHM}
    path.with_name(path.name + _METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    return path


def string_to_sign(digest: dict[str, Any], content: bytes) -> bytes:
    """CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity validation"."""
    place = f"{digest['digestS3Bucket']}/{digest['digestS3Object']}"
    previous = digest["previousDigestSignature"] or "null"
    return f"{digest['digestEndTime']}\n{place}\n{hashlib.sha256(content).hexdigest()}\n{previous}".encode()


def _write_log(place: Place, records: Sequence[str], times: list[str], end: datetime, stamp: str) -> dict[str, Any]:
    content = f'{{"Records":[{",".join(records)}]}}'.encode()
    key = place.key("CloudTrail", end, f"{stamp}_{hashlib.sha256(content).hexdigest()[:16]}")
    _store(place.root / key, content)
    return {
        "s3Bucket": place.bucket,
        "s3Object": key,
        "hashValue": hashlib.sha256(content).hexdigest(),
        "hashAlgorithm": "SHA-256",
        "newestEventTime": times[-1],
        "oldestEventTime": times[0],
    }


def _previous(place: Place, before: tuple[dict[str, Any], bytes, str] | None) -> dict[str, Any]:
    digest, content, signature = before or ({}, b"", None)
    return {
        "previousDigestS3Bucket": place.bucket if before else None,
        "previousDigestS3Object": digest.get("digestS3Object"),
        "previousDigestHashValue": hashlib.sha256(content).hexdigest() if before else None,
        "previousDigestHashAlgorithm": "SHA-256" if before else None,
        "previousDigestSignature": signature,
    }


def _last(place: Place) -> tuple[dict[str, Any], bytes, str] | None:
    """The newest digest, as a value and as bytes, and its signature."""
    paths = sorted(place.digests().rglob("*.json.gz"))
    if not paths:
        return None
    content = gzip.decompress(paths[-1].read_bytes())
    metadata = json.loads(paths[-1].with_name(paths[-1].name + _METADATA).read_text(encoding="utf-8"))
    return json.loads(content), content, str(metadata["signature"])


def _store(path: Path, content: bytes) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))
    return path

"""A store with a sealer and events, for tests of the tree."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from broker.audit.anchor import Anchor
from broker.audit.sealer import Sealer, head_verifiers
from broker.audit.verify import Verification, verify_record
from broker.credentials.audit_ring import AuditRing, ensure_audit_keys
from broker.store.audit_events import append_records
from broker.store.engine import Database
from broker.store.tables import leases

ACCOUNT = "123456789012"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def event(number: int, **fields: Any) -> dict[str, Any]:
    """An event as CloudTrail shapes it; each second of time one."""
    told: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDA1", "userName": f"user{number % 3}"},
        "eventTime": (NOW + timedelta(seconds=number)).isoformat()[:19] + "Z",
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole" if number % 2 else "GetCallerIdentity",
        "requestParameters": {"roleName": f"role{number % 5}"},
        "eventID": f"00000000-0000-4000-8000-{number:012d}",
        "readOnly": number % 2 == 0,
        "recipientAccountId": ACCOUNT,
    }
    return told | fields


def texts(events: Mapping[int, dict[str, Any]] | list[dict[str, Any]]) -> list[str]:
    found = events.values() if isinstance(events, Mapping) else events
    return [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in found]


@dataclass
class SealedStore:
    """``add`` events, ``seal`` them, ``verify``; ``anchor`` is this node's anchor file."""

    database: Database
    directory: Path
    ring: AuditRing
    sealer: Sealer
    count: int = 0

    @classmethod
    def make(cls, database: Database, directory: Path, master_key: bytes | None = None) -> SealedStore:
        key = master_key or secrets.token_bytes(32)
        ensure_audit_keys(database, key, NOW)
        ring = AuditRing(database, key)
        return cls(database, directory, ring, Sealer(database, ring, Anchor(directory / "anchor")))

    def restarted(self) -> SealedStore:
        """As by another process, when the lease of this one is over."""
        with self.database.write() as connection:
            connection.execute(delete(leases))
        again = SealedStore.make(self.database, self.directory, self.ring._master_key)
        again.count = self.count
        return again

    @property
    def anchor(self) -> Path:
        return self.directory / "anchor"

    def add(self, count: int, **fields: Any) -> None:
        made = [event(self.count + number, **fields) for number in range(count)]
        self.count += count
        with self.database.write() as connection:
            append_records(connection, texts(made))

    def sealed(self, count: int, **fields: Any) -> SealedStore:
        self.add(count, **fields)
        self.sealer.seal()
        return self

    def verify(self, *anchors: str) -> Verification:
        with self.database.read() as connection:
            return verify_record(connection, head_verifiers(self.ring), anchors)

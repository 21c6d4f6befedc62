"""``kill -9`` at random moments while the record is sealed four times a second: after each restart every credential
that a client holds is in the record (``kill``), and the record is the one that was signed, now and at every head seen
before.
"""

from __future__ import annotations

from pathlib import Path

from realm.server import BrokerServer
from realm.store import store

from broker.audit.notes import Verifier, split_notes
from broker.audit.verify import verify_record
from broker.credentials.audit_ring import HEADS
from broker.store.audit_keys import list_audit_keys
from broker.store.audit_tree import last_heads
from trials.kill import Say, kill_trial

_SETTINGS = {"audit.seal_seconds": 0.25}


class _Witness:
    """Keeps every head that it saw, and has the record verified with them."""

    def __init__(self) -> None:
        self.heads: dict[str, None] = {}
        self.sealed = 0

    def look(self, broker: BrokerServer) -> None:
        anchor = broker.directory / "audit.heads"
        anchored = split_notes(anchor.read_text()) if anchor.exists() else []
        with store(broker) as database, database.read() as connection:
            rows = [row for row in list_audit_keys(connection) if row.algorithm == HEADS]
            verifiers = [Verifier(row.origin, row.public_key) for row in rows]
            self.heads.update(dict.fromkeys(row.note for row in last_heads(connection, 1)))
            found = verify_record(connection, verifiers, [*anchored, *list(self.heads)[-200:]])
        # a broker that was killed before its first head has none
        problems = [text for text in found.problems if found.size or "there is no signed head" not in text]
        assert not problems, problems[:3]
        self.sealed = found.size


def audit_kill_trial(home: Path, *, rounds: int, seed: int, say: Say, store_url: str = "") -> str:
    """Run it; a sentence about what was done. Raises AssertionError if anything does not hold."""
    witness = _Witness()
    told = kill_trial(
        home, rounds=rounds, seed=seed, say=say, store_url=store_url, settings=_SETTINGS, after=witness.look
    )
    assert witness.sealed, "nothing was sealed"
    return f"{told}; the tree verified each time, {witness.sealed} events at last, {len(witness.heads)} heads"

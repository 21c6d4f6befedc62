"""``bin/trial NAME [options]``: runs a trial and says what came of it; exit status 1 if anything was wrong."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from trials.audit_kill import audit_kill_trial
from trials.kill import kill_trial


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/trial", description="Long trials of a real broker on loopback.")
    commands = parser.add_subparsers(dest="name", required=True)
    kill = commands.add_parser("kill", help="kill -9 at random moments under random writes")
    kill.add_argument("--rounds", type=int, default=1_000)
    kill.add_argument("--seed", type=int, default=1)
    kill.add_argument("--store-url", default="", help="an empty PostgreSQL database instead of an SQLite file")
    audit = commands.add_parser("audit-kill", help="the same, and the audit record's tree has to verify each time")
    audit.add_argument("--rounds", type=int, default=1_000)
    audit.add_argument("--seed", type=int, default=1)
    audit.add_argument("--store-url", default="", help="an empty PostgreSQL database instead of an SQLite file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="accredit-trial-") as directory:
        home = Path(directory)
        trial = {"kill": kill_trial, "audit-kill": audit_kill_trial}[options.name]
        print(trial(home, rounds=options.rounds, seed=options.seed, say=_say, store_url=options.store_url))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()

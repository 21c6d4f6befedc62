"""The audit record at size: what an append and a lookup cost, and the bytes of an event, from thousands to millions.

    python -m bench.audit [--events 2000000] [--store-url postgresql+psycopg://…] [--directory DIR]

Appends go the way of the broker (groups of 64, durable), sealing in between; lookups are those of LookupEvents, of any
attribute, half of them within a random hour. Prints a line for each size: microseconds an append (the median of the
last groups), microseconds an event to seal, milliseconds a lookup (median, p99), bytes an event, and memory.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from broker.audit.anchor import Anchor
from broker.audit.lookup import Search, lookup
from broker.audit.sealer import Sealer
from broker.credentials.audit_ring import AuditRing, ensure_audit_keys
from broker.store.audit_events import Appender
from broker.store.engine import Database
from broker.store.schema import migrate

ACCOUNT = "123456789012"
GROUP = 64
SEAL_EVERY = 2_048
SIZES = (10_000, 100_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000)
LOOKUPS = 400
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity", "CreateUser", "GetRole", "PutRolePolicy")


class Events:
    """Events as the broker makes them: 300 users, 200 roles, 20,000 access keys, ten a second."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.made = 0

    def next(self) -> str:
        chance, number = self._random, self.made
        self.made += 1
        user, role = chance.randrange(300), chance.randrange(200)
        name = NAMES[min(chance.randrange(12), 5)]
        arn = f"arn:aws:iam::{ACCOUNT}:role/team/service-{role}"
        event = {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "IAMUser",
                "principalId": f"AIDAY34FZKBOKMUT{user:05}",
                "arn": f"arn:aws:iam::{ACCOUNT}:user/user-{user}",
                "accountId": ACCOUNT,
                "accessKeyId": f"AKIAY34FZKBOK{chance.randrange(20_000):07}",
                "userName": f"user-{user}",
            },
            "eventTime": (START + timedelta(seconds=number // 10)).isoformat()[:19] + "Z",
            "eventSource": "sts.amazonaws.com",
            "eventName": name,
            "awsRegion": "eu-central-1",
            "sourceIPAddress": f"10.0.{chance.randrange(256)}.{chance.randrange(256)}",
            "userAgent": "Boto3/1.42.1 md/Botocore#1.42.1 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7",
            "requestParameters": {"roleArn": arn, "roleSessionName": f"session-{number}", "durationSeconds": 3600},
            "responseElements": {
                "credentials": {"accessKeyId": f"ASIAY34FZKBOKM{number:06X}", "expiration": "2026-01-01T01:00:00Z"},
                "assumedRoleUser": {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/service-{role}/session-{number}"},
            },
            "requestID": f"{number:08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
            "eventID": event_id(number),
            "readOnly": name.startswith("Get"),
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "eventCategory": "Management",
            "recipientAccountId": ACCOUNT,
            "resources": [{"ARN": arn, "accountId": ACCOUNT}],
        }
        return msgspec.json.encode(event).decode()


def event_id(number: int) -> str:
    """Scattered, as random ids are."""
    return f"{number * 2_654_435_761 % 2**32:08x}-0000-4000-8000-{number:012x}"


def measure_lookups(database: Database, made: int, chance: random.Random) -> list[float]:
    """Seconds of each lookup, of a page of 50."""
    seconds = []
    for number in range(LOOKUPS):
        attribute, value = chance.choice(
            [
                ("EventId", event_id(chance.randrange(made))),
                ("EventName", chance.choice(NAMES)),
                ("Username", f"user-{chance.randrange(300)}"),
                ("ResourceName", f"service-{chance.randrange(200)}"),
                ("AccessKeyId", f"AKIAY34FZKBOK{chance.randrange(20_000):07}"),
                ("ReadOnly", chance.choice(["true", "false"])),
                ("EventName", "NeverHappened"),
                ("All", ""),
            ]
        )
        first = START + timedelta(seconds=chance.randrange(made // 10))
        hour = (int(first.timestamp()), int(first.timestamp()) + 3_600)
        search = Search(ACCOUNT, attribute, value, *(hour if number % 2 else ()))
        started = time.perf_counter()
        with database.read() as connection:
            lookup(connection, search, 50)
        seconds.append(time.perf_counter() - started)
    return seconds


def stored_bytes(database: Database, directory: Path) -> int:
    if database.is_sqlite:
        return (directory / "accredit.db").stat().st_size
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def run(directory: Path, url: str, events: int) -> None:
    database = Database(url, directory, connections=4, statement_seconds=120)
    migrate(database)
    key = bytes(32)
    ensure_audit_keys(database, key, START)
    sealer = Sealer(database, AuditRing(database, key), Anchor(directory / "heads"))
    appender, made, chance = Appender(database), Events(1), random.Random(2)
    appends: list[float] = []
    seals: list[float] = []
    empty = stored_bytes(database, directory)
    print("   events  append µs  seal µs  lookup ms  p99 ms  bytes/event  memory MB", flush=True)
    for size in sorted({size for size in SIZES if size < events} | {events}):
        appends.clear()
        seals.clear()
        while made.made < size:
            group = [made.next() for _ in range(min(GROUP, size - made.made))]
            started = time.perf_counter()
            with database.exclusive():
                appender.append(group)
            appends.append((time.perf_counter() - started) / len(group))
            if made.made % SEAL_EVERY == 0 or made.made == size:
                started = time.perf_counter()
                sealed = sealer.seal()
                seals.append((time.perf_counter() - started) / max(1, sealed))
        times = sorted(measure_lookups(database, size, chance))
        print(
            f"{size:9,}  {statistics.median(appends[-1_000:]) * 1e6:9.1f}  {statistics.median(seals[-20:]) * 1e6:7.1f}"
            f"  {statistics.median(times) * 1e3:9.2f}  {times[int(len(times) * 0.99)] * 1e3:6.2f}"
            f"  {(stored_bytes(database, directory) - empty) / size:11.0f}"
            f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:9.0f}",
            flush=True,
        )
    appender.close()
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--store-url", default="sqlite:///accredit.db")
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="accredit-audit-") as made:
        run(options.directory or Path(made), options.store_url, options.events)


if __name__ == "__main__":
    main()

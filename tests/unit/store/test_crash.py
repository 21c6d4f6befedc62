"""PostgreSQL's processes are killed under writers: what was acknowledged is there, and nothing is half there."""

import random
import threading
import time
from collections.abc import Callable

import pytest
from realm.postgres import PostgresServer
from sqlalchemy import select

from broker.errors import Unavailable
from broker.store.accounts import list_accounts, put_account
from broker.store.audit_events import Appender, append_records
from broker.store.engine import Database
from broker.store.tables import audit_events

WRITERS = 3


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("recording", [False, True], ids=["changes alone", "with records of calls"])
def test_what_was_acknowledged_survives(
    open_store: Callable[..., Database], postgres: PostgresServer, recording: bool
) -> None:
    """Alone, for the flush of a record would take earlier changes to the disk with it."""
    database = open_store()
    changed: list[str] = []
    recorded: list[str] = []
    down = threading.Event()

    def change(writer: int) -> None:
        """Each change is an object and its record."""
        number = 0
        while not down.is_set():
            name = f"{writer:02d}{number:010d}"
            try:
                with database.change() as connection:
                    put_account(connection, name, "", 0)
                    append_records(connection, [f"change {name}"])
            except Unavailable:
                return
            changed.append(name)
            number += 1

    def record() -> None:
        appender, number = Appender(database), 0
        while not down.is_set():
            try:
                appender.append([f"issued {number}"])
            except Exception:  # noqa: BLE001  # SQLAlchemy's: the audit log's to translate
                return
            recorded.append(f"issued {number}")
            number += 1

    threads = [threading.Thread(target=change, args=(writer,)) for writer in range(WRITERS)]
    threads += [threading.Thread(target=record)] if recording else []
    for thread in threads:
        thread.start()
    time.sleep(0.3 + random.random() * 0.3)
    postgres.crash()
    down.set()
    for thread in threads:
        thread.join()
    postgres.start()

    with database.read() as connection:
        accounts = list_accounts(connection)
        records = list(connection.execute(select(audit_events.c.record)).scalars())
    assert changed
    assert bool(recorded) is recording
    assert set(changed) <= set(accounts)
    assert len(accounts) - len(changed) <= WRITERS  # committed, and killed before it could say so
    assert set(recorded) <= set(records)
    assert sorted(record for record in records if record.startswith("change")) == [
        f"change {name}" for name in accounts
    ]
    assert len(records) == len(set(records))
    database.poll()

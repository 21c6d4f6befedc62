"""What a test needs of the store that no operation gives it: changed beside the running server, as a CLI does."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from realm.server import ACCOUNT, BrokerServer, Keys
from sqlalchemy import delete

from broker.credentials.keyids import LONG_TERM, new_access_key_id, new_secret_access_key
from broker.credentials.long_term import seal_secret
from broker.credentials.masterkey import load_master_key
from broker.settings import load_settings
from broker.store.access_keys import AccessKeyRow, put_access_key
from broker.store.engine import Database
from broker.store.entity_policies import replace_policies
from broker.store.tables import access_keys


@contextlib.contextmanager
def store(broker: BrokerServer) -> Iterator[Database]:
    database = Database(load_settings(broker.directory, {}).store.url, broker.directory)
    try:
        yield database
    finally:
        database.close()


def give_key(broker: BrokerServer, user_id: str, account: str = ACCOUNT) -> Keys:
    """An access key for the user of this unique id."""
    master_key = load_master_key(broker.directory / "master.key", os.environ)
    keys = Keys(new_access_key_id(LONG_TERM, account), new_secret_access_key())
    sealed = seal_secret(master_key, keys.access_key_id, keys.secret_access_key)
    row = AccessKeyRow(keys.access_key_id, account, user_id, True, sealed)
    with store(broker) as database, database.change() as connection:
        put_access_key(connection, row, declared=False, now=int(datetime.now(UTC).timestamp()))
    return keys


def give_policies(broker: BrokerServer, entity_id: str, *statements: Mapping[str, Any], attached: str = "") -> None:
    """Make these the only policies of a user, group or role: one inline, one attached; with nothing, none."""
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    with store(broker) as database, database.change() as connection:
        inline = {"own": document} if statements else {}
        replace_policies(connection, entity_id, inline=inline, attached=(attached,) if attached else ())


def drop_keys(broker: BrokerServer, *keys: Keys) -> None:
    """Delete them: a user that has keys stays."""
    ids = [key.access_key_id for key in keys]
    with store(broker) as database, database.change() as connection:
        connection.execute(delete(access_keys).where(access_keys.c.id.in_(ids)))

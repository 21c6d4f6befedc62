"""Use cases in small, as they are written everywhere: look, then write. Run by many at once, in threads or processes.

``python racing_writers.py URL DIRECTORY JOB GO_FILE`` does a job in every round as soon as the file exists and
prints how many rounds it won. What is refused counts as lost; anything else is a fault and ends the process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select

from broker.errors import AlreadyExists, BrokerError, Conflict, LimitExceeded, NotFound
from broker.identifiers import new_uuid
from broker.store.access_keys import AccessKeyRow, put_access_key
from broker.store.accounts import put_account
from broker.store.engine import Database
from broker.store.policies import put_policy
from broker.store.tables import access_keys, entities, managed_policies, policy_attachments

ACCOUNT = "111111111111"
KEY_QUOTA = 2
ROUNDS = 12


def prepare(database: Database) -> None:
    """What the rounds need: an account, and of each round a user and a policy."""
    with database.change() as connection:
        put_account(connection, ACCOUNT, "", 0)
        for number in range(ROUNDS):
            _insert_user(connection, _user_id(number), f"holder-{number}")
            put_policy(
                connection,
                new_id=f"ANPA{number}",
                account=ACCOUNT,
                name=f"policy-{number}",
                path="/",
                arn=_policy_arn(number),
                document="{}",
                declared=False,
                now=0,
            )


def create_user(connection: Connection, number: int) -> None:
    """The name must be free."""
    name = f"user-{number}"
    if connection.execute(select(entities.c.id).where(entities.c.name_key == name)).first():
        raise AlreadyExists(name)
    _insert_user(connection, f"AIDA{new_uuid()}"[:32], name)


def create_key(connection: Connection, number: int) -> None:
    """A user has two keys at most."""
    owner = _user_id(number)
    count = select(func.count()).select_from(access_keys).where(access_keys.c.user_id == owner)
    if connection.execute(count).scalar_one() >= KEY_QUOTA:
        raise LimitExceeded(owner)
    put_access_key(connection, AccessKeyRow(f"AKIA{new_uuid()}", ACCOUNT, owner, True, b""), declared=False, now=0)


def attach(connection: Connection, number: int) -> None:
    """What is attached must be there."""
    arn = _policy_arn(number)
    if connection.execute(select(managed_policies.c.id).where(managed_policies.c.arn == arn)).first() is None:
        raise NotFound(arn)
    pair = {"entity_id": _user_id(number), "policy_arn": arn}
    if connection.execute(select(policy_attachments).filter_by(**pair)).first() is None:
        connection.execute(insert(policy_attachments).values(**pair))


def delete_policy(connection: Connection, number: int) -> None:
    """What is attached stays."""
    arn = _policy_arn(number)
    if connection.execute(select(policy_attachments).where(policy_attachments.c.policy_arn == arn)).first():
        raise Conflict(arn)
    if not connection.execute(delete(managed_policies).where(managed_policies.c.arn == arn)).rowcount:
        raise NotFound(arn)


JOBS: Mapping[str, Callable[[Connection, int], None]] = {
    job.__name__: job for job in (create_user, create_key, attach, delete_policy)
}


def race(database: Database, job: str) -> int:
    """How many rounds were won."""
    won = 0
    for number in range(ROUNDS):
        try:
            with database.change() as connection:
                JOBS[job](connection, number)
            won += 1
        except (AlreadyExists, LimitExceeded, NotFound, Conflict):
            pass
    return won


def _insert_user(connection: Connection, user_id: str, name: str) -> None:
    row = {"kind": "user", "account": ACCOUNT, "path": "/", "tags": {}, "declared": False, "created_at": 0}
    connection.execute(insert(entities).values(id=user_id, name=name, name_key=name, arn=f"user/{name}", **row))


def _user_id(number: int) -> str:
    return f"AIDAHOLDER{number}"


def _policy_arn(number: int) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/policy-{number}"


def _main(url: str, directory: str, job: str, go_file: str) -> None:
    database = Database(url, Path(directory))
    with database.read():
        print("ready", flush=True)
    while not Path(go_file).exists():
        time.sleep(0.001)
    try:
        print(race(database, job))
    except BrokerError as error:
        raise SystemExit(f"{error!r}: {error.detail}") from error
    finally:
        database.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])

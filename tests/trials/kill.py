"""``kill -9`` of the whole broker at random moments while several clients write.

After each restart: every acknowledged write is there, none is half there, and the audit record has exactly one event
for each acknowledged call; what was not acknowledged is there wholly, with its event, or not at all.

1. writers change objects of their own, and note what they ask for and what was answered; 2. at a random moment every
process of the broker is killed; 3. it is started again on what lies on disk; 4. objects and events are compared with
the notes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from realm.server import BrokerServer, request_id

_WRITERS = 4
_LONGEST_ROUND_SECONDS = 0.8
_TAGS = 3
_OBJECTS = 12
"""Of one writer; then it rather deletes."""

Say = Callable[[str], None]
State = tuple[str, bool]
"""Of a user: the value of its tags, and whether its policy is there."""


@dataclass
class Notes:
    """What one writer knows: the state of its objects, and what the broker owes the audit record.

    ``open`` is the call without an answer: the user, the state that it leads to (None: deleted), the event's name.
    ``acknowledged`` are request id and event name of the calls that were answered since the last check.
    """

    users: dict[str, State] = field(default_factory=dict)
    open: tuple[str, State | None, str] | None = None
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)


def kill_trial(
    home: Path,
    *,
    rounds: int,
    seed: int,
    say: Say,
    store_url: str = "",
    settings: Mapping[str, object] | None = None,
    after: Callable[[BrokerServer], None] = lambda _: None,
) -> str:
    """Run it, on an SQLite file if no other store is given; a sentence about what was done.

    ``after`` each restart looks at what else has to hold.

    Raises AssertionError if something was lost, doubled or half made.
    """
    chance = random.Random(seed)
    chosen = {"server.workers": 2, "server.threads": 4, **(settings or {})}
    broker = BrokerServer(home, settings=chosen, store_url=store_url)
    broker.start()
    try:
        notes = [Notes() for _ in range(_WRITERS)]
        calls = last = 0
        for number in range(rounds):
            _write_until_killed(broker, notes, chance, number)
            broker.start()
            calls += sum(len(one.acknowledged) for one in notes)
            last = _check(broker, notes, last)
            after(broker)
            if number % 50 == 49:
                say(f"{number + 1} rounds, {calls} acknowledged calls, nothing lost")
        return f"{rounds} times killed: {calls} acknowledged calls, 0 lost, 0 half made, 0 without their event"
    finally:
        broker.stop()


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _write_until_killed(broker: BrokerServer, notes: list[Notes], chance: random.Random, number: int) -> None:
    stop = threading.Event()
    problems: list[Exception] = []

    def work(index: int, seed: int) -> None:
        try:
            _Writer(broker, notes[index], random.Random(seed), f"w{index}-{number}").run(stop)
        except (AssertionError, ClientError, KeyError) as problem:  # shown by the main thread
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(index, chance.randrange(2**32))) for index in range(_WRITERS)]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.02, _LONGEST_ROUND_SECONDS))
    _kill(broker)
    stop.set()
    for thread in threads:
        thread.join(30)
    if problems:
        raise problems[0]


def _kill(broker: BrokerServer) -> None:
    """Every process of it at once: first the parent, so that it cannot start a worker anew."""
    assert broker.process is not None
    workers = broker.workers()
    for pid in (broker.process.pid, *workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    broker.process.wait(10)
    broker.process = None
    for pid in workers:
        _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.005)
    raise AssertionError(f"process {pid} did not end")


class _Writer:
    """One client; what it names begins with ``prefix``, so that no name comes again."""

    def __init__(self, broker: BrokerServer, notes: Notes, chance: random.Random, prefix: str) -> None:
        self._notes = notes
        self._chance = chance
        self._prefix = prefix
        self._count = 0
        self._iam = broker.client(broker.root, service="iam", connect_timeout=5, read_timeout=10)
        self._sts = broker.client(broker.root, service="sts", connect_timeout=5, read_timeout=10)

    def run(self, stop: threading.Event) -> None:
        """Call after call, until the broker is gone."""
        while not stop.is_set():
            name, state, event, call = self._next()
            self._notes.open = (name, state, event)
            try:
                answer = call()
            except ClientError as refusal:
                if refusal.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    raise
                return
            except (ConnectionError, HTTPClientError):
                return
            self._notes.open = None
            self._notes.acknowledged.append((request_id(answer), event))
            if "Credentials" in answer:
                self._notes.issued.append(answer["Credentials"]["AccessKeyId"])
            elif state is None:
                del self._notes.users[name]
            else:
                self._notes.users[name] = state

    def _next(self) -> tuple[str, State | None, str, Callable[[], Any]]:
        """Object, the state that the call leads to, the call's event, the call."""
        self._count += 1
        value = f"{self._prefix}-{self._count}"
        users = self._notes.users
        if not users or (len(users) < _OBJECTS and self._chance.random() < 0.4):
            tags = self._tags(value)
            return value, (value, False), "CreateUser", lambda: self._iam.create_user(UserName=value, Tags=tags)
        name = self._chance.choice(sorted(users))
        held, has_policy = users[name]
        choice = self._chance.random()
        if choice < 0.15:
            return name, (held, has_policy), "GetSessionToken", self._sts.get_session_token
        if choice < 0.45:
            tags = self._tags(value)
            return name, (value, has_policy), "TagUser", lambda: self._iam.tag_user(UserName=name, Tags=tags)
        if not has_policy and choice < 0.75:
            document = _document({"Effect": "Allow", "Action": "sts:*", "Resource": "*"})
            put = {"UserName": name, "PolicyName": "own", "PolicyDocument": document}
            return name, (held, True), "PutUserPolicy", lambda: self._iam.put_user_policy(**put)
        if has_policy:
            gone = {"UserName": name, "PolicyName": "own"}
            return name, (held, False), "DeleteUserPolicy", lambda: self._iam.delete_user_policy(**gone)
        return name, None, "DeleteUser", lambda: self._iam.delete_user(UserName=name)

    @staticmethod
    def _tags(value: str) -> list[dict[str, str]]:
        """Several tags of one value: were some of them another's, the change would be half made."""
        return [{"Key": f"Tag{number}", "Value": value} for number in range(_TAGS)]


def _check(broker: BrokerServer, notes: list[Notes], after: int) -> int:
    """Compare what is there with the notes, and the events after number ``after``; the number of the last."""
    last, records = _records(broker, after)
    events = Counter((event["requestID"], event["eventName"]) for event in records)
    issued = {_issued_in(event) for event in records}
    found = dict(_users(broker))
    for one in notes:
        for call in one.acknowledged:
            assert events[call] == 1, f"{call}: {events[call]} events"
        assert set(one.issued) <= issued, "credentials were handed out without their event"
        if one.open is not None:
            _settle(one, found, records)
        for name, state in one.users.items():
            assert found.pop(name, None) == state, f"{name} is not {state}"
        one.acknowledged.clear()
        one.issued.clear()
    assert not found, f"left over: {found}"
    return last


def _settle(one: Notes, found: dict[str, State], records: list[dict[str, Any]]) -> None:
    """The call that nobody answered happened with its event, or did not: the notes follow what is there."""
    assert one.open is not None
    (name, state, event), one.open = one.open, None
    before, actual = one.users.get(name), found.get(name)
    assert actual in (before, state), f"{event} {name}: half made, {actual}"
    if state != before:
        known = {request for request, _ in one.acknowledged}
        alone = [
            record
            for record in records
            if (record["eventName"], (record["requestParameters"] or {}).get("userName")) == (event, name)
            and record["requestID"] not in known
        ]
        assert len(alone) == (actual == state), f"{event} {name} is {actual}, with {len(alone)} events"
    if actual is None:
        one.users.pop(name, None)
    else:
        one.users[name] = actual


def _users(broker: BrokerServer) -> Iterator[tuple[str, State]]:
    """Every user's tag value and whether it has its policy, from what the broker answers."""
    root = broker.client(broker.root, service="iam")
    for page in root.get_paginator("get_account_authorization_details").paginate(Filter=["User"]):
        for user in page["UserDetailList"]:
            values = {tag["Value"] for tag in user["Tags"]}
            assert (len(user["Tags"]), len(values)) == (_TAGS, 1), f"half tagged: {user}"
            yield user["UserName"], (values.pop(), bool(user.get("UserPolicyList")))


def _issued_in(event: dict[str, Any]) -> str | None:
    """The access key id that the event says was handed out."""
    credentials = (event.get("responseElements") or {}).get("credentials") or {}
    return credentials.get("accessKeyId")


def _records(broker: BrokerServer, after: int) -> tuple[int, list[dict[str, Any]]]:
    """The number of the last event, and the events after number ``after``; the database has to be whole."""
    if not broker.store_url:
        assert broker.query("PRAGMA quick_check") == [("ok",)]
        assert broker.query("PRAGMA foreign_key_check") == []
    rows = broker.query("SELECT sequence, record FROM audit_events WHERE sequence > ? ORDER BY sequence", after)
    return (rows[-1][0] if rows else after), [json.loads(text) for _, text in rows]

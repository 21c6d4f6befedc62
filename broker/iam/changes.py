"""The audit record of a change: in the transaction that makes the change, or neither is there."""

from __future__ import annotations

from sqlalchemy import Connection

from broker.audit.event import render
from broker.services import Caller
from broker.store.audit_events import append_records


def record_change(connection: Connection, caller: Caller, response: object = None) -> None:
    """Write the call's event, with what it answers. The last step of a transaction; the endpoint writes no other."""
    caller.record.response = response
    append_records(connection, [render(caller.record)])
    caller.record.written = True

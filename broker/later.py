"""Answers that are sent later, by granian.

A call that issues credentials waits for the disk when all else is done. WSGI would have its thread wait, to be woken
for handing over bytes that were ready before; each such wait costs the interpreter's lock and the processor's caches
more than a quarter of the whole call. Granian itself keeps the connection and takes the answer from any thread, but
its WSGI runner does not show that to the application: ``offer_later_answers`` puts a layer between them. Should another
version of granian be built differently, nothing is offered, and calls wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from broker.wsgi import ANSWER_LATER, Send

_WRAPPER = "_wsgi_call_wrap"

Runner = Callable[[Any, dict[str, Any]], Any]
"""Granian's: takes the connection's protocol object and the request's part of the environment."""


class _Exchange:
    """Granian's protocol object, as its runner sees it: once the answer is to be sent later, it takes no other."""

    __slots__ = ("_later", "_protocol", "response_iter")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._later = False
        self.response_iter = protocol.response_iter

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if not self._later:
            self._protocol.response_bytes(status, headers, body)

    def answer_later(self) -> Send:
        self._later = True
        send: Send = self._protocol.response_bytes
        return send


def offer_later_answers() -> bool:
    """Let the applications that granian's workers run from now on answer later (``broker.wsgi.ANSWER_LATER``).

    Returns whether this granian can.
    """
    from granian.server import mp

    original = getattr(mp, _WRAPPER, None)
    if original is None:
        return False

    def wrap(*arguments: Any) -> Runner:
        run: Runner = original(*arguments)

        def runner(protocol: Any, scope: dict[str, Any]) -> Any:
            exchange = _Exchange(protocol)
            scope[ANSWER_LATER] = exchange.answer_later
            return run(exchange, scope)

        return runner

    setattr(mp, _WRAPPER, wrap)
    return True

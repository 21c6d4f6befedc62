"""The types of WSGI (PEP 3333) that our callables use, and what it has no word for: an answer that is sent later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
WsgiApplication = Callable[[Environ, Any], Iterable[bytes]]

Send = Callable[[int, list[tuple[str, str]], bytes], None]
"""Status, headers, body."""
ANSWER_LATER = "accredit.answer_later"
"""Where the server can do it, a function is under this key. Who calls it has undertaken to call the ``Send`` that it
returns, once, from any thread; what the WSGI callable itself returns then counts for nothing."""

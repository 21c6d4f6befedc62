"""A directory that answers as a test wants: over TLS, in hand-made LDAP (RFC 4511), or not at all."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import trustme

from providers.ldap.gate import LoginGate
from providers.ldap.groups import GroupRules
from providers.ldap.provider import LdapProvider, LdapRules
from providers.ldap.servers import ServiceAccount

BIND, SEARCH, EXTENDED, UNBIND = 0x60, 0x63, 0x77, 0x42
START_TLS, WHO_AM_I = b"1.3.6.1.4.1.1466.20037", b"1.3.6.1.4.1.4203.1.11.3"
PEOPLE = "ou=people,dc=test"
GUID = bytes(range(16))
ALICE = f"cn=alice,{PEOPLE}"


@dataclass(frozen=True)
class Request:
    """One request: its operation's tag, and all of its bytes."""

    number: int
    operation: int
    raw: bytes


Answer = Callable[[Request], bytes | None]
"""What goes back; None closes the connection."""


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def authority_pem() -> str:
    return authority().cert_pem.bytes().decode()


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def number(value: int, tag: int = 0x02) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def text(value: str | bytes, tag: int = 0x04) -> bytes:
    return tlv(tag, value.encode() if isinstance(value, str) else value)


def message(to: Request | int, operation: bytes, *controls: bytes) -> bytes:
    where = to if isinstance(to, int) else to.number
    return tlv(0x30, number(where), operation, *([tlv(0xA0, *controls)] if controls else []))


def result(tag: int, code: int = 0, words: str = "", *more: bytes) -> bytes:
    return tlv(tag, number(code, 0x0A), text(""), text(words), *more)


def entry(dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> bytes:
    listed = [tlv(0x30, text(name), tlv(0x31, *map(text, values))) for name, values in attributes.items()]
    return tlv(0x64, text(dn), tlv(0x30, *listed))


def page_control(cookie: bytes) -> bytes:
    value = tlv(0x30, number(0), text(cookie))
    return tlv(0x30, text("1.2.840.113556.1.4.319"), text(value))


def bound(request: Request, code: int = 0, words: str = "", *controls: bytes) -> bytes:
    return message(request, result(0x61, code, words), *controls)


def found(request: Request, *entries: bytes, code: int = 0, words: str = "", cookie: bytes = b"") -> bytes:
    """Entries and the end of the search."""
    controls = [page_control(cookie)] if cookie else []
    return b"".join(message(request, one) for one in entries) + message(request, result(0x65, code, words), *controls)


def said(request: Request, code: int = 0, value: bytes | None = None) -> bytes:
    """The answer to an extended operation."""
    return message(request, result(0x78, code, "", *([] if value is None else [tlv(0x8B, value)])))


PERSON: dict[str, Sequence[str | bytes]] = {"objectGUID": [GUID], "cn": ["alice"], "memberOf": ["cn=staff,dc=test"]}


def friendly(request: Request) -> bytes | None:
    """Everybody is alice, and every password is right."""
    if request.operation == BIND:
        return bound(request)
    if request.operation == SEARCH:
        return found(request, entry(ALICE, PERSON))
    if request.operation == EXTENDED and WHO_AM_I in request.raw:
        return said(request, value=f"dn:{ALICE}".encode())
    return None


class MadeDirectory:
    """Listens until it is closed; ``before`` may do something else with a connection, and says whether it did."""

    def __init__(
        self,
        answer: Answer = friendly,
        *,
        before: Callable[[socket.socket], bool] = lambda _: False,
        host: str = "localhost",
        tls: bool = True,
    ) -> None:
        self.answer, self._before = answer, before
        self._tls = tls
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert(host).configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.requests: list[Request] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'ldaps' if self._tls else 'ldap'}://localhost:{self.port}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close what is open."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(plain)
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._before(plain):
                return None
            speaking: socket.socket = plain
            if self._tls:
                speaking = self._context.wrap_socket(plain, server_side=True)
                self._open.append(speaking)
            for request in _requests(speaking):
                self.requests.append(request)
                if request.operation == EXTENDED and START_TLS in request.raw and not self._tls:
                    speaking.sendall(self.answer(request) or b"")
                    return self._go_on(speaking)
                answer = self.answer(request)
                if answer is None:
                    break
                speaking.sendall(answer)
            speaking.close()
        return None

    def _go_on(self, plain: socket.socket) -> None:
        """After StartTLS."""
        speaking = self._context.wrap_socket(plain, server_side=True)
        self._open.append(speaking)
        for request in _requests(speaking):
            self.requests.append(request)
            answer = self.answer(request)
            if answer is None:
                return
            speaking.sendall(answer)


def _requests(speaking: socket.socket) -> Iterator[Request]:
    data = b""
    while True:
        while (size := _size(data)) is None or len(data) < size:
            more = speaking.recv(65_536)
            if not more:
                return
            data += more
        raw, data = data[:size], data[size:]
        body = raw[2:] if raw[1] < 128 else raw[2 + (raw[1] & 0x7F) :]
        length = body[1]
        yield Request(int.from_bytes(body[2 : 2 + length], "big"), body[2 + length], raw)


def _size(data: bytes) -> int | None:
    if len(data) < 2:
        return None
    if data[1] < 128:
        return 2 + data[1]
    octets = data[1] & 0x7F
    if len(data) < 2 + octets:
        return None
    return 2 + octets + int.from_bytes(data[2 : 2 + octets], "big")


def provider(*urls: str, places: int = 4, **fields: Any) -> LdapProvider:
    """A provider of these servers that waits a second for an answer."""
    rules: dict[str, Any] = {
        "servers": urls,
        "authority": authority_pem(),
        "service": ServiceAccount("cn=reader,dc=test", b"secret"),
        "user_base": PEOPLE,
        "user_filter": "(cn={username})",
        "user_template": None,
        "groups": None,
        "attributes": (),
        "unique_id_attribute": None,
        "username_attribute": None,
        "referral_servers": (),
        "connect_seconds": 1,
        "answer_seconds": 1,
        "page_size": 500,
    }
    return LdapProvider("arn:of:it", LdapRules(**(rules | fields)), LoginGate(places), lambda _: True)


def groups(nested: str = "None", query: str = "(member={dn})") -> GroupRules:
    return GroupRules("ou=groups,dc=test", query, "cn", nested)

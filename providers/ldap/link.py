"""One connection to a directory server, encrypted before anything is said, with a limit to whatever it may cost.

1. The name is looked up within the time limit, and addresses that may not be reached are left out. 2. ``ldaps://`` is
TLS from the first byte, ``ldap://`` asks for it (StartTLS, RFC 4511, 4.14) and goes on only when it has it. 3. The
certificate is verified for the host's name, against the pinned authority where there is one. 4. Each request has a
deadline and a number of bytes that its answer may have; they hold for every read, so that no slow trickle gets around
them. The LDAP messages themselves are ldap3's business; it neither opens sockets nor follows referrals here.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPExceptionError, LDAPInvalidFilterError
from pyasn1.error import PyAsn1Error

from providers.errors import ProviderUnreachable

UNREACHABLE = "The identity provider could not be reached."
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_READ_BYTES = 64 * 1024
_START_TLS = "1.3.6.1.4.1.1466.20037"
_WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
_PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105  # a control's OID (draft-behera-ldap-password-policy)
_DOES_NOT_DECODE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError, PyAsn1Error)
"""What ldap3 raises for bytes that are no LDAP."""


class LinkBroken(Exception):
    """The connection cannot be used any more. ``timed_out``: the server was silent for too long."""

    def __init__(self, detail: str, *, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is. ``tls``: from the first byte."""

    url: str
    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Of ``ldap://host`` or ``ldaps://host``, with or without a port. Raises ValueError."""
        parts = urlsplit(url)
        tls = {"ldap": False, "ldaps": True}[parts.scheme.lower()]
        if not parts.hostname:
            raise ValueError(f"{url} names no host")
        return cls(url, parts.hostname, parts.port or (636 if tls else 389), tls)


@dataclass(frozen=True, slots=True)
class Reach:
    """How servers are reached. Times are in seconds; ``allows`` says whether an address may be."""

    context: ssl.SSLContext
    allows: Callable[[str], bool]
    connect_seconds: float
    answer_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A server's answer to a bind: RFC 4511's result code, its words, and the password policy control as it came."""

    code: int
    message: str
    policy: bytes | None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a search's answer; without a ``cookie`` it is the last."""

    code: int
    message: str
    entries: Sequence[tuple[str, Mapping[str, Sequence[bytes]]]]
    references: Sequence[str]
    """Where the search would go on, as LDAP URLs."""
    cookie: bytes = b""


@dataclass
class Link:
    """A connection for one thread at a time. ``bound_as`` is who it speaks for."""

    endpoint: Endpoint
    reach: Reach
    opened_at: float = field(default_factory=time.monotonic)
    bound_as: str | None = None

    def open(self, deadline: float) -> Link:
        """Connect, and have TLS. Raises LinkBroken."""
        until = min(deadline, time.monotonic() + self.reach.connect_seconds)
        try:
            plain = connect(self.endpoint, self.reach.allows, until)
        except OSError as error:
            raise LinkBroken(
                f"{self.endpoint.url}: {_words(error)}", timed_out=isinstance(error, TimeoutError)
            ) from None
        self._socket = _Guarded(plain)
        with ExitStack() as undo:
            undo.callback(self._socket.close)
            self._start(until)
            undo.pop_all()
        return self

    def _start(self, until: float) -> None:
        self._connection = _adopt(self._socket)
        with self._speaking(until):
            if not self.endpoint.tls:
                self._connection.extended(_START_TLS)
                code = self._connection.result["result"]
                if code != 0:
                    raise LinkBroken(f"{self.endpoint.url}: StartTLS refused with result {code}")
            self._socket.start_tls(self.reach.context, self.endpoint.host)

    def bind(self, name: str, password: bytes, deadline: float) -> Outcome:
        """Say who we are; an empty name and password is nobody. Raises LinkBroken."""
        self.bound_as = None
        connection = self._connection
        connection.user, connection.password = name, password
        connection.authentication = ldap3.SIMPLE if name else ldap3.ANONYMOUS
        controls = [(_PASSWORD_POLICY, False, None)]
        with self._speaking(deadline):
            connection.bind(read_server_info=False, controls=controls)
            result = connection.result
            policy = (result.get("controls") or {}).get(_PASSWORD_POLICY)
            connection.password = None
            outcome = Outcome(
                int(result["result"]), str(result["message"])[:512], policy["value"] or b"" if policy else None
            )
        if outcome.code == 0:
            self.bound_as = name
        return outcome

    def who_am_i(self, deadline: float) -> str | None:
        """Whom the server takes us for (RFC 4532): empty for nobody, None if it does not say. Raises LinkBroken."""
        with self._speaking(deadline):
            self._connection.extended(_WHO_AM_I)
            result = self._connection.result
            if result["result"] != 0:
                return None
            return bytes(result.get("responseValue") or b"").decode("utf-8", "replace")

    def search(
        self,
        base: str,
        query: str,
        attributes: Sequence[str],
        deadline: float,
        *,
        scope: str = ldap3.SUBTREE,
        size_limit: int = 0,
        page_size: int | None = None,
        cookie: bytes = b"",
    ) -> Page:
        """One answer, or with ``page_size`` one page of it (RFC 2696). Raises LinkBroken, ProviderUnreachable."""
        with self._speaking(deadline):
            self._connection.search(
                base,
                query,
                search_scope=scope,
                attributes=list(attributes) or None,
                size_limit=size_limit,
                paged_size=page_size,
                paged_cookie=cookie or None,
            )
            return _read_page(self._connection)

    def close(self) -> None:
        """Without a word: the other side may hang."""
        self._socket.close()

    @contextmanager
    def _speaking(self, deadline: float) -> Iterator[None]:
        """A request with its limits; whatever goes wrong within makes the connection useless."""
        self._socket.limit(min(deadline, time.monotonic() + self.reach.answer_seconds))
        try:
            yield
        except LDAPInvalidFilterError as error:
            raise ProviderUnreachable(UNREACHABLE, detail=f"a filter is not valid: {_words(error)}") from None
        except (LDAPExceptionError, OSError, *_DOES_NOT_DECODE) as error:
            self.close()
            late = self._socket.is_late()
            said = "no answer in time" if late else _words(error)
            raise LinkBroken(f"{self.endpoint.url}: {said}", timed_out=late) from None


class _Guarded:
    """A socket with a deadline and a number of bytes, in ldap3's hands."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._deadline = 0.0
        self._left = 0

    def limit(self, deadline: float) -> None:
        """For the request to come."""
        self._deadline, self._left = deadline, MAX_ANSWER_BYTES

    def is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        self._be_patient()
        self._inner = context.wrap_socket(self._inner, server_hostname=host, do_handshake_on_connect=False)
        _handshake(self._inner, self._deadline)

    def recv(self, _size: int) -> bytes:
        self._be_patient()
        data = self._inner.recv(_READ_BYTES)
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data

    def sendall(self, data: bytes) -> None:
        self._be_patient()
        self._inner.sendall(data)

    def shutdown(self, _how: int) -> None:
        """TLS and the system end the connection together, in ``close``."""

    def close(self) -> None:
        self._inner.close()

    def _be_patient(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._inner.settimeout(left)


def _handshake(wrapped: socket.socket, deadline: float) -> None:
    """A timeout counts for each read, and a handshake has many: a timer ends the whole."""
    assert isinstance(wrapped, ssl.SSLSocket)
    timer = threading.Timer(max(deadline - time.monotonic(), 0.001), _shut, [wrapped])
    timer.daemon = True
    timer.start()
    try:
        wrapped.do_handshake()
    finally:
        timer.cancel()


def _shut(inner: socket.socket) -> None:
    try:
        inner.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed already


def _adopt(guarded: _Guarded) -> Any:
    """A connection of ldap3 that speaks over our socket and opens none."""
    connection = ldap3.Connection(
        ldap3.Server("adopted.invalid", get_info=ldap3.NONE),
        client_strategy=ldap3.SYNC,
        auto_referrals=False,
        auto_range=False,
        auto_escape=False,
        auto_encode=False,
        check_names=False,
        return_empty_attributes=False,
    )
    connection.socket, connection.closed = guarded, False
    connection.strategy._outstanding = {}  # as its open() does it
    connection.strategy._start_listen()
    return connection


def connect(endpoint: Endpoint, allows: Callable[[str], bool], until: float) -> socket.socket:
    """To the first address that answers; each gets its share of the time that is left."""
    addresses = [one for one in look_up(endpoint, until) if allows(one)]
    if not addresses:
        raise OSError(f"no address of {endpoint.host} may be reached: name its network in fetch.allow_networks")
    for remaining in range(len(addresses), 0, -1):
        share = max(until - time.monotonic(), 0.001) / remaining
        try:
            plain = socket.create_connection((addresses[-remaining], endpoint.port), timeout=share)
            break
        except OSError:
            if remaining == 1:
                raise
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def look_up(endpoint: Endpoint, until: float) -> list[str]:
    """The addresses of a server's name. Raises OSError. The system's resolver knows no deadline: a thread waits."""
    found: list[str] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            answer = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(one[4][0]) for one in answer))
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=ask, name="ldap-name", daemon=True)
    thread.start()
    thread.join(max(until - time.monotonic(), 0.001))
    if failed:
        raise failed[0]
    if thread.is_alive():
        raise TimeoutError(f"the name {endpoint.host} was not found in time")
    return found


def _read_page(connection: Any) -> Page:
    result = connection.result
    entries: list[tuple[str, dict[str, list[bytes]]]] = []
    references: list[str] = []
    for one in connection.response:
        if one["type"] == "searchResEntry":
            entries.append(
                (str(one["dn"]), {name: list(values or ()) for name, values in one["raw_attributes"].items()})
            )
        elif one["type"] == "searchResRef":
            references.extend(map(str, one["uri"]))
    references += map(str, result.get("referrals") or ())
    paging = (result.get("controls") or {}).get("1.2.840.113556.1.4.319")
    cookie = bytes(paging["value"]["cookie"]) if paging else b""
    return Page(int(result["result"]), str(result["message"])[:512], entries, references, cookie)


def _words(error: BaseException) -> str:
    """What went wrong, as plain ASCII: a server may have said it."""
    text = f"{type(error).__name__}: {error}"
    return text.encode("ascii", "backslashreplace").decode("ascii")[:384]

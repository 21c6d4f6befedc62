"""The only way out: small documents are fetched from identity providers, forms sent to them, and events to collectors,
so that no address can be an attack.

1. https alone (http to loopback where the configuration allows it), no userinfo; 2. the name is resolved once and every
address that is not public is left out, unless the configuration names its network; 3. the connection goes to exactly
that address, so that a second look-up cannot lead elsewhere; 4. TLS is verified for the name, against the pinned
authority where there is one; 5. no redirects, no proxies, no decompression; 6. a bounded size, and one deadline for
everything, enforced by closing the socket.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from providers.errors import ProviderUnreachable

MAX_BYTES = 64 * 1024
_MAX_URL = 2_048
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=([0-9]{1,9})(?:$|[,\s])", re.IGNORECASE)
_UNICAST6 = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is public so far; outside lie IPv4-mapped and -compatible addresses, NAT64 and site-local ones."""
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "2001:db8::/32", "3fff::/20")
)
"""What ``is_global`` of some Python versions takes for public: protocol assignments, documentation, Teredo and 6to4,
whose addresses stand for IPv4 ones that cannot be judged (RFC 6890 and the IANA special-purpose registries)."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Trust:
    """What may vouch for a server. ``ca``: PEM, the only authority instead of the system's. ``thumbprints``: SHA-1 of
    certificates (40 hexadecimal digits, as AWS's) of which one has to be in the verified chain besides."""

    ca: str | None = None
    thumbprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """What was answered; ``max_age`` is Cache-Control's, in seconds."""

    body: bytes
    max_age: int | None
    status: int = 200


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is asked; ``taken`` are the statuses that are answers."""

    method: str
    taken: Container[int]
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Fetcher:
    """Fetches documents by the rules above."""

    def __init__(
        self,
        *,
        allow_http_loopback: bool = False,
        allow_networks: Sequence[str] = (),
        timeout_seconds: float = 5.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._allow_http_loopback = allow_http_loopback
        self._networks = tuple(ipaddress.ip_network(network) for network in allow_networks)
        self._timeout = timeout_seconds
        self._max_bytes = max_bytes

    def get(self, url: str, trust: Trust = Trust()) -> Document:  # frozen
        """The document at ``url``. Raises ProviderUnreachable, whatever goes wrong."""
        return self._ask(url, trust, _Sent("GET", (200,)))

    def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        trust: Trust = Trust(),  # frozen
        *,
        taken: Container[int] = range(200, 300),
    ) -> Document:
        """The answer to ``body``, if its status is one of ``taken``. Raises ProviderUnreachable."""
        return self._ask(url, trust, _Sent("POST", taken, body, headers))

    def _ask(self, url: str, trust: Trust, sent: _Sent) -> Document:
        try:
            return self._exchange(url, trust, sent)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(f"{url[:256]}: {type(error).__name__}: {error}") from error

    def transmit(self, host: str, port: int, payload: bytes, trust: Trust = Trust()) -> None:  # frozen
        """Send ``payload`` by TLS and close; return when the other side has closed too. Raises ProviderUnreachable."""
        try:
            addresses = self._addresses(host, port, "https")
            with _connected(addresses, port, time.monotonic() + self._timeout) as connection:
                connection.start_tls(host, trust)
                connection.socket.sendall(payload)
                connection.end_tls()
        except (OSError, ValueError) as error:
            raise _unreachable(f"{host[:256]}:{port}: {type(error).__name__}: {error}") from error

    def _exchange(self, url: str, trust: Trust, sent: _Sent) -> Document:
        parts = _split(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        addresses = self._addresses(host, port, parts.scheme)
        deadline = time.monotonic() + self._timeout
        with _connected(addresses, port, deadline) as connection:
            if parts.scheme == "https":
                connection.start_tls(host, trust)
            return _request(connection, parts, sent, self._max_bytes)

    def allows(self, address: str) -> bool:
        """Whether a provider may be at this address, over TLS."""
        return self._allowed(ipaddress.ip_address(address.partition("%")[0]), "https")

    def _addresses(self, host: str, port: int, scheme: str) -> list[str]:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        allowed = [text for text in sorted(found) if self._allowed(ipaddress.ip_address(text), scheme)]
        if not allowed:
            raise _unreachable(f"{host} has no address that may be reached by {scheme}: {', '.join(sorted(found))}")
        return allowed

    def _allowed(self, address: Address, scheme: str) -> bool:
        if scheme == "http":
            return self._allow_http_loopback and address.is_loopback
        if any(address in network for network in self._networks if network.version == address.version):
            return True
        if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST6:
            return False
        if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
            return False
        return address.is_global and not address.is_multicast


class _Connection:
    """A socket that is closed at the deadline, whatever it is doing then."""

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self.socket: socket.socket = plain
        self.expired = False
        self._timer = threading.Timer(max(deadline - time.monotonic(), 0.001), self._expire)
        self._timer.daemon = True
        self._timer.start()

    def start_tls(self, host: str, trust: Trust) -> None:
        if trust.ca == "":  # which ssl would take for "the system's authorities"
            raise ValueError("the pinned authority is empty")
        context = ssl.create_default_context(cadata=trust.ca)
        wrapped = context.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        self.socket = wrapped
        if self.expired:  # the deadline closed the plain socket, which is no longer this one
            raise TimeoutError("deadline")
        wrapped.do_handshake()
        if trust.thumbprints:
            _check_thumbprints(wrapped, trust.thumbprints)

    def end_tls(self) -> None:
        """Tell the other side that this was all, and wait until it has taken notice."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.unwrap()

    def close(self) -> None:
        self._timer.cancel()
        self.socket.close()

    def _expire(self) -> None:
        self.expired = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already


@contextmanager
def _connected(addresses: Sequence[str], port: int, deadline: float) -> Iterator[_Connection]:
    """A connection to the first of ``addresses`` that answers; each gets its share of the time that is left."""
    for remaining in range(len(addresses), 0, -1):
        share = max(deadline - time.monotonic(), 0.001) / remaining
        try:
            plain = socket.create_connection((addresses[-remaining], port), timeout=share)
            break
        except OSError:
            if remaining == 1:
                raise
    plain.settimeout(max(deadline - time.monotonic(), 0.001))
    connection = _Connection(plain, deadline)
    try:
        yield connection
    finally:
        expired = connection.expired  # then whatever was read or raised is the closing's doing
        connection.close()
        if expired:
            raise TimeoutError("deadline")


def _request(connection: _Connection, parts: SplitResult, sent: _Sent, max_bytes: int) -> Document:
    client = http.client.HTTPConnection(parts.hostname or "", parts.port)
    client.sock = connection.socket
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": "accredit",
        **sent.headers,
    }
    client.request(sent.method, target, sent.body, headers)
    with client.getresponse() as response:  # left open, it would keep the socket
        return _read(response, parts, max_bytes, sent.taken)


def _read(response: http.client.HTTPResponse, parts: SplitResult, max_bytes: int, taken: Container[int]) -> Document:
    if response.status not in taken:
        raise _unreachable(f"{parts.geturl()[:256]} answered {response.status}")
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise _unreachable("the answer is compressed, which was not asked for")
    body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise _unreachable(f"{parts.geturl()[:256]} is larger than {max_bytes} bytes")
    length = response.getheader("Content-Length")
    if length is not None and length.isdecimal() and int(length) != len(body):
        raise _unreachable("the answer was cut off")
    age = _MAX_AGE.search(response.getheader("Cache-Control") or "")
    return Document(body, int(age[1]) if age else None, response.status)


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if len(url) > _MAX_URL or not url.isascii() or any(character <= " " for character in url):
        raise _unreachable("the URL has characters that are not allowed, or too many")
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise _unreachable(f"{url[:256]} is no plain https URL")
    return parts


def _check_thumbprints(connection: ssl.SSLSocket, thumbprints: Sequence[str]) -> None:
    """AWS's thumbprints are SHA-1 of a certificate; they only narrow what TLS has verified already."""
    get_chain = getattr(connection, "get_verified_chain", None)  # public from Python 3.13 on
    if get_chain is None:
        chain = [item.public_bytes(ssl._ssl.ENCODING_DER) for item in connection._sslobj.get_verified_chain()]  # type: ignore[attr-defined]
    else:
        chain = get_chain()
    found = [hashlib.sha1(certificate, usedforsecurity=False).hexdigest() for certificate in chain]
    if not set(found) & {thumbprint.lower() for thumbprint in thumbprints}:
        raise _unreachable(f"no certificate of the chain has a registered thumbprint; seen: {', '.join(found)}")


def _unreachable(detail: str) -> ProviderUnreachable:
    """What a server said goes into the record as plain ASCII."""
    shown = detail.encode("ascii", "backslashreplace").decode("ascii")[:512]
    return ProviderUnreachable("The identity provider could not be reached.", detail=shown)

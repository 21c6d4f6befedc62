"""Who is the client behind reverse proxies? Believed only of proxies that the configuration names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from broker.wsgi import Environ


class TrustedProxies:
    """Reads ``X-Forwarded-For`` and ``X-Forwarded-Proto`` when the connection comes from a trusted network."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def client(self, environ: Environ) -> tuple[str, bool]:
        """The client's address, and whether it came over TLS.

        The address is the last one in ``X-Forwarded-For`` that is not a trusted proxy's own: everything before it was
        written by the client.
        """
        address, secure = environ.get("REMOTE_ADDR", ""), environ.get("wsgi.url_scheme") == "https"
        if not self._networks or not self._trusted(address):
            return address, secure
        for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            hop = hop.strip()
            if not _is_address(hop):
                break
            address = hop
            if not self._trusted(hop):
                break
        forwarded = environ.get("HTTP_X_FORWARDED_PROTO", "")
        return address, forwarded.rpartition(",")[2].strip() == "https" if forwarded else secure

    def _trusted(self, address: str) -> bool:
        return _is_address(address) and any(ipaddress.ip_address(address) in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

"""The servers of one directory: which is asked, what happens when it does not answer, and the connections kept open.

Servers are tried in their order. One that fails is left out for a while that doubles with each failure; then one
request tries it, and the others go on without it meanwhile. If no other answers, those that did not fail by silence are
tried all the same: that takes no time. A kept connection that turns out to be dead is replaced
once by a new one to the same server, for servers close idle connections; a server that is silent is left at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from providers.errors import ProviderError, ProviderUnreachable
from providers.ldap.link import UNREACHABLE, Endpoint, Link, LinkBroken, Reach

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_LINK_SECONDS = 300.0
"""A connection is used for this long: names may point elsewhere by then."""
_MAX_KEPT = 16
"""Kept connections of one server and purpose."""
_SERVICE, _LOGIN = "service", "login"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who searches; an empty ``name`` is nobody (an anonymous bind)."""

    name: str
    password: bytes

    def __repr__(self) -> str:
        return f"ServiceAccount({self.name!r}, ***)"


class Server:
    """One server, with its kept connections and its pauses."""

    def __init__(self, url: str, reach: Reach) -> None:
        self.endpoint = Endpoint.parse(url)
        self.reach = reach
        self._lock = threading.Lock()
        self._kept: dict[str, list[Link]] = {_SERVICE: [], _LOGIN: []}
        self._failures = 0
        self._retry_at = float("-inf")
        self._on_trial = False
        self.problem = ""
        self.is_silent = False
        """It failed by saying nothing: to ask it costs time."""

    def is_due(self) -> bool:
        """Whether it may be asked; after a failure True for one caller, when the pause is over."""
        with self._lock:
            if self._failures == 0:
                return True
            if time.monotonic() < self._retry_at:
                return False
            self._retry_at, self._on_trial = time.monotonic() + self._pause(), True
            return True

    def succeeded(self) -> None:
        if self._failures:
            with self._lock:
                self._failures, self._on_trial, self.problem = 0, False, ""

    def failed(self, error: LinkBroken) -> None:
        """Those that failed together count once."""
        with self._lock:
            if self._failures == 0 or self._on_trial:
                self._failures, self._on_trial = self._failures + 1, False
                self._retry_at = time.monotonic() + self._pause()
            self.problem, self.is_silent = error.detail, error.timed_out
        self.drop()

    def _pause(self) -> float:
        return min(_FIRST_PAUSE_SECONDS * 2.0 ** (self._failures - 1), _LONGEST_PAUSE_SECONDS)

    def take(self, purpose: str) -> Link | None:
        """A kept connection, the one used last."""
        with self._lock:
            kept = self._kept[purpose]
            while kept:
                link = kept.pop()
                if time.monotonic() - link.opened_at < _LINK_SECONDS:
                    return link
                link.close()
        return None

    def keep(self, purpose: str, link: Link) -> None:
        with self._lock:
            if len(self._kept[purpose]) < _MAX_KEPT:
                self._kept[purpose].append(link)
                return
        link.close()

    def drop(self) -> None:
        """Close what is kept."""
        with self._lock:
            kept = [link for links in self._kept.values() for link in links]
            for links in self._kept.values():
                links.clear()
        for link in kept:
            link.close()


class Visit:
    """One attempt at one server: a connection to search by, another to bind as whoever logs in, both when needed."""

    def __init__(self, server: Server, service: ServiceAccount | None, deadline: float, *, renew: bool = False) -> None:
        """Without a ``service`` account searches are made by whoever has just logged in."""
        self.server = server
        self.deadline = deadline
        self._service = service
        self._renew = renew
        self._links: dict[str, Link] = {}
        self.reused = False
        """A kept connection was used: that it is dead says nothing of the server."""

    def search_link(self) -> Link:
        """Bound as the one who searches. Raises LinkBroken."""
        if self._service is None:
            return self.login_link()
        if _SERVICE not in self._links:
            link = self._link(_SERVICE)
            if link.bound_as is None:
                outcome = link.bind(self._service.name, self._service.password, self.deadline)
                if outcome.code != 0:
                    raise LinkBroken(
                        f"{self.server.endpoint.url}: the service account was refused with result {outcome.code}"
                        f" {outcome.message}"
                    )
        return self._links[_SERVICE]

    def login_link(self) -> Link:
        """For a bind; it is whoever was bound last. Raises LinkBroken."""
        return self._links.get(_LOGIN) or self._link(_LOGIN)

    def _link(self, purpose: str) -> Link:
        link = None if self._renew else self.server.take(purpose)
        if link is None:
            link = Link(self.server.endpoint, self.server.reach).open(self.deadline)
        else:
            self.reused = True
        self._links[purpose] = link
        return link

    def end(self, *, keep: bool) -> None:
        for purpose, link in self._links.items():
            if keep:
                self.server.keep(purpose, link)
            else:
                link.close()
        self._links = {}


class Directory:
    """The servers, asked until one answers."""

    def __init__(
        self,
        urls: Sequence[str],
        reach: Reach,
        service: ServiceAccount,
        seconds: float,
        *,
        referrals: Sequence[str] = (),
        by_themselves: bool = False,
    ) -> None:
        """``by_themselves``: people search for themselves, over the connection that they logged in by."""
        self.servers = [Server(url, reach) for url in urls]
        self._referrals = {Endpoint.parse(url).host: Server(url, reach) for url in referrals}
        self._service = None if by_themselves else service
        self._seconds = seconds

    def ask(self, work: Callable[[Visit], _T], *, deadline: float | None = None) -> _T:
        """What ``work`` makes of a server's answers. Raises ProviderUnreachable, and whatever ``work`` raises."""
        until = time.monotonic() + self._seconds if deadline is None else deadline
        problems: list[str] = []
        for server in self._candidates(problems):
            try:
                return self._ask(server, work, until)
            except LinkBroken as error:
                problems.append(error.detail)
            if time.monotonic() >= until:
                break
        raise ProviderUnreachable(UNREACHABLE, detail="; ".join(problems)[:1024])

    def _candidates(self, problems: list[str]) -> Iterator[Server]:
        """The servers to ask, each when its turn comes; ``problems`` learns why others are left out."""
        left_out = []
        for server in self.servers:
            if server.is_due():
                yield server
            else:
                left_out.append(server)
        for server in left_out:
            if server.is_silent:
                problems.append(f"left out after: {server.problem}")
            else:
                yield server

    def _ask(self, server: Server, work: Callable[[Visit], _T], until: float) -> _T:
        """A dead connection that was kept is no failure of the server: it is asked once more over new ones."""
        visit = Visit(server, self._service, until)
        try:
            return self._visit(visit, work)
        except LinkBroken as error:
            if not visit.reused or error.timed_out:
                server.failed(error)
                raise
        server.drop()
        try:
            return self._visit(Visit(server, self._service, until, renew=True), work)
        except LinkBroken as error:
            server.failed(error)
            raise

    def _visit(self, visit: Visit, work: Callable[[Visit], _T]) -> _T:
        answered = False
        try:
            found = work(visit)
            answered = True
            return found
        except ProviderError:
            answered = True  # it is the answer that is not liked
            raise
        finally:
            if answered:
                visit.server.succeeded()
            visit.end(keep=answered)

    def find_referral(self, url: str) -> tuple[Server, str] | None:
        """The server that may be followed to, and the DN where the search goes on (RFC 4516); None if it is not listed.

        How it is spoken to is what the list says, not what the referral says.
        """
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
        except ValueError:
            return None
        server = self._referrals.get(host)
        return None if server is None else (server, unquote(parts.path.lstrip("/")))

    def follow(self, server: Server, work: Callable[[Visit], _T], deadline: float) -> _T:
        """Ask a server that a referral led to. Raises ProviderUnreachable, and whatever ``work`` raises."""
        if not server.is_due():
            raise ProviderUnreachable(UNREACHABLE, detail=f"left out after: {server.problem}")
        try:
            return self._ask(server, work, deadline)
        except LinkBroken as error:
            raise ProviderUnreachable(UNREACHABLE, detail=error.detail) from None

    def close(self) -> None:
        """Close every kept connection."""
        for server in (*self.servers, *self._referrals.values()):
            server.drop()

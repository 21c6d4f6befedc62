"""Searches whose answers are whole: page after page, range after range, and on to other servers where that is allowed.

A part of an answer is never taken for the answer: what is cut off by a limit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ldap3

from providers.errors import ProviderUnreachable
from providers.ldap.link import UNREACHABLE, Link, Page
from providers.ldap.servers import Directory, Server, Visit

MAX_ENTRIES = 20_000
_SUCCESS, _SIZE_LIMIT, _REFERRAL, _NO_SUCH_OBJECT = 0, 4, 10, 32
_RANGE = re.compile(r"(.+);range=([0-9]+)-([0-9]+|\*)", re.IGNORECASE)
_MAX_RANGES = 200
_ANY = "(objectClass=*)"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry; its attributes by their names in lower case. ``server`` is where it is, if a referral led there."""

    dn: str
    values: Mapping[str, tuple[bytes, ...]]
    server: Server | None = None

    def first(self, attribute: str) -> bytes | None:
        return next(iter(self.values.get(attribute.lower(), ())), None)

    def texts(self, attribute: str) -> tuple[str, ...]:
        """The values that are text."""
        found = []
        for value in self.values.get(attribute.lower(), ()):
            try:
                found.append(value.decode("utf-8"))
            except UnicodeDecodeError:
                continue
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for. ``most``: with more entries than this the answer is not wanted at all."""

    base: str
    query: str
    attributes: Sequence[str]
    most: int = MAX_ENTRIES


def find_entries(directory: Directory, visit: Visit, wanted: Search, page_size: int) -> list[Entry]:
    """Every entry that matches. Raises LinkBroken, ProviderUnreachable."""
    entries, references = _find_here(visit.search_link(), visit.deadline, wanted, page_size)
    for url in dict.fromkeys(references):
        found = directory.find_referral(url)
        if found is not None:
            server, base = found
            entries += _find_there(directory, server, visit.deadline, wanted, base, page_size)
    if len(entries) > wanted.most:
        raise _incomplete(f"more than {wanted.most} entries match {wanted.query[:128]}")
    return entries


def find_few(directory: Directory, visit: Visit, wanted: Search) -> list[Entry]:
    """At most two entries: enough to know whether there is exactly one. Raises LinkBroken, ProviderUnreachable."""
    link, deadline = visit.search_link(), visit.deadline
    page = link.search(wanted.base, wanted.query, wanted.attributes, deadline, size_limit=2)
    if page.code != _SIZE_LIMIT:
        _check(page, wanted)
    entries = [_whole(link, deadline, dn, attributes) for dn, attributes in page.entries]
    for url in page.references:
        found = directory.find_referral(url)
        if found is not None and len(entries) < 2:
            entries += _find_there(directory, found[0], deadline, wanted, found[1], page_size=2)
    _refuse_lost(directory, page)
    return entries[:2]


def read_entry(link: Link, deadline: float, dn: str, attributes: Sequence[str]) -> Entry | None:
    """The entry of this DN. Raises LinkBroken, ProviderUnreachable."""
    page = link.search(dn, _ANY, attributes, deadline, scope=ldap3.BASE)
    if page.code == _NO_SUCH_OBJECT:
        return None
    _check(page, Search(dn, _ANY, attributes))
    return next((_whole(link, deadline, *one) for one in page.entries), None)


def _find_there(
    directory: Directory, server: Server, deadline: float, wanted: Search, base: str, page_size: int
) -> list[Entry]:
    """Where a referral leads; what that server refers to is not followed."""
    there = Search(base or wanted.base, wanted.query, wanted.attributes, wanted.most)
    found, _ = directory.follow(
        server, lambda visit: _find_here(visit.search_link(), visit.deadline, there, page_size), deadline
    )
    return [Entry(one.dn, one.values, server) for one in found]


def _find_here(link: Link, deadline: float, wanted: Search, page_size: int) -> tuple[list[Entry], list[str]]:
    entries: list[Entry] = []
    references: list[str] = []
    cookie = b""
    while True:
        page = link.search(wanted.base, wanted.query, wanted.attributes, deadline, page_size=page_size, cookie=cookie)
        _check(page, wanted)
        entries += [_whole(link, deadline, dn, attributes) for dn, attributes in page.entries]
        references += page.references
        if not page.cookie or len(entries) > wanted.most:
            return entries, references
        if page.cookie == cookie and not page.entries:
            raise _incomplete("the directory repeats a page without end")
        cookie = page.cookie


def _refuse_lost(directory: Directory, page: Page) -> None:
    """A referral instead of an answer is no answer, unless it was followed."""
    if page.code == _REFERRAL and not any(directory.find_referral(url) for url in page.references):
        raise _refused_referral(page)


def _check(page: Page, wanted: Search) -> None:
    if page.code in (_SUCCESS, _REFERRAL):
        return
    if page.code == _NO_SUCH_OBJECT:
        raise ProviderUnreachable(UNREACHABLE, detail=f"the directory has no {wanted.base[:256]}, or hides it")
    raise _incomplete(f"the search {wanted.query[:128]} ended with result {page.code} {page.message[:256]}")


def _refused_referral(page: Page) -> ProviderUnreachable:
    shown = ", ".join(page.references)[:256].encode("ascii", "backslashreplace").decode()
    return _incomplete(f"the directory refers to {shown}, which is not among the referral servers")


def _incomplete(detail: str) -> ProviderUnreachable:
    return ProviderUnreachable(UNREACHABLE, detail=f"the directory's answer is not whole: {detail}")


def _whole(link: Link, deadline: float, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> Entry:
    """The entry with the values that a server holds back (``member;range=0-1499``, [MS-ADTS] 3.1.1.3.1.3.3)."""
    values: dict[str, tuple[bytes, ...]] = {}
    for name, some in attributes.items():
        ranged = _RANGE.fullmatch(name)
        if ranged is None:
            values[name.lower()] = values.get(name.lower(), ()) + tuple(some)
        else:
            values[ranged[1].lower()] = _all_values(link, deadline, dn, ranged, list(some))
    return Entry(dn, values)


def _all_values(link: Link, deadline: float, dn: str, ranged: re.Match[str], found: list[bytes]) -> tuple[bytes, ...]:
    attribute, last = ranged[1], ranged[3]
    for _ in range(_MAX_RANGES):
        if last == "*":
            return tuple(found)
        begin = int(last) + 1
        page = link.search(dn, _ANY, [f"{attribute};range={begin}-*"], deadline, scope=ldap3.BASE)
        _check(page, Search(dn, _ANY, ()))
        names = (_RANGE.fullmatch(name) for _, attributes in page.entries for name in attributes)
        match = next((one for one in names if one and one[1].lower() == attribute.lower()), None)
        if match is None or int(match[2]) != begin:
            break
        found += page.entries[0][1][match[0]]
        last = match[3]
    raise _incomplete(f"the values of {attribute} of {dn[:256]} have no end")

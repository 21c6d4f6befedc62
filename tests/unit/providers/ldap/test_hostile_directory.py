"""A directory that hangs, lies, breaks off, or answers garbage: no login, no wait past the limits, no error of ours."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from made_directory import (
    ALICE,
    BIND,
    EXTENDED,
    PERSON,
    SEARCH,
    START_TLS,
    MadeDirectory,
    Request,
    bound,
    entry,
    found,
    friendly,
    groups,
    message,
    provider,
    result,
    said,
    text,
    tlv,
)

from providers.base import ExternalIdentity, LdapBind
from providers.errors import CredentialsRejected, ProviderBusy, ProviderError, ProviderUnreachable
from providers.ldap import link

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LIMIT = 2.5
"""Seconds for a login at a directory that has one for an answer, on a busy machine."""

Make = Callable[..., MadeDirectory]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[MadeDirectory] = []

    def one(*arguments: Any, **fields: Any) -> MadeDirectory:
        made.append(MadeDirectory(*arguments, **fields))
        return made[-1]

    yield one
    for directory in made:
        directory.close()


def log_in(of: Any, name: str = "alice", password: str = "secret") -> ExternalIdentity:
    identity: ExternalIdentity = of.authenticate(LdapBind(name, password), now=NOW)
    return identity


def unreachable(of: Any, words: str = "") -> None:
    """Within the limit, and said in the record."""
    began = time.monotonic()
    with pytest.raises(ProviderUnreachable) as refusal:
        log_in(of)
    assert time.monotonic() - began < LIMIT
    assert refusal.value.message == "The identity provider could not be reached."
    assert words in refusal.value.detail
    assert refusal.value.detail.isascii()
    of.close()


def test_a_friendly_one(make: Make) -> None:
    of = provider(make().url)
    identity = log_in(of)
    assert identity.subject == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert identity.attributes["groups"] == ("cn=staff,dc=test",)
    of.close()


def hang(plain: socket.socket) -> bool:
    time.sleep(6)
    return True


a_reset = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
"""``ssl`` leaves its half-made socket to the collector, if the connection was reset just before TLS begins."""


def reset(plain: socket.socket) -> bool:
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    plain.close()
    return True


def trickle(plain: socket.socket) -> bool:
    """A TLS record that never ends, a byte at a time: each read is answered in time."""
    plain.sendall(b"\x16\x03\x03\x40\x00")
    for _ in range(60):
        plain.sendall(b"\x00")
        time.sleep(0.1)
    return True


def http(plain: socket.socket) -> bool:
    plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    plain.close()
    return True


@a_reset
@pytest.mark.parametrize("before", [hang, reset, trickle, http])
def test_before_tls(make: Make, before: Callable[[socket.socket], bool]) -> None:
    unreachable(provider(make(before=before).url))


def silent(request: Request) -> bytes | None:
    time.sleep(6)
    return None


def nothing(_request: Request) -> bytes | None:
    return None


def dripping(request: Request) -> bytes:
    """The beginning of a very long message."""
    return b"\x30\x84\x7f\xff\xff\xff" + bytes(1_000)


def endless(request: Request) -> bytes:
    return b"\x30\x80" + bytes(64)


GARBAGE = [
    b"\x00" * 64,
    b"\xff" * 64,
    b"0\x05\x02\x01\x01a\x00",
    b"0\x03\x02\x01\x01",
    b"HTTP/1.1 200 OK\r\n\r\n",
    tlv(0x30, b"\x02\x01\x01", tlv(0x61, b"\x0a\x01\x00")),
    tlv(0x30, b"\x02\x01\x01", tlv(0x61, b"\x04\x00\x04\x00\x04\x00")),
    tlv(0x30, b"\x04\x01x", result(0x61)),
    os.urandom(512),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("operation", [BIND, SEARCH])
def test_garbage(make: Make, garbage: bytes, operation: int) -> None:
    unreachable(provider(make(lambda one: garbage if one.operation == operation else friendly(one)).url))


@pytest.mark.parametrize("answer", [silent, nothing, dripping, endless])
@pytest.mark.parametrize("operation", [BIND, SEARCH, EXTENDED])
def test_it_stops_in_the_middle(make: Make, answer: Any, operation: int) -> None:
    unreachable(provider(make(lambda one: answer(one) if one.operation == operation else friendly(one)).url))


def test_an_answer_to_another_request(make: Make) -> None:
    unreachable(provider(make(lambda one: message(one.number + 1, result(0x61))).url), "messageId")


def test_more_bytes_than_an_answer_may_have(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_ANSWER_BYTES", 100_000)
    big = entry(ALICE, {"description": ["x" * 200_000]})
    unreachable(provider(make(lambda one: found(one, big) if one.operation == SEARCH else friendly(one)).url), "bytes")


def test_a_name_that_is_nobody_s_certificate(make: Make) -> None:
    unreachable(provider(make(host="other.test").url), "Hostname mismatch")


def test_an_authority_that_is_not_ours(make: Make) -> None:
    import trustme

    other = trustme.CA().cert_pem.bytes().decode()
    unreachable(provider(make().url, authority=other), "CERTIFICATE_VERIFY_FAILED")
    unreachable(provider(make().url, authority=None), "CERTIFICATE_VERIFY_FAILED")


def start_tls(code: int) -> Callable[[Request], bytes | None]:
    return lambda one: said(one, code) if one.operation == EXTENDED and START_TLS in one.raw else friendly(one)


def test_start_tls(make: Make) -> None:
    of = provider(make(start_tls(0), tls=False).url)
    assert log_in(of).subject
    of.close()


@pytest.mark.parametrize("code", [1, 2, 52, 53])
def test_start_tls_that_is_refused_is_no_reason_to_go_on_without(make: Make, code: int) -> None:
    directory = make(start_tls(code), tls=False)
    unreachable(provider(directory.url), "StartTLS")
    assert {one.operation for one in directory.requests} == {EXTENDED}


def test_start_tls_with_answers_slipped_in_before(make: Make) -> None:
    """What came in the clear must not be taken for an answer inside of TLS."""

    def inject(one: Request) -> bytes | None:
        if one.operation == EXTENDED and START_TLS in one.raw:
            return said(one) + message(one.number + 1, result(0x61))
        return friendly(one)

    unreachable(provider(make(inject, tls=False).url))


def test_an_anonymous_bind_that_looks_like_a_login(make: Make) -> None:
    def nobody(one: Request) -> bytes | None:
        return said(one, value=b"") if one.operation == EXTENDED else friendly(one)

    of = provider(make(nobody).url)
    with pytest.raises(CredentialsRejected) as refusal:
        log_in(of)
    assert "nobody" in refusal.value.detail
    of.close()


def test_a_directory_that_does_not_say_who_one_is(make: Make) -> None:
    of = provider(make(lambda one: said(one, 2) if one.operation == EXTENDED else friendly(one)).url)
    assert log_in(of).subject
    of.close()


@pytest.mark.parametrize("password", ["", "\x00", "secret\x00", "x" * 1_025, "\ud800"])
def test_passwords_that_are_not_sent(make: Make, password: str) -> None:
    directory = make()
    with pytest.raises(CredentialsRejected):
        log_in(provider(directory.url), password=password)
    assert directory.connections == 0


@pytest.mark.parametrize(
    "name", ["", " ", "a\x00b", "a\r\nb", "x" * 1_025, "a\u202eb", "a\u200bb", "\ud800", "a\u2028b", "é" * 600]
)
def test_user_names_that_are_not_sent(make: Make, name: str) -> None:
    directory = make()
    with pytest.raises(CredentialsRejected):
        log_in(provider(directory.url), name)
    assert directory.connections == 0


def test_two_entries_are_nobody(make: Make) -> None:
    def twice(one: Request) -> bytes | None:
        return found(one, *[entry(ALICE, PERSON)] * 2) if one.operation == SEARCH else friendly(one)

    of = provider(make(twice).url)
    with pytest.raises(CredentialsRejected, match="incorrect"):
        log_in(of)
    of.close()


@pytest.mark.parametrize("code", [3, 11, 32, 50, 53, 80])
def test_a_search_that_fails(make: Make, code: int) -> None:
    unreachable(provider(make(lambda one: found(one, code=code) if one.operation == SEARCH else friendly(one)).url))


@pytest.mark.parametrize("code", [1, 8, 13, 51, 52, 80])
def test_a_bind_that_says_nothing_of_the_password(make: Make, code: int) -> None:
    def unwell(one: Request) -> bytes | None:
        return bound(one, code) if one.operation == BIND and ALICE.encode() in one.raw else friendly(one)

    unreachable(provider(make(unwell).url), f"result {code}")


@pytest.mark.parametrize("code", [19, 32, 34, 48, 49, 50, 53])
def test_a_bind_that_is_refused(make: Make, code: int) -> None:
    def refusing(one: Request) -> bytes | None:
        return bound(one, code) if one.operation == BIND and ALICE.encode() in one.raw else friendly(one)

    of = provider(make(refusing).url)
    with pytest.raises(CredentialsRejected):
        log_in(of)
    of.close()


def test_a_service_account_that_is_refused(make: Make) -> None:
    unreachable(provider(make(lambda one: bound(one, 49)).url), "service account")


def referring(*urls: str, code: int = 0, entries: tuple[bytes, ...] = ()) -> Callable[[Request], bytes | None]:
    def answer(one: Request) -> bytes | None:
        if one.operation != SEARCH:
            return friendly(one)
        listed = b"".join(message(one, tlv(0x73, text(url))) for url in urls) if code == 0 else b""
        more = [tlv(0xA3, *map(text, urls))] if code == 10 else []
        done = message(one, tlv(0x65, b"\x0a\x01" + bytes([code]), text(""), text(""), *more))
        return b"".join(message(one, each) for each in entries) + listed + done

    return answer


def test_referrals_are_not_followed(make: Make) -> None:
    """Nobody who is referred to gets a connection, still less a password."""
    attacker = make()
    url = f"ldap://localhost:{attacker.port}/dc=test"
    of = provider(make(referring(url, entries=(entry(ALICE, PERSON),))).url)
    assert log_in(of).subject
    of.close()
    of = provider(make(referring(url)).url)
    with pytest.raises(CredentialsRejected):
        log_in(of)
    of.close()
    unreachable(provider(make(referring(url, code=10)).url), "not among the referral servers")
    assert attacker.connections == 0


def test_referrals_to_a_listed_server_are_followed_as_the_list_says(make: Make) -> None:
    other = make()
    url = "ldap://localhost/dc=test??sub"
    for code in (0, 10):
        directory = make(referring(url, code=code))
        of = provider(directory.url, referral_servers=(other.url,))
        assert log_in(of).attributes["dn"] == (ALICE,)
        assert not [one for one in directory.requests if b"cn=alice" in one.raw and one.operation == BIND]
        of.close()
    assert [one for one in other.requests if b"secret" in one.raw]


def test_values_come_range_by_range(make: Make) -> None:
    """As Active Directory gives more than 1,500 ([MS-ADTS] 3.1.1.3.1.3.3)."""

    def ranged(one: Request) -> bytes | None:
        if one.operation != SEARCH:
            return friendly(one)
        if b"range=2-" in one.raw:
            return found(one, entry(ALICE, {"memberOf;range=2-3": ["cn=c", "cn=d"]}))
        if b"range=4-" in one.raw:
            return found(one, entry(ALICE, {"memberOf;range=4-*": ["cn=e"]}))
        return found(one, entry(ALICE, {**PERSON, "memberOf": [], "memberOf;range=0-1": ["cn=a", "cn=b"]}))

    of = provider(make(ranged).url)
    assert log_in(of).attributes["groups"] == ("cn=a", "cn=b", "cn=c", "cn=d", "cn=e")
    of.close()


def test_ranges_without_an_end(make: Make) -> None:
    def ranged(one: Request) -> bytes | None:
        same = entry(ALICE, {**PERSON, "memberOf": [], "memberOf;range=0-1": ["cn=a", "cn=b"]})
        return found(one, same) if one.operation == SEARCH else friendly(one)

    unreachable(provider(make(ranged).url), "have no end")


def test_pages_without_an_end(make: Make) -> None:
    def again(one: Request) -> bytes | None:
        if one.operation == SEARCH and b"member" in one.raw and b"ou=groups" in one.raw:
            return found(one, cookie=b"again")
        return friendly(one)

    unreachable(provider(make(again).url, groups=groups()), "without end")


def of_groups(names: Callable[[bytes], list[str]]) -> Callable[[Request], bytes | None]:
    def answer(one: Request) -> bytes | None:
        if one.operation != SEARCH or b"ou=groups" not in one.raw:
            return friendly(one)
        return found(one, *(entry(f"cn={name},ou=groups,dc=test", {"cn": [name]}) for name in names(one.raw)))

    return answer


def test_ten_thousand_groups(make: Make) -> None:
    many = [f"g{number}" for number in range(10_000)]
    of = provider(make(of_groups(lambda _: many)).url, groups=groups(), answer_seconds=20)
    assert len(log_in(of).attributes["groups"]) == 10_000
    of.close()
    more = [*many, "one more"]
    of = provider(make(of_groups(lambda _: more)).url, groups=groups(), answer_seconds=20)
    with pytest.raises(ProviderUnreachable, match="could not be reached"):
        log_in(of)
    of.close()


def test_groups_in_a_circle(make: Make) -> None:
    def circle(raw: bytes) -> list[str]:
        return ["b"] if b"cn=a," in raw else ["a"]

    of = provider(make(of_groups(circle)).url, groups=groups("Walk"))
    assert log_in(of).attributes["groups"] == ("a", "b")
    of.close()


def test_groups_nested_too_deep(make: Make) -> None:
    depth = iter(range(1_000))
    of = provider(make(of_groups(lambda _: [f"g{next(depth)}"])).url, groups=groups("Walk"), answer_seconds=10)
    with pytest.raises(ProviderUnreachable) as refusal:
        log_in(of)
    assert "deeper than 20" in refusal.value.detail
    of.close()


@pytest.mark.parametrize("code", [3, 4, 11])
def test_a_part_of_the_groups_is_none(make: Make, code: int) -> None:
    def cut_off(one: Request) -> bytes | None:
        if one.operation == SEARCH and b"ou=groups" in one.raw:
            return found(one, entry("cn=a,dc=test", {"cn": ["a"]}), code=code)
        return friendly(one)

    unreachable(provider(make(cut_off).url, groups=groups()), "not whole")


def test_an_entry_that_nothing_identifies(make: Make) -> None:
    bare = entry(ALICE, {"cn": ["alice"]})
    unreachable(
        provider(make(lambda one: found(one, bare) if one.operation == SEARCH else friendly(one)).url), "objectGUID"
    )


@pytest.mark.parametrize("name", ["cn=a\x00b,dc=test", "cn=a\x1b[2J,dc=test", "cn=a\nb,dc=test"])
def test_a_dn_that_cannot_be_written_down(make: Make, name: str) -> None:
    bad = entry(name, PERSON)
    unreachable(provider(make(lambda one: found(one, bad) if one.operation == SEARCH else friendly(one)).url), "DN")


def test_values_that_cannot_be_written_down(make: Make) -> None:
    odd = entry(ALICE, {**PERSON, "cn": ["a\x00b", b"\xff", "alice"], "photo": [b"\xff\xd8"], "note": ["two\nlines"]})
    of = provider(
        make(lambda one: found(one, odd) if one.operation == SEARCH else friendly(one)).url,
        attributes=("photo", "note"),
    )
    attributes = log_in(of).attributes
    assert attributes["username"] == ("alice",)
    assert attributes["photo"] == ("/9g=",)
    assert attributes["note"] == ("dHdvCmxpbmVz",)
    of.close()


def test_a_dead_server_is_left_out_for_a_while(make: Make) -> None:
    dead, alive = make(before=hang), make()
    of = provider(dead.url, alive.url)
    began = time.monotonic()
    log_in(of)
    first = time.monotonic() - began
    assert first < LIMIT
    began = time.monotonic()
    for _ in range(5):
        log_in(of)
    assert time.monotonic() - began < 1
    assert dead.connections == 1
    of.close()


def test_all_dead_is_said_at_once(make: Make) -> None:
    directory = make(before=hang)
    of = provider(directory.url)
    unreachable(of)
    began = time.monotonic()
    with pytest.raises(ProviderUnreachable) as refusal:
        log_in(of)
    assert time.monotonic() - began < 0.2
    assert "left out after" in refusal.value.detail
    assert directory.connections == 1


@a_reset
def test_of_two_that_failed_the_one_that_came_back_is_found_at_once(make: Make) -> None:
    ill = [True]
    first = make(before=lambda plain: reset(plain) if ill[0] else False)
    second = make(before=reset)
    of = provider(first.url, second.url)
    unreachable(of)
    ill[0] = False
    assert log_in(of).subject
    of.close()


@a_reset
def test_it_comes_back(make: Make) -> None:
    ill = [True]
    directory = make(before=lambda plain: reset(plain) if ill[0] else False)
    of = provider(directory.url)
    unreachable(of)
    ill[0] = False
    time.sleep(1.2)
    assert log_in(of).subject
    assert log_in(of).subject
    of.close()


def test_a_kept_connection_that_was_closed_costs_nobody_the_login(make: Make) -> None:
    directory = make()
    of = provider(directory.url)
    for _ in range(3):
        assert log_in(of).subject
        directory.hang_up()
    assert directory.connections == 6
    of.close()


def test_connections_are_kept(make: Make) -> None:
    directory = make()
    of = provider(directory.url)
    for _ in range(10):
        log_in(of)
    assert directory.connections == 2
    of.close()


def test_no_more_logins_than_there_are_places(make: Make) -> None:
    of = provider(make(silent).url, places=2, answer_seconds=2)
    outcomes: list[Exception] = []

    def attempt() -> None:
        try:
            log_in(of)
        except ProviderError as error:
            outcomes.append(error)

    waiting = [threading.Thread(target=attempt) for _ in range(2)]
    for one in waiting:
        one.start()
    time.sleep(0.3)
    began = time.monotonic()
    with pytest.raises(ProviderBusy):
        log_in(of)
    assert time.monotonic() - began < 0.1
    for one in waiting:
        one.join()
    assert [type(one) for one in outcomes] == [ProviderUnreachable] * 2
    of.close()

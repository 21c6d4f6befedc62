"""Row JWT-30, its first half: where the only outbound HTTP goes, whom it believes, and when it gives up."""

from __future__ import annotations

import gzip
import hashlib
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from loopback import drip, hang, http, serving, tls

from providers.errors import ProviderUnreachable
from providers.fetch import MAX_BYTES, Fetcher, Trust

LOOPBACK = ("127.0.0.0/8",)
MESSAGE = "The identity provider could not be reached."
SHORT = 0.25


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def pem(authority):
    return authority.cert_pem.bytes().decode()


@pytest.fixture
def resolver(monkeypatch):
    """Names and the addresses they have, look-up by look-up; what is no name goes to the real resolver."""
    names, asked, real = {}, [], socket.getaddrinfo

    def getaddrinfo(host, port, *arguments, **options):
        if host not in names:
            return real(host, port, *arguments, **options)
        asked.append(host)
        answers = names[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    names["asked"] = asked
    return names


@pytest.fixture
def no_connection(monkeypatch):
    """Whoever connects fails the test."""

    def create_connection(address, *_, **__):
        pytest.fail(f"connected to {address}")

    monkeypatch.setattr(socket, "create_connection", create_connection)


def plain(**options):
    return Fetcher(**({"allow_http_loopback": True, "timeout_seconds": 5.0} | options))


def refused(fetcher, url, *trust):
    """The detail of the refusal; the caller never learns more than that the provider could not be reached."""
    with pytest.raises(ProviderUnreachable) as refusal:
        fetcher.get(url, *trust)
    assert refusal.value.message == MESSAGE
    return refusal.value.detail


def test_a_document_over_http_on_loopback():
    with serving({"/a?b=c": http(b'{"x": 1}', "Cache-Control: public, max-age=120")}) as server:
        document = plain().get(server.url("/a?b=c"))
        request = server.requests[0].lower()
    assert (document.body, document.max_age) == (b'{"x": 1}', 120)
    assert f"host: 127.0.0.1:{server.port}\r\n" in request
    assert "accept-encoding: identity\r\n" in request
    assert "cookie" not in request
    assert "authorization" not in request


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=0", 0),
        ("Max-Age=60", 60),
        ("no-cache, max-age=5, must-revalidate", 5),
        ("s-maxage=5", None),
        ("x-max-age=5", None),
        ("max-age=-5", None),
        ("max-age=", None),
        ("max-age=5x", None),
        ("max-age=1e9", None),
        ("max-age=99999999999999999999", None),
        ('max-age="5"', None),
    ],
)
def test_max_age(header, seconds):
    with serving({None: http(b"{}", f"Cache-Control: {header}")}) as server:
        assert plain().get(server.url()).max_age == seconds


@pytest.mark.parametrize(
    "url",
    [
        "",
        "idp.example",
        "//idp.example/",
        "ftp://idp.example/",
        "file:///etc/passwd",
        "data:application/json,{}",
        "https://",
        "https:///path",
        "https://idp.example/a b",
        "https://idp.example/a\r\nX: y",
        "https://idp.example\t/",
        "https://idp.example/\0",
        "https://ïdp.example/",
        "https://idp.example:0x50/",
        "https://idp.example:99999/",
        "https://idp.example:-1/",
        "https://[::1/",
        "https://[x]/",
        "https://" + "a" * 64 + ".example/",
        "https://a..example/",
        "https://idp.example/" + "a" * 2_048,
    ],
)
def test_jwt_30_odd_urls_are_refused(url, no_connection):
    assert refused(plain(), url)


@pytest.mark.parametrize("place", ["user@{}/", "user:word@{}/", "@{}/", "good.example\\@{}/", "{}/#fragment"])
def test_jwt_30_urls_with_more_than_a_place_are_refused(place):
    with serving({None: http()}) as server:
        url = "http://" + place.format(f"127.0.0.1:{server.port}")
        assert "no plain https URL" in refused(plain(), url)
        assert server.connections == 0


def test_an_empty_authority_is_not_the_systems(authority):
    context, _ = tls(authority, "127.0.0.1")
    with serving({None: http()}, context=context) as server:
        assert "authority is empty" in refused(Fetcher(allow_networks=LOOPBACK), server.url(), Trust(""))


NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "::1",
    "::",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "2001:0:1::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001:db8::1",
    "2001:2::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_jwt_30_addresses_that_are_not_public_are_refused(address, resolver, no_connection):
    resolver["idp.example"] = [[address]]
    assert "no address that may be reached" in refused(Fetcher(), "https://idp.example/")


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]"])
def test_jwt_30_other_spellings_of_loopback_are_refused(host, no_connection):
    assert refused(Fetcher(), f"https://{host}/")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "192.0.1.1"])
def test_a_public_address_is_connected_to_as_it_is(address, resolver, monkeypatch):
    resolver["idp.example"] = [["10.0.0.1", address]]
    tried = []

    def create_connection(target, timeout):
        tried.append(target)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "create_connection", create_connection)
    assert "ConnectionRefusedError" in refused(Fetcher(), "https://idp.example/")
    assert tried == [(address, 443)]


def test_an_allowed_network_may_be_reached_and_no_other(resolver, no_connection):
    fetcher = Fetcher(allow_networks=("10.1.0.0/16", "fd00::/8"))
    for address in ("10.2.0.1", "127.0.0.1", "fe80::1", "::ffff:10.1.0.1"):
        resolver["idp.example"] = [[address]]
        assert "no address that may be reached" in refused(fetcher, "https://idp.example/")


def test_jwt_30_http_is_refused_unless_configured(no_connection):
    assert "by http" in refused(Fetcher(allow_networks=LOOPBACK), "http://127.0.0.1:1/")


@pytest.mark.parametrize("address", ["8.8.8.8", "10.0.0.1", "169.254.169.254"])
def test_jwt_30_http_never_leaves_loopback(address, resolver, no_connection):
    resolver["idp.example"] = [[address]]
    assert "by http" in refused(plain(allow_networks=("10.0.0.0/8",)), "http://idp.example/")


def test_jwt_30_dns_rebinding_leads_nowhere_else(authority, pem, resolver):
    context, _ = tls(authority, "idp.example")
    with serving({None: http()}, context=context) as server:
        resolver["idp.example"] = [["127.0.0.1"], ["127.0.0.2"]]
        with serving({None: http(b"evil")}, host="127.0.0.2", port=server.port) as evil:
            fetcher = Fetcher(allow_networks=("127.0.0.1/32",))
            assert fetcher.get(server.url(host="idp.example"), Trust(pem)).body == b"{}"
            assert resolver["asked"] == ["idp.example"]
            assert refused(fetcher, server.url(host="idp.example"), Trust(pem))
        assert evil.connections == 0


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_jwt_30_redirects_are_not_followed(status):
    with serving({"/": http(b"", "Location: /other", status=status), "/other": http()}) as server:
        assert "answered 30" in refused(plain(), server.url())
        assert server.paths() == ["/"]


@pytest.mark.parametrize(
    "status", ["201 Created", "204 No Content", "206 Partial", "400 Bad", "404 Not Found", "500 X"]
)
def test_only_200_counts(status):
    with serving({None: http(b"", status=status)}) as server:
        assert "answered" in refused(plain(), server.url())


def test_proxies_of_the_environment_are_ignored(monkeypatch):
    with serving({None: http()}) as server, serving({None: http(b"evil")}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert plain().get(server.url()).body == b"{}"
        assert proxy.connections == 0


def test_the_largest_document():
    with serving({None: http(b"a" * MAX_BYTES)}) as server:
        assert len(plain().get(server.url()).body) == MAX_BYTES


CHUNKS = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(b"a" * (MAX_BYTES + 1)), id="content-length"),
        pytest.param(http(b"a" * (MAX_BYTES + 1), length=""), id="until-close"),
        pytest.param(http(b"a" * (MAX_BYTES + 1), length=10**9), id="lying-length"),
        pytest.param(http(CHUNKS * 5, "Transfer-Encoding: chunked", length=""), id="chunked"),
    ],
)
def test_jwt_30_a_larger_document_is_refused(answer):
    with serving({None: answer}) as server:
        assert "larger than" in refused(plain(), server.url())


def test_jwt_30_a_document_without_end_is_cut_off():
    def answer(connection):
        connection.sendall(http(length=""))
        while True:
            connection.sendall(b"a" * 65_536)

    with serving({None: answer}) as server:
        began = time.monotonic()
        assert "larger than" in refused(plain(), server.url())
    assert time.monotonic() - began < 3


def test_the_limit_is_a_parameter():
    with serving({None: http(b"12345")}) as server:
        assert plain(max_bytes=5).get(server.url()).body == b"12345"
        assert "larger than 4" in refused(plain(max_bytes=4), server.url())


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_jwt_30_compressed_answers_are_refused(encoding):
    with serving({None: http(gzip.compress(b"a" * 1_000_000), f"Content-Encoding: {encoding}")}) as server:
        assert "compressed" in refused(plain(), server.url())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(b"{}", length=3), id="shorter-than-said"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 2", id="cut-status"),
        pytest.param(b"nonsense\r\n\r\n", id="no-http"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="no-status"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", id="many-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", id="long-header"),
        pytest.param(http(b"zz\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=""), id="bad-chunk"),
        pytest.param(http(b"5\r\n{}", "Transfer-Encoding: chunked", length=""), id="cut-chunk"),
    ],
)
def test_broken_answers_are_refused(answer):
    with serving({None: answer}) as server:
        assert refused(plain(), server.url())


def cut_off(server, path="/", *trust, **options):
    """The seconds after which a server that is too slow is left."""
    began = time.monotonic()
    detail = refused(plain(timeout_seconds=SHORT, **options), server.url(path), *trust)
    assert "imeout" in detail or "timed out" in detail, detail
    return time.monotonic() - began


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(hang, id="silence"),
        pytest.param(drip(http(length=1_000), *[b"a"] * 200), id="body"),
        pytest.param(drip(http(length=""), *[b"a"] * 200), id="body-until-close"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 90), id="headers"),
        pytest.param(drip(*[bytes([c]) for c in b"HTTP/1.1 200 " + b"O" * 200]), id="status-line"),
        pytest.param(drip(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 200), id="continue"),
        pytest.param(drip(http(b"", "Transfer-Encoding: chunked", length=""), *[b"1\r\na\r\n"] * 200), id="chunks"),
    ],
)
def test_jwt_30_slow_servers_are_cut_off_at_the_deadline(answer):
    with serving({None: answer}) as server:
        assert SHORT * 0.9 < cut_off(server) < SHORT + 1


def test_jwt_30_a_slow_body_over_tls_is_cut_off(authority, pem):
    context, _ = tls(authority, "127.0.0.1")
    with serving({None: drip(http(length=1_000), *[b"a"] * 200)}, context=context) as server:
        assert cut_off(server, "/", Trust(pem), allow_networks=LOOPBACK) < SHORT + 1


@pytest.mark.parametrize(
    "before", [hang, drip(*[b"\x16\x03\x03\x40\x00"[i : i + 1] for i in range(5)], *[b"\0"] * 200)]
)
def test_jwt_30_a_slow_handshake_is_cut_off(authority, pem, before):
    context, _ = tls(authority, "127.0.0.1")
    with serving({None: http()}, context=context, before_tls=before) as server:
        assert cut_off(server, "/", Trust(pem), allow_networks=LOOPBACK) < SHORT + 1


def test_nobody_listens(resolver):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "ConnectionRefusedError" in refused(plain(), f"http://127.0.0.1:{port}/")


def test_an_unknown_name():
    assert "gaierror" in refused(Fetcher(), "https://idp.invalid/")


def test_the_next_address_is_tried(resolver):
    with serving({None: http()}, host="127.0.0.2") as server:
        resolver["idp.example"] = [["127.0.0.1", "127.0.0.2"]]
        assert plain().get(server.url(host="idp.example")).body == b"{}"


def test_a_pinned_authority(authority, pem, resolver):
    context, _ = tls(authority, "idp.example")
    resolver["idp.example"] = [["127.0.0.1"]]
    with serving({None: http(b"[]")}, context=context) as server:
        assert Fetcher(allow_networks=LOOPBACK).get(server.url(host="idp.example"), Trust(pem)).body == b"[]"


@pytest.mark.parametrize(
    "trust",
    [
        pytest.param(lambda: Trust(), id="the-system's-authorities"),
        pytest.param(lambda: Trust(trustme.CA().cert_pem.bytes().decode()), id="another-authority"),
        pytest.param(lambda: Trust(" \n"), id="blank"),
        pytest.param(
            lambda: Trust("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), id="no-certificate"
        ),
    ],
)
def test_another_authority_is_not_believed(authority, trust):
    context, _ = tls(authority, "127.0.0.1")
    with serving({None: http()}, context=context) as server:
        assert "Error" in refused(Fetcher(allow_networks=LOOPBACK), server.url(), trust())
        assert server.requests == []


@pytest.mark.parametrize(
    "names", [("other.example",), ("example",), ("*.example.com",), ("a.idp.example",), ("127.0.0.1",)]
)
def test_a_certificate_for_another_name_is_refused(authority, pem, resolver, names):
    context, _ = tls(authority, *names)
    resolver["idp.example"] = [["127.0.0.1"]]
    with serving({None: http()}, context=context) as server:
        detail = refused(Fetcher(allow_networks=LOOPBACK), server.url(host="idp.example"), Trust(pem))
        assert "CERTIFICATE_VERIFY_FAILED" in detail
        assert server.requests == []


def test_an_expired_certificate_is_refused(authority, pem):
    context, _ = tls(authority, "127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))
    with serving({None: http()}, context=context) as server:
        assert "expired" in refused(Fetcher(allow_networks=LOOPBACK), server.url(), Trust(pem))


def thumbprint(certificate):
    der = ssl.PEM_cert_to_DER_cert(certificate.bytes().decode())
    return hashlib.sha1(der).hexdigest()


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
@pytest.mark.parametrize("which", ["server", "authority"])
def test_a_thumbprint_of_the_chain(authority, pem, which, spelling):
    context, certificate = tls(authority, "127.0.0.1")
    found = thumbprint(certificate.cert_chain_pems[0] if which == "server" else authority.cert_pem)
    with serving({None: http()}, context=context) as server:
        fetcher = Fetcher(allow_networks=LOOPBACK)
        assert fetcher.get(server.url(), Trust(pem, ("0" * 40, spelling(found)))).body == b"{}"


@pytest.mark.parametrize("wrong", [("0" * 40,), ("",), ("x",), (thumbprint(trustme.CA().cert_pem), "é")])
def test_a_thumbprint_of_another_chain_is_refused(authority, pem, wrong):
    context, _ = tls(authority, "127.0.0.1")
    with serving({None: http()}, context=context) as server:
        refused(Fetcher(allow_networks=LOOPBACK), server.url(), Trust(pem, wrong))
        assert server.requests == []


def test_a_thumbprint_alone_does_not_make_a_chain_trusted(authority):
    context, certificate = tls(authority, "127.0.0.1")
    found = (thumbprint(certificate.cert_chain_pems[0]), thumbprint(authority.cert_pem))
    with serving({None: http()}, context=context) as server:
        detail = refused(Fetcher(allow_networks=LOOPBACK), server.url(), Trust(None, found))
    assert "CERTIFICATE_VERIFY_FAILED" in detail

"""How fast are the pages, and what does a flood of passwords cost everybody else? ``python -m bench.web``.

1. Pages, one request after the other: the time from request to answer, at 1,000 roles. 2. STS GetCallerIdentity at a
fixed rate, half of what the server can do: its p99 alone, and while 200 passwords a second are tried, each for another
user from another address (so that no limit but the pool of hashes holds them back).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.servers import Server, free_port
from bench.site import ACCOUNT, Site

_ROLES = 1_000
_PASSWORD = "Wolf7!lantern"  # of a user that lives as long as the measurement
_FLOOD = 200
_ALLOW = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
_TRUST = json.dumps({"Version": "2012-10-17", "Statement": _ALLOW})
_CONNECTIONS = 16


def percentile(values: list[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1_000


class Visitor:
    """A browser without a picture: one connection, its cookies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookies: dict[str, str] = {}
        self.token = ""

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> str:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        body = None
        if form is not None:
            headers |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(form | {"csrf_token": self.token})
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        if found := re.search(r'name="csrf_token" value="([^"]+)"', text):
            self.token = found[1]
        return text


def measure_pages(port: int, rounds: int) -> None:
    visitor = Visitor(port)
    visitor.ask("GET", f"/sign-in/{ACCOUNT}")
    visitor.ask("POST", f"/sign-in/{ACCOUNT}", {"user_name": "person", "password": _PASSWORD})
    text = visitor.ask("GET", "/portal")
    assert f"of {_ROLES}" in text, "the person should see all roles"
    for path in (
        "/portal",
        "/portal?q=role-77",
        "/portal/sessions",
        "/portal/security",
        "/portal/activity",
        "/sign-in?choose=1",
    ):
        taken = []
        for _ in range(rounds):
            started = time.perf_counter()
            visitor.ask("GET", path)
            taken.append(time.perf_counter() - started)
        print(f"  {path:24} p50 {percentile(taken, 0.5):6.1f} ms   p95 {percentile(taken, 0.95):6.1f} ms")


class Rate:
    """Sends requests at a fixed rate over some connections, and keeps how long each took from its planned moment."""

    def __init__(self, port: int, rate: float, make: Callable[[int], bytes]) -> None:
        self.port, self.rate, self.make = port, rate, make
        self.taken: list[float] = []
        self.statuses: dict[str, int] = {}

    async def run(self, seconds: float) -> None:
        queue: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
        workers = [asyncio.create_task(self._work(queue)) for _ in range(_CONNECTIONS)]
        started = time.perf_counter()
        for number in range(int(seconds * self.rate)):
            planned = started + number / self.rate
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
            queue.put_nowait((number, planned))
        try:
            await asyncio.wait_for(queue.join(), 20)
        except TimeoutError:
            self.statuses["unanswered"] = queue.qsize()
        for worker in workers:
            worker.cancel()

    async def _work(self, queue: asyncio.Queue[tuple[int, float]]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while True:
            number, planned = await queue.get()
            writer.write(self.make(number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            await reader.readexactly(int(length[1]) if length else 0)
            self.taken.append(time.perf_counter() - planned)
            status = head.split(b" ", 2)[1].decode()
            self.statuses[status] = self.statuses.get(status, 0) + 1
            queue.task_done()


def identity_request(site: Site, port: int) -> bytes:
    """A signed GetCallerIdentity, good for some minutes."""
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest(
        "POST", f"http://127.0.0.1:{port}/", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    SigV4Auth(Credentials(site.user_access_key_id, site.user_secret), "sts", "us-east-1").add_auth(request)
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def password_requests(port: int) -> Callable[[int], bytes]:
    """Tries, each for another user from another address."""
    visitor = Visitor(port)
    visitor.ask("GET", f"/sign-in/{ACCOUNT}")
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())

    def make(number: int) -> bytes:
        body = urlencode({"user_name": f"u{number}", "password": "wrong", "csrf_token": visitor.token}).encode()
        head = (
            f"POST /sign-in/{ACCOUNT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Origin: http://127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
            f"X-Forwarded-For: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    return make


async def capacity(port: int, request: bytes, seconds: float) -> float:
    """Calls a second, with all connections busy."""
    done = 0

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            await reader.readexactly(int(length[1]) if length else 0)
            done += 1
        writer.close()

    await asyncio.gather(*(one() for _ in range(_CONNECTIONS)))
    return done / seconds


async def measure_flood(site: Site, port: int, seconds: float) -> None:
    request = identity_request(site, port)
    most = await capacity(port, request, 3)
    rate = most / 2
    print(f"  GetCallerIdentity: {most:.0f} a second at most (with this client); now {rate:.0f} a second")
    quiet = Rate(port, rate, lambda _: request)
    await quiet.run(seconds)
    loud, flood = Rate(port, rate, lambda _: request), Rate(port, _FLOOD, password_requests(port))
    await asyncio.gather(loud.run(seconds), flood.run(seconds))
    for name, found in (("alone", quiet), ("in the flood", loud), ("the flood", flood)):
        print(
            f"  {name:12} p50 {percentile(found.taken, 0.5):7.2f} ms   p99 {percentile(found.taken, 0.99):7.2f} ms"
            f"   {found.statuses}"
        )
    print(f"  p99 in the flood / alone: {percentile(loud.taken, 0.99) / percentile(quiet.taken, 0.99):.2f}")


def _populate(site: Site) -> None:
    with (site.directory / "accredit.toml").open("a", encoding="utf-8") as file:
        for number in range(_ROLES):
            file.write(
                f'[[role]]\nname = "role-{number}"\ndescription = "Role number {number}"\ntrust_policy = \'{_TRUST}\'\n'
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="accredit-bench-web-") as directory:
        site = Site(Path(directory) / "data")
        _populate(site)
        config = site.directory / "accredit.toml"
        text = config.read_text(encoding="utf-8").replace(
            "[server]\n", '[server]\ntrusted_proxies = ["127.0.0.1/32"]\n', 1
        )
        config.write_text(text, encoding="utf-8")
        port = free_port()
        command = site.serve_command(port, 2, 8)
        server = Server("accredit", command, port, path="/readyz", directory=Path(directory))
        try:
            _make_person(site, port)
            print(f"pages, {_ROLES} roles:")
            measure_pages(port, options.rounds)
            print(f"{_FLOOD} passwords a second:")
            asyncio.run(measure_flood(site, port, options.seconds))
        finally:
            server.stop()


def _make_person(site: Site, port: int) -> None:
    iam = boto3.client(
        "iam",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=site.root[0],
        aws_secret_access_key=site.root[1],
    )
    iam.create_user(UserName="person")
    document = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}'
    iam.put_user_policy(UserName="person", PolicyName="own", PolicyDocument=document)
    iam.create_login_profile(UserName="person", Password=_PASSWORD)


if __name__ == "__main__":
    main()

"""What does IAM cost, and does it stay flat as the account grows? ``python -m bench.iam``.

Two brokers, one with 50 users and 50 roles, one with 5,000 users, 300 groups, 1,000 roles and 1,500 policies, and the
floor, interleaved in one run. Nothing outside loopback is used. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

from bench import calls
from bench.calls import AccessKey
from bench.floor import check_same_settings
from bench.load import Measurement, require_wrk, run_wrk, send_all, write_requests
from bench.report import Ratio, verdict
from bench.servers import Server, free_port
from bench.site import ACCOUNT

_ACCREDIT = str(Path(sys.executable).with_name("accredit"))
_DISTINCT = 4_000
"""Requests that a run of wrk walks through."""
_FLAT = 1.2
_READ, _WRITE = 0.25, {"sqlite": 0.08, "postgresql": 0.03}
_POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}}
)
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}},
    }
)


@dataclass(frozen=True, slots=True)
class Size:
    """How many objects an account has."""

    users: int
    groups: int
    roles: int
    policies: int


SMALL, LARGE = Size(50, 3, 50, 15), Size(5_000, 300, 1_000, 1_500)


class Account:
    """A data directory and, while it is served, what is asked of it."""

    def __init__(self, directory: Path, size: Size, database_url: str) -> None:
        self.size = size
        self.directory = directory
        self._environment = {"ACCREDIT_STORE_URL": database_url} if database_url else {}
        done = subprocess.run(
            [_ACCREDIT, "init", str(directory), "--account-id", ACCOUNT, "--json"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **self._environment},
        )
        answer = json.loads(done.stdout)
        self.root = AccessKey(answer["access_key_id"], answer["secret_access_key"])
        with (directory / "accredit.toml").open("a", encoding="utf-8") as file:
            file.write("\n")
        self._made = itertools.count()

    def fill(self, port: int) -> None:
        """Make the objects, by calls of IAM: each user in a group, each role with a policy."""
        size = self.size
        self._send(
            port,
            "CreatePolicy",
            ({"PolicyName": f"policy-{n:04}", "PolicyDocument": _POLICY} for n in range(size.policies)),
        )
        self._send(port, "CreateGroup", ({"GroupName": f"group-{n:03}"} for n in range(size.groups)))
        self._send(port, "CreateUser", ({"UserName": f"user-{n:04}"} for n in range(size.users)))
        self._send(
            port,
            "CreateRole",
            ({"RoleName": f"role-{n:04}", "AssumeRolePolicyDocument": _TRUST} for n in range(size.roles)),
        )
        self._send(
            port,
            "AddUserToGroup",
            ({"GroupName": f"group-{n % size.groups:03}", "UserName": f"user-{n:04}"} for n in range(size.users)),
        )
        self._send(
            port,
            "AttachRolePolicy",
            (
                {
                    "RoleName": f"role-{n:04}",
                    "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/policy-{n % size.policies:04}",
                }
                for n in range(size.roles)
            ),
        )

    def _send(self, port: int, action: str, every: Iterator[dict[str, str]]) -> None:
        parameters = list(every)
        for start in range(0, len(parameters), 1_000):  # signed just before they are sent
            requests = [calls.iam(port, self.root, action, **one) for one in parameters[start : start + 1_000]]
            answers = send_all(port, requests, connections=16)
            if bad := [body for status, body in answers if status != 200]:
                raise SystemExit(f"{action}: {bad[0].decode()}")

    def requests(self, operation: str, port: int) -> list[bytes]:
        """For one run, each another one as far as there are objects."""
        return [calls.iam(port, self.root, action, **one) for action, one in self._wanted(operation)]

    def _wanted(self, operation: str) -> Iterator[tuple[str, dict[str, str]]]:
        size = self.size
        for number in range(_DISTINCT):
            if operation == "GetUser":
                yield operation, {"UserName": f"user-{number * 37 % size.users:04}"}
            elif operation == "GetRole":
                yield operation, {"RoleName": f"role-{number * 37 % size.roles:04}"}
            elif operation in ("ListUsers", "ListRoles"):
                yield operation, {"MaxItems": "50"}
            else:
                user = f"user-{number * 37 % size.users:04}"
                tag = {"Tags.member.1.Key": "walk", "Tags.member.1.Value": str(next(self._made))}
                yield operation, {"UserName": user, **tag}

    def serve_command(self, port: int, workers: int, threads: int) -> list[str]:
        options = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", str(threads)]
        return [_ACCREDIT, "serve", str(self.directory), *options]

    @property
    def environment(self) -> Mapping[str, str]:
        return self._environment


READS = ("GetUser", "GetRole", "ListUsers", "ListRoles")
WRITE = "TagUser"


def main() -> None:
    options = _options()
    require_wrk()
    check_same_settings()
    with (
        tempfile.TemporaryDirectory(prefix="accredit-bench-", dir=options.directory) as directory,
        ExitStack() as stack,
    ):
        home = Path(directory)
        accounts = {
            "small": Account(home / "small", SMALL, options.small_url),
            "large": Account(home / "large", LARGE, options.large_url),
        }
        servers = {name: stack.enter_context(_served(name, one, options, home)) for name, one in accounts.items()}
        for name, account in accounts.items():
            began = time.monotonic()
            account.fill(servers[name].port)
            print(f"{name}: {account.size}, made in {time.monotonic() - began:.0f} s", flush=True)
        floor = stack.enter_context(_floor(options, home))
        _measure(accounts, servers, floor, options, home)
        _walk_everything(accounts["large"], servers["large"])


def _measure(
    accounts: Mapping[str, Account],
    servers: Mapping[str, Server],
    floor: Server,
    options: argparse.Namespace,
    home: Path,
) -> None:
    file = home / "requests"

    def run(server: Server, requests: Sequence[bytes]) -> Measurement:
        write_requests(file, requests)
        result = run_wrk(server, file, seconds=options.seconds)
        if result.refused or result.socket_errors or not result.requests:
            raise SystemExit(f"{server.name}: {result}")
        return result

    kind = "postgresql" if options.large_url else "sqlite"
    for operation in (*READS, WRITE):
        flat, share, rates = [], [], []
        for _ in range(options.rounds):
            bottom = run(floor, [calls.constant_view(floor.port)])
            small, large = (
                run(servers[n], accounts[n].requests(operation, servers[n].port)) for n in ("small", "large")
            )
            flat.append(large.cpu_us / small.cpu_us)
            share.append(large.rate / bottom.rate)
            rates.append(large.rate)
        text = f"{operation}: {statistics.median(rates):.0f} requests/s"
        bar = _WRITE[kind] if operation == WRITE else _READ
        if not operation.startswith("List"):
            print(verdict(Ratio.over(share).median >= bar, f"{text}, >= {bar} H: {Ratio.over(share)}"), flush=True)
        print(
            verdict(Ratio.over(flat).median <= _FLAT, f"{text}, CPU of large over small <= {_FLAT}: {Ratio.over(flat)}")
        )


def _walk_everything(account: Account, server: Server) -> None:
    """GetAccountAuthorizationDetails over the whole account, in pages, and what the workers then weigh."""
    before = max(server.worker_megabytes())
    began, pages, marker = time.monotonic(), 0, ""
    while True:
        parameters = {"MaxItems": "200", **({"Marker": marker} if marker else {})}
        request = calls.iam(server.port, account.root, "GetAccountAuthorizationDetails", **parameters)
        ((status, body),) = send_all(server.port, [request], connections=1)
        if status != 200:
            raise SystemExit(body.decode())
        pages += 1
        _, found, rest = body.decode().partition("<Marker>")
        if not found:
            break
        marker = unquote_plus(rest.partition("</Marker>")[0])
    grown = max(server.worker_megabytes()) - before
    seconds = time.monotonic() - began
    print(f"GetAccountAuthorizationDetails: {pages} pages in {seconds:.1f} s, a worker grew by {grown:.0f} MB PSS")


@contextmanager
def _served(name: str, account: Account, options: argparse.Namespace, home: Path) -> Iterator[Server]:
    port = free_port()
    command = account.serve_command(port, options.workers, options.threads)
    with _serving(
        lambda: Server(name, command, port, path="/readyz", directory=home, environment=account.environment)
    ) as server:
        yield server


@contextmanager
def _floor(options: argparse.Namespace, home: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "bench.floor", str(port), str(options.workers), str(options.threads)]
    with _serving(lambda: Server("floor", command, port, path="/", directory=home)) as server:
        yield server


@contextmanager
def _serving(start: Callable[[], Server]) -> Iterator[Server]:
    server = start()
    try:
        yield server
    finally:
        server.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.iam", description="Measure IAM against its floor.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of wrk")
    parser.add_argument("--threads", type=int, default=16, help="of a worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--small-url", default="", help="two databases of a PostgreSQL server instead of SQLite files")
    parser.add_argument("--large-url", default="")
    parser.add_argument("--directory", type=Path, help="where the temporary directory is made; use a real disk")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Load: wrk for the measurements, and a small exact client where every answer must be seen."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Server, machine_cpu_seconds

CONNECTIONS = 32
_SCRIPT = Path(__file__).with_name("walk.lua")
_MARK = "RESULT "


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of wrk. ``others`` is the share of the machine that neither wrk nor the server used."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    refused: int
    socket_errors: int
    others: float


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    """The file that ``walk.lua`` reads."""
    with path.open("wb") as file:
        for request in requests:
            file.write(b"%d\n" % len(request))
            file.write(request)


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install -y wrk")


def run_wrk(
    server: Server, requests: Path, *, seconds: int, start: int = 0, connections: int = CONNECTIONS
) -> Measurement:
    """Send the requests of a file, from number ``start`` on, over connections that are kept open."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "5s", "-s", str(_SCRIPT)]
    command += [f"http://127.0.0.1:{server.port}/", "--", str(requests), str(start)]
    began, server_before = time.monotonic(), server.cpu_seconds()
    machine_before, client_before = machine_cpu_seconds(), _client_cpu_seconds()
    output = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    wall, server_used = time.monotonic() - began, server.cpu_seconds() - server_before
    ours = server_used + _client_cpu_seconds() - client_before
    others = max(0.0, machine_cpu_seconds() - machine_before - ours) / wall / (os.cpu_count() or 1)
    result = json.loads(output.rpartition(_MARK)[2].splitlines()[0])
    count = result["requests"]
    return Measurement(
        requests=count,
        rate=count / result["microseconds"] * 1e6,
        p50_ms=result["p50"] / 1000,
        p99_ms=result["p99"] / 1000,
        cpu_us=server_used / max(count, 1) * 1e6,
        refused=result["refused"],
        socket_errors=result["socket_errors"],
        others=others,
    )


def _client_cpu_seconds() -> float:
    """Of children that have ended: here, of the runs of wrk."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def send_all(port: int, requests: Sequence[bytes], *, connections: int = 8) -> list[tuple[int, bytes]]:
    """Status and body of every request's answer, in order. Raises OSError if one is not answered."""
    answers: list[tuple[int, bytes] | None] = [None] * len(requests)

    def send(first: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            for index in range(first, len(requests), connections):
                answers[index] = _exchange(connection, requests[index])

    threads = [threading.Thread(target=send, args=(first,)) for first in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    complete = [answer for answer in answers if answer is not None]
    if len(complete) != len(requests):
        raise OSError(f"{len(requests) - len(complete)} requests were not answered")
    return complete


def _exchange(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += _receive(connection)
    return int(head.split(b" ", 2)[1]), body


def _receive(connection: socket.socket) -> bytes:
    chunk = connection.recv(65_536)
    if not chunk:
        raise OSError("the server closed the connection")
    return chunk

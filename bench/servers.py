"""Starts the servers under test, reads what they use of the machine, and ends them: each by its process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class Server:
    """A server process and its children, on a loopback port."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        *,
        path: str,
        directory: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start ``command`` and wait until ``path`` answers 200; ``ready_seconds`` says how long that took."""
        self.name = name
        self.port = port
        self._log = directory / f"{name}.log"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("ACCREDIT_")}
        with self._log.open("ab") as log:
            began = time.monotonic()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**inherited, **(environment or {})},
            )
        try:
            self._wait(path, began + _START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.monotonic() - began

    def _wait(self, path: str, until: float) -> None:
        while not answers(self.port, path):
            if self._process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{self.name} did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.005)

    def cpu_seconds(self) -> float:
        """Processor time that the process tree has used."""
        return sum(_cpu(pid) for pid in self._tree())

    def worker_megabytes(self) -> list[float]:
        """PSS of each process below the first."""
        return [_pss(pid) for pid in self._tree()[1:]]

    def stop(self) -> None:
        """Ask the first process to end; what is left of its tree after a while is killed."""
        tree = self._tree()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in tree[1:]:
            if _parent(pid) in (1, *tree):
                _kill(pid)

    def _tree(self) -> list[int]:
        tree = [self._process.pid]
        for pid in tree:
            tree += _children(pid)
        return tree


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Does a GET of ``path`` answer 200?"""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def machine_cpu_seconds() -> float:
    """Processor time that the whole machine has used; stolen time counts, for it was not ours."""
    user, nice, system, _, _, irq, softirq, steal = (
        int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(text) for text in task.read_text().split()]
        except OSError:
            continue
    return sorted(found)


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass

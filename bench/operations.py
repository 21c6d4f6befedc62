"""The operations that are measured: their bars, their requests, and the proof that each is really checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import calls
from bench.calls import AccessKey
from bench.load import send_all
from bench.site import Site

FLOOR = "H"
_CODE = re.compile(r"<Code>(\w+)</Code>")


@dataclass(frozen=True, slots=True)
class Bar:
    """What an operation must reach: multiples of the floor and of moto's server."""

    floor: float
    moto: float
    stretch: float


BARS = {
    "GetCallerIdentity": Bar(0.6, 25, 0.8),
    "AssumeRole": Bar(0.35, 10, 0.5),
    "AssumeRoleWithWebIdentity": Bar(0.3, 10, 0.5),
}


@dataclass(slots=True)
class Workload:
    """Distinct sessions and distinct identity tokens, and where the walk through the tokens has come to."""

    site: Site
    tokens: list[str]
    sessions: list[AccessKey] = field(default_factory=list)

    def mint_sessions(self, port: int, count: int) -> None:
        """Sessions of the role ``app``, each by a real AssumeRoleWithWebIdentity call to the broker."""
        self.sessions = [calls.read_access_key(body) for body in self._assume(port, count)]
        if len({session.id for session in self.sessions}) != count:
            raise SystemExit("the broker issued an access key id twice")

    def _assume(self, port: int, count: int) -> list[bytes]:
        tokens = [self.tokens[number % len(self.tokens)] for number in range(count)]
        requests = [calls.assume_role_with_web_identity(port, t, f"mint-{n}") for n, t in enumerate(tokens)]
        answers = send_all(port, requests)
        if refused := [body for status, body in answers if status != 200]:
            raise SystemExit(f"the broker refused an identity token: {refused[0].decode()}")
        return [body for _, body in answers]

    def requests(self, operation: str, port: int) -> list[bytes]:
        """Requests for one run, signed now: they stay valid for five minutes."""
        if operation == FLOOR:
            return [calls.constant_view(port)]
        if operation == "GetCallerIdentity":
            return [calls.get_caller_identity(port, session) for session in self.sessions]
        if operation == "AssumeRole":
            return [calls.assume_role(port, key, f"call-{number}") for number, key in enumerate(self.sessions)]
        return [
            calls.assume_role_with_web_identity(port, token, f"call-{number}")
            for number, token in enumerate(self.tokens)
        ]


def show_checks(workload: Workload, port: int) -> list[str]:
    """Good and spoilt requests of each kind, one line each. Raises SystemExit if an answer is not as it must be."""
    user = AccessKey(workload.site.user_access_key_id, workload.site.user_secret)
    session, other = workload.sessions[:2]
    mixed = AccessKey(session.id, session.secret, other.token)
    identity = calls.get_caller_identity(port, session)
    role = calls.assume_role(port, session, "call-0")
    web = calls.assume_role_with_web_identity(port, workload.tokens[0], "call-0")
    spoil: Callable[[bytes], bytes] = calls.spoil_signature
    trials: Sequence[tuple[str, bytes, tuple[int, ...]]] = (
        ("GetCallerIdentity", identity, (200,)),
        ("GetCallerIdentity, signature changed", spoil(identity), (403,)),
        ("GetCallerIdentity, session token of another session", calls.get_caller_identity(port, mixed), (403,)),
        ("AssumeRole by a session", role, (200,)),
        ("AssumeRole by the user's access key", calls.assume_role(port, user, "call-1"), (200,)),
        ("AssumeRole, signature changed", spoil(role), (403,)),
        ("AssumeRole, body changed", calls.spoil_body(role), (403,)),
        ("AssumeRoleWithWebIdentity", web, (200,)),
        ("AssumeRoleWithWebIdentity, token's signature changed", calls.spoil_token(web), (400,)),
        ("AssumeRoleWithWebIdentity, token's claims changed", calls.spoil_claims(web), (400,)),
    )
    lines: list[str] = []
    for title, request, wanted in trials:
        ((status, body),) = send_all(port, [request], connections=1)
        code = _CODE.search(body.decode(errors="replace"))
        lines.append(f"{title}: {status} {code[1] if code else ''}".rstrip())
        if status not in wanted:
            raise SystemExit(f"{lines[-1]}, but {wanted[0]} was to come\n{body.decode(errors='replace')}")
    return lines


def check_exact_record(workload: Workload, port: int, count: int) -> str:
    """Send ``count`` AssumeRole calls and find exactly their records, no more and no fewer, on disk at once."""
    site = workload.site
    before = site.last_event()
    requests = [calls.assume_role(port, key, f"call-{n}") for n, key in enumerate(workload.sessions[:count])]
    answers = send_all(port, requests, connections=32)
    recorded = site.issued_after(before)
    issued = [calls.read_access_key(body).id for status, body in answers if status == 200]
    if len(issued) != len(requests) or sorted(issued) != sorted(recorded):
        raise SystemExit(f"{len(issued)} of {len(requests)} AssumeRole calls answered, {len(recorded)} events recorded")
    return (
        f"{len(issued)} AssumeRole answers over 32 connections, {len(recorded)} audit events, the same access key ids"
    )

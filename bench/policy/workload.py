"""Seeded policies and requests, the same for every engine.

Of the statements 95 % allow. Each has one to three actions of one service (half of them with a wildcard), one or two
ARNs of that service (60 % end in ``/*``, 10 % have a ``*`` inside, 2 % are ``*``) and two conditions: the team, and one
of user id, transport, age of the MFA or source network. A larger policy speaks of more applications. Half of the
requests are made from a statement so that it probably matches, half at random; all differ.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from broker.domain.principal import Principal, PrincipalKind
from broker.policy.evaluate import AccessRequest
from broker.policy.reader import MAX_CHARACTERS

Statement = dict[str, Any]

ACCOUNT = "123456789012"
SIZES = (10, 100, 1_000, 10_000)
SHAPED_SIZES = (100, 1_000)
_SEED = 20_261_124
_SERVICES = ("s3", "dynamodb", "sqs", "sns", "kms", "lambda", "ec2", "secretsmanager", "ssm", "logs")
_VERBS = ("Get", "List", "Put", "Delete", "Describe", "Create", "Update", "Invoke")
_NOUNS = (
    *("Object", "Item", "Queue", "Topic", "Key", "Function"),
    *("Instance", "Secret", "Parameter", "Stream", "Thing", "Policy"),
)
_TEAMS = tuple(f"team{number}" for number in range(20))
TEAM = "aws:PrincipalTag/team"
TEAM_KEYS = "aws:TagKeys"
SESSION = Principal(
    PrincipalKind.ROLE_SESSION,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/bench/run",
    "AROAEXAMPLEEXAMPLE01:run",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/bench",
    role_id="AROAEXAMPLEEXAMPLE01",
)


@dataclass(frozen=True, slots=True)
class Workload:
    """Policies in scope, each a list of statements, and the requests. ``plain``: no policy variables."""

    name: str
    identity: tuple[Statement, ...]
    requests: tuple[AccessRequest, ...]
    boundary: tuple[Statement, ...] | None = None
    session: tuple[Statement, ...] | None = None
    plain: bool = True

    @property
    def size(self) -> int:
        return sum(len(layer) for layer in self.layers)

    @property
    def layers(self) -> tuple[tuple[Statement, ...], ...]:
        """Identity-based, boundary and session policies: each of them has to allow."""
        return tuple(layer for layer in (self.identity, self.boundary, self.session) if layer is not None)


def documents(statements: Sequence[Statement]) -> list[str]:
    """The statements as policies, each as long as the reader takes."""
    packed: list[list[str]] = [[]]
    room = MAX_CHARACTERS
    for text in map(json.dumps, statements):
        if len(text) + 100 > room:
            packed.append([])
            room = MAX_CHARACTERS
        packed[-1].append(text)
        room -= len(text) + 2
    return [f'{{"Version": "2012-10-17", "Statement": [{", ".join(texts)}]}}' for texts in packed]


def plain(size: int, requests: int) -> Workload:
    """The workload of the bars."""
    return _Maker(size).workload("plain", requests)


def shaped(size: int, requests: int) -> Iterator[Workload]:
    """The same with what costs more: an element or a condition of another shape in every statement."""
    for name, change in _SHAPES.items():
        maker = _Maker(size, several=name == "ForAnyValue")
        yield maker.workload(name, requests, change, plain=name != "variables")
    yield _Maker(size).limited("boundary + session", requests)


class _Maker:
    """One stream of random choices, the same for the same size. ``several``: requests have a key with two values."""

    def __init__(self, size: int, *, several: bool = False) -> None:
        self._size = size
        self._several = several
        self._random = random.Random(_SEED * 100_003 + size)
        self._apps = max(10, size // 4)

    def workload(
        self, name: str, requests: int, change: Callable[[Statement], Statement] = dict, *, plain: bool = True
    ) -> Workload:
        statements = tuple(self._statement(number) for number in range(self._size))
        made = self._requests(statements, requests)
        return Workload(name, tuple(map(change, statements)), made, plain=plain)

    def limited(self, name: str, requests: int) -> Workload:
        """A boundary and a session policy of a tenth of the size each, which allow whole services and deny a little."""
        base = self.workload(name, requests)
        few = max(3, self._size // 10)
        limits = [tuple(self._limit(number) for number in range(few)) for _ in range(2)]
        return Workload(name, base.identity, base.requests, *limits)

    def _statement(self, number: int) -> Statement:
        pick = self._random
        service = pick.choice(_SERVICES)
        return {
            "Sid": f"S{number}",
            "Effect": "Deny" if pick.random() < 0.05 else "Allow",
            "Action": [self._action(service) for _ in range(pick.randint(1, 3))],
            "Resource": [self._resource(service) for _ in range(pick.randint(1, 2))],
            "Condition": {
                "StringEquals": {TEAM: pick.sample(_TEAMS, pick.randint(1, 3))},
                **pick.choice((self._user_id, self._transport, self._mfa_age, self._network))(),
            },
        }

    def _limit(self, number: int) -> Statement:
        pick = self._random
        if number < 3:
            services = pick.sample(_SERVICES, 8)
            return {"Effect": "Allow", "Action": [f"{service}:*" for service in services], "Resource": ["*"]}
        return {**self._statement(number), "Sid": f"L{number}"}

    def _action(self, service: str) -> str:
        pick = self._random
        verb, noun = pick.choice(_VERBS), pick.choice(_NOUNS)
        forms = (f"{verb}*", f"*{noun}*", "*", f"{verb}{noun}")
        return f"{service}:{pick.choices(forms, (30, 18, 2, 50))[0]}"

    def _resource(self, service: str) -> str:
        pick = self._random
        base = f"arn:aws:{service}:us-east-1:{ACCOUNT}:{pick.choice(_NOUNS).lower()}/app{pick.randrange(self._apps)}"
        forms = ("*", f"{base}/*", f"{base}/*/data/{pick.randrange(10)}", f"{base}/x{pick.randrange(10)}")
        return pick.choices(forms, (2, 60, 10, 28))[0]

    def _user_id(self) -> Statement:
        return {"StringLike": {"aws:userid": [f"AROA*:user-{self._random.randrange(10)}*"]}}

    def _transport(self) -> Statement:
        return {"Bool": {"aws:SecureTransport": ["true"]}}

    def _mfa_age(self) -> Statement:
        return {"NumericLessThan": {"aws:MultiFactorAuthAge": [str(self._random.choice((300, 3_600, 43_200)))]}}

    def _network(self) -> Statement:
        return {"IpAddress": {"aws:SourceIp": [f"10.{self._random.randrange(16)}.0.0/16"]}}

    def _requests(self, statements: Sequence[Statement], count: int) -> tuple[AccessRequest, ...]:
        found: dict[tuple[object, ...], AccessRequest] = {}
        while len(found) < count:
            aimed = self._random.random() < 0.5
            action, resource, team = self._aimed(statements) if aimed else self._anything()
            context = self._context(team)
            request = AccessRequest(SESSION, action, resource, ACCOUNT, context)
            found[action, resource, *context.values()] = request
        return tuple(found.values())

    def _aimed(self, statements: Sequence[Statement]) -> tuple[str, str, str]:
        """What one statement allows or denies, its wildcards filled in."""
        pick = self._random
        statement = pick.choice(statements)
        service, _, name = pick.choice(statement["Action"]).partition(":")
        name = pick.choice(_VERBS) + pick.choice(_NOUNS) if name == "*" else self._filled(name)
        resource = pick.choice(statement["Resource"])
        if resource == "*":
            resource = self._resource(service)
        filled = resource.replace("*", f"k{pick.randrange(100)}")
        return f"{service}:{name}", filled, pick.choice(statement["Condition"]["StringEquals"][TEAM])

    def _filled(self, name: str) -> str:
        if name.startswith("*"):
            return self._random.choice(_VERBS) + name.strip("*")
        return name.replace("*", self._random.choice(_NOUNS))

    def _anything(self) -> tuple[str, str, str]:
        pick = self._random
        service = pick.choice(_SERVICES)
        kind, app = pick.choice(_NOUNS).lower(), pick.randrange(self._apps)
        resource = f"arn:aws:{service}:us-east-1:{ACCOUNT}:{kind}/app{app}/x{pick.randrange(10)}"
        return f"{service}:{pick.choice(_VERBS)}{pick.choice(_NOUNS)}", resource, pick.choice(_TEAMS)

    def _context(self, team: str) -> dict[str, tuple[str, ...]]:
        pick = self._random
        address = f"10.{pick.randrange(16)}.{pick.randrange(256)}.{pick.randint(1, 254)}"
        context = {
            TEAM: (team,),
            "aws:userid": (f"AROAEXAMPLE:user-{pick.randrange(10)}{pick.randrange(10)}",),
            "aws:SecureTransport": (pick.choice(("true", "true", "false")),),
            "aws:MultiFactorAuthAge": (str(pick.choice((60, 1_800, 9_000, 90_000))),),
            "aws:SourceIp": (address,),
        }
        if self._several:
            context[TEAM_KEYS] = (team, pick.choice(_TEAMS))
        return context


def _with_variables(statement: Statement) -> Statement:
    """The team's name in every resource that ends in a wildcard, and as a condition of the user id."""
    conditions = statement["Condition"]
    resources = [f"{one[:-1]}${{{TEAM}, 'k1'}}*" if one.endswith("/*") else one for one in statement["Resource"]]
    like = {"aws:userid": ["AROA*:user-*", f"${{{TEAM}}}"]}
    return {**statement, "Resource": resources, "Condition": {**conditions, "StringLike": like}}


def _negated(statement: Statement) -> Statement:
    """Every fourth statement denies or allows all but what it lists; the others stay, or nothing would be decided."""
    if int(statement["Sid"][1:]) % 4:
        return statement
    rest = {name: value for name, value in statement.items() if name not in ("Action", "Resource")}
    return {**rest, "NotAction": statement["Action"], "NotResource": statement["Resource"]}


def _sets(statement: Statement) -> Statement:
    conditions = dict(statement["Condition"])
    teams = conditions.pop("StringEquals")[TEAM]
    return {**statement, "Condition": {"ForAnyValue:StringEquals": {TEAM_KEYS: teams}, **conditions}}


_SHAPES: dict[str, Callable[[Statement], Statement]] = {
    "variables": _with_variables,
    "NotAction, NotResource": _negated,
    "ForAnyValue": _sets,
}

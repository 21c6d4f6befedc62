"""The nearest miss of a denial as a value, and its sentence: one line of plain English for an operator.

The sentence names what policies want, so it is for the audit record and for those who may decode it, never for an
ordinary caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from broker.policy.decision import Decision, PolicyType
from broker.policy.evaluate import AccessRequest
from broker.policy.trace import StatementTrace

MAX_VALUE = 100
MAX_CLAUSES = 3


class MissKind(StrEnum):
    """What would have to be different."""

    CONDITION_CASE = "condition-case"
    CONDITION_VALUE = "condition-value"
    CONDITION_EXCLUDES = "condition-excludes"
    WILDCARD_LITERAL = "wildcard-literal"
    OUT_OF_RANGE = "out-of-range"
    UNREADABLE = "unreadable"
    KEY_MISSING = "key-missing"
    KEY_PRESENT = "key-present"
    NOT_COMPARED = "not-compared"
    ACTION = "action"
    RESOURCE = "resource"
    RESOURCE_CASE = "resource-case"
    PRINCIPAL = "principal"
    PRINCIPAL_CASE = "principal-case"
    PRINCIPAL_KIND = "principal-kind"
    PRINCIPAL_ACCOUNT = "principal-account"
    PRINCIPAL_PROVIDER = "principal-provider"
    PRINCIPAL_SESSION = "principal-session"
    PRINCIPAL_PATH = "principal-path"
    PRINCIPAL_ID = "principal-id"
    PROVIDER_ACCOUNT = "provider-account"
    UNSIGNED = "unsigned"
    SEVERAL = "several"
    IDENTITY_SIDE = "identity-side"
    BOUNDARY = "boundary"
    SESSION_POLICY = "session-policy"
    NO_SESSION_POLICY = "no-session-policy"
    EXPLICIT_DENY = "explicit-deny"


@dataclass(frozen=True, slots=True)
class Failure:
    """One element that does not match: what the request has, and the nearest of what the policy wants.

    ``element`` is ``principal``, ``action``, ``resource`` or the condition's key. ``relation`` says how the two should
    compare, where that is not equality. ``closeness`` is 0 (nothing in common) to 1; ``hint`` is a key of the request
    that resembles a missing one, the operator where it is to blame, or what variables stand for here.
    """

    kind: MissKind
    element: str
    actual: tuple[str, ...]
    wanted: tuple[str, ...]
    closeness: float = 0.0
    relation: str = ""
    hint: str | None = None

    def clause(self) -> str:
        """What differs, in a few words."""
        return _CLAUSES[self.kind](self)


@dataclass(frozen=True, slots=True)
class Miss:
    """The smallest change that would have allowed the request.

    ``policy_type``, ``source`` and ``statement`` say where; ``source`` and ``statement`` are None if no policy or no
    statement is near. ``failures`` are the elements that would have to differ, ``more`` the number of those left out.
    ``change`` is the request with the one change after which it is allowed, None if no change to the request's
    condition keys does that alone. ``sufficient``: the evaluator was asked, and nothing else refuses. ``then`` is the
    denial that would still follow, None if there is none or if asking would have cost too much.
    """

    kind: MissKind
    policy_type: PolicyType
    source: str | None = None
    statement: StatementTrace | None = None
    failures: tuple[Failure, ...] = ()
    more: int = 0
    change: AccessRequest | None = field(default=None, repr=False)
    sufficient: bool = False
    then: Decision | None = None

    def sentence(self) -> str:
        """One line; values stand in backticks and are cut to 100 characters."""
        parts = [failure.clause() for failure in self.failures[:MAX_CLAUSES]]
        left_out = self.more + len(self.failures) - len(parts)
        if left_out:
            parts.append(f"and {left_out} more")
        lead = self._lead()
        text = f"{lead}{'; '.join(parts)}" if parts else lead.removesuffix(": ")
        return text if self.then is None else f"{text}; then still denied {plain(self.then.sentence())}"

    def _lead(self) -> str:
        only = "only " if self.sufficient else ""
        name = f" {quote(self.source)}" if self.source else ""
        if self.kind is MissKind.EXPLICIT_DENY:
            unless = "; it would not if " if self.failures else ""
            return f"{self._statement()} of the {self.policy_type.noun}{name} denies it{unless}"
        if self.kind is MissKind.NO_SESSION_POLICY:
            return "a federated user session may do only what its session policy allows, and it has none"
        if self.policy_type in (PolicyType.BOUNDARY, PolicyType.SESSION):
            return f"{only}the {self.policy_type.noun}{name} refuses: "
        if self.kind is MissKind.IDENTITY_SIDE:
            return "the resource's side allows it, but no identity-based policy of the requester does: "
        return f"{len(self.failures) + self.more} elements differ: " if self.kind is MissKind.SEVERAL else ""

    def _statement(self) -> str:
        if self.statement is None:
            return "a statement"
        line, column = self.statement.place
        sid = self.statement.statement.sid
        return f"statement {quote(sid) if sid else self.statement.statement.index} (line {line}, column {column})"


def plain(text: str) -> str:
    """``text`` without line breaks, control and other invisible characters, which are written as ``\\u`` escapes."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def cut(text: str, length: int) -> str:
    """The beginning of ``text``, with an ellipsis if something is left out."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def quote(value: str) -> str:
    """A value in backticks, whatever it holds."""
    return f"`{cut(plain(value[: MAX_VALUE + 1]).replace('`', chr(39)), MAX_VALUE)}`"


def _listed(values: tuple[str, ...]) -> str:
    """The first values; most often there is one."""
    if not values:
        return "nothing"
    rest = f" and {len(values) - 1} more" if len(values) > 1 else ""
    return f"{quote(values[0])}{rest}"


def _wanted(failure: Failure) -> str:
    if not failure.wanted:
        return failure.relation or "a value"
    first, *others = failure.wanted
    rest = f" (or {len(others)} other{'s' if len(others) > 1 else ''})" if others else ""
    return f"{failure.relation} {quote(first)}{rest}".strip()


def _name(key: str) -> str:
    """The key, with the word that people use for it."""
    lowered = key.lower()
    for ending, word in _WORDS.items():
        if lowered.endswith(ending):
            return f"{word} {quote(key)}"
    return quote(key)


_WORDS = {
    ":aud": "audience",
    ":sub": "subject",
    ":iss": "issuer",
    "sts:externalid": "external id",
    "aws:sourceip": "address",
}
_MFA = "aws:multifactorauthpresent"


def _condition_value(failure: Failure) -> str:
    tail = ": MFA is missing" if failure.element.lower() == _MFA else ""
    if failure.kind is MissKind.CONDITION_VALUE and failure.hint is not None:
        tail = f", here {quote(failure.hint)}" if failure.hint else ", which has no value here"
    return f"{_name(failure.element)} is {_listed(failure.actual)}, the policy wants {_wanted(failure)}{tail}"


def _condition_case(failure: Failure) -> str:
    differing = f"it is {_listed(failure.actual)}, the policy wants {_wanted(failure)}"
    return f"{_name(failure.element)} differs only in case: {differing}"


def _key_missing(failure: Failure) -> str:
    has = f", which has {quote(failure.hint)}" if failure.hint else ""
    wants = f"the policy wants {_wanted(failure)}"
    tail = "MFA is missing" if failure.element.lower() == _MFA else wants
    return f"{_name(failure.element)} is not in the request{has}: {tail}"


def _unreadable(failure: Failure) -> str:
    what = f"{_name(failure.element)} is {_listed(failure.actual)}"
    return f"{what}, which {failure.hint} cannot read: the policy wants {_wanted(failure)}"


def _provider_account(failure: Failure) -> str:
    ours, theirs = _listed(failure.actual), _listed(failure.wanted)
    return f"the identity provider is registered in account {ours}, the role is in account {theirs}"


def _action(failure: Failure) -> str:
    return f"no {_listed(failure.actual)}: the statement allows {_wanted(failure)}"


def _other(noun: str, verb: str) -> Callable[[Failure], str]:
    return lambda failure: f"{noun} is {_listed(failure.actual)}, the {verb} {_wanted(failure)}"


def _principal(what: str) -> Callable[[Failure], str]:
    """The requester and the nearest principal that the policy names."""
    return lambda failure: f"{what}: the policy names {_wanted(failure)}, the requester is {_listed(failure.actual)}"


_CLAUSES: dict[MissKind, Callable[[Failure], str]] = {
    MissKind.CONDITION_CASE: _condition_case,
    MissKind.CONDITION_VALUE: _condition_value,
    MissKind.CONDITION_EXCLUDES: lambda f: f"{_name(f.element)} is {_listed(f.actual)}, which the policy excludes",
    MissKind.WILDCARD_LITERAL: lambda f: f"{_condition_value(f)}, whose wildcard {f.hint} takes literally",
    MissKind.OUT_OF_RANGE: _condition_value,
    MissKind.UNREADABLE: _unreadable,
    MissKind.KEY_MISSING: _key_missing,
    MissKind.KEY_PRESENT: lambda f: f"{_name(f.element)} is in the request, the policy wants it absent",
    MissKind.NOT_COMPARED: lambda f: f"{_name(f.element)} was not compared: that would take too long",
    MissKind.ACTION: _action,
    MissKind.RESOURCE: _other("the resource", "statement allows"),
    MissKind.RESOURCE_CASE: _other("the resource differs only in case: it", "statement allows"),
    MissKind.PRINCIPAL: _principal("the principal is not named"),
    MissKind.PRINCIPAL_CASE: _principal("the principal differs only in case"),
    MissKind.PRINCIPAL_KIND: _principal("the principal is of another kind"),
    MissKind.PRINCIPAL_ACCOUNT: _principal("the principal is of another account"),
    MissKind.PRINCIPAL_PROVIDER: _principal("the identity is another provider's"),
    MissKind.PRINCIPAL_SESSION: _principal("the session is another one of the same role"),
    MissKind.PRINCIPAL_PATH: _principal("the principal's path differs"),
    MissKind.PRINCIPAL_ID: _principal("the principal was deleted and made again, or is another one"),
    MissKind.PROVIDER_ACCOUNT: _provider_account,
    MissKind.UNSIGNED: lambda _: "the request is not signed, and a trust policy lets nobody in without",
    MissKind.EXPLICIT_DENY: lambda f: f"{_name(f.element)} were {_wanted(f)}",
}

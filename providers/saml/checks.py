"""What the values of a verified response may be: one table of checks, for those who sign in and for those who diagnose.

SAML Core 2.3 to 2.7, Profiles 4.1.4.2 and 4.1.4.3, and AWS's rule that an assertion is redeemed within five minutes of
its issue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from providers.errors import (
    AudienceMismatch,
    Expired,
    MalformedEvidence,
    ProviderError,
    SubjectMissing,
)
from providers.saml.assertion import Assertion, Envelope
from providers.saml.document import MESSAGE
from providers.saml.names import BEARER, SUCCESS

REDEEM_SECONDS = 300
MAX_SKEW_SECONDS = 60
EXPIRED = "Response has expired"
TOO_OLD = f"Token must be redeemed within {REDEEM_SECONDS // 60} minutes of issuance"
WRONG_ISSUER = "Issuer not present in specified provider"
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,256}")


@dataclass(frozen=True, slots=True)
class SamlRules:
    """What a registration demands. Times are in seconds."""

    entity_id: str
    audiences: tuple[str, ...]
    acs_urls: tuple[str, ...]
    clock_skew: int = MAX_SKEW_SECONDS
    max_lifetime: int = 86_400
    max_authentication_age: int = 604_800
    require_encryption: bool = False


Value = str | datetime | None | tuple[str, ...] | tuple[str, datetime]
"""A text, a time, nothing; several of which one is enough; a word and a time."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``refusal`` is what it costs the response if it has not ``passed``.

    ``wanted`` and ``found`` become texts only when somebody reads them.
    """

    name: str
    passed: bool
    wanted: Value
    found: Value
    refusal: type[ProviderError] = MalformedEvidence
    message: str = MESSAGE

    @property
    def expected(self) -> str:
        return _told(self.wanted)

    @property
    def actual(self) -> str:
        return _told(self.found)

    def demand(self) -> None:
        """Raises the refusal unless the check passed."""
        if not self.passed:
            raise self.refusal(self.message, detail=f"{self.name}: expected {self.expected}, is {self.actual}"[:500])


def check(
    envelope: Envelope, assertion: Assertion, rules: SamlRules, now: datetime, *, signed: bool, encrypted: bool
) -> Iterator[Check]:
    """All checks, in order; each depends on the evidence alone, not on those before it. ``signed``: the response is,
    not only the assertion."""
    yield Check("Status", envelope.status[:1] == (SUCCESS,), SUCCESS, envelope.status)
    yield from _check_addressee(envelope, rules, signed)
    yield Check(
        "Issuer of the assertion",
        assertion.issuer == rules.entity_id,
        rules.entity_id,
        assertion.issuer,
        message=WRONG_ISSUER,
    )
    yield Check(
        "Encryption",
        encrypted or not rules.require_encryption,
        "an encrypted assertion" if rules.require_encryption else "none needed",
        "encrypted" if encrypted else "not encrypted",
    )
    yield from _check_issue("IssueInstant of the response", envelope.issued_at, rules, now)
    yield from _check_issue("IssueInstant of the assertion", assertion.issued_at, rules, now)
    yield from _check_conditions(assertion, rules, now)
    yield from _check_audiences(assertion, rules)
    yield from _check_confirmation(envelope, assertion, rules, now)
    yield from _check_authentication(assertion, rules, now)
    yield from _check_subject(assertion, rules)


def usable_until(assertion: Assertion, rules: SamlRules) -> datetime:
    """When the checks would no longer let it pass: until then somebody might use it again."""
    ends = [assertion.issued_at + timedelta(seconds=REDEEM_SECONDS)]
    ends += [end for end in (assertion.not_on_or_after, *_confirmed_until(assertion)) if end is not None]
    return min(ends) + timedelta(seconds=rules.clock_skew)


def session_end(assertion: Assertion) -> datetime | None:
    """The provider's own limit of what may follow from this authentication (SAML Core 2.7.2)."""
    return min(
        (one.session_not_on_or_after for one in assertion.authentications if one.session_not_on_or_after), default=None
    )


def _confirmed_until(assertion: Assertion) -> list[datetime | None]:
    return [one.not_on_or_after for one in assertion.confirmations]


def _check_addressee(envelope: Envelope, rules: SamlRules, signed: bool) -> Iterator[Check]:
    """A signed response names where it is to be delivered (SAML Bindings 3.5.5.2)."""
    yield Check(
        "Destination",
        envelope.destination in rules.acs_urls or (envelope.destination is None and not signed),
        rules.acs_urls,
        envelope.destination,
        AudienceMismatch,
    )
    yield Check(
        "Issuer of the response",
        envelope.issuer in (None, rules.entity_id),
        rules.entity_id,
        envelope.issuer,
        message=WRONG_ISSUER,
    )


def _check_issue(name: str, issued_at: datetime, rules: SamlRules, now: datetime) -> Iterator[Check]:
    skew = timedelta(seconds=rules.clock_skew)
    oldest = now - timedelta(seconds=REDEEM_SECONDS) - skew
    yield Check(name, issued_at <= now + skew, ("not after", now + skew), issued_at)
    yield Check(name, issued_at >= oldest, ("not before", oldest), issued_at, Expired, TOO_OLD)


def _check_conditions(assertion: Assertion, rules: SamlRules, now: datetime) -> Iterator[Check]:
    skew = timedelta(seconds=rules.clock_skew)
    start, end = assertion.not_before, assertion.not_on_or_after
    latest = now + timedelta(seconds=rules.max_lifetime) + skew
    yield Check(
        "NotBefore of the conditions",
        start is None or start <= now + skew,
        ("not after", now + skew),
        start,
    )
    yield Check("NotOnOrAfter of the conditions", end is not None, "a time", end)
    if end is None:
        return
    yield Check("NotOnOrAfter of the conditions", now < end + skew, ("after", now - skew), end, Expired, EXPIRED)
    yield Check("NotOnOrAfter of the conditions", end <= latest, ("not after", latest), end)
    yield Check("Time window of the conditions", start is None or start < end, ("NotBefore before", end), start)


def _check_audiences(assertion: Assertion, rules: SamlRules) -> Iterator[Check]:
    """One of ours, exactly, in every restriction."""
    yield Check(
        "Audience",
        bool(assertion.audiences) and all(set(one) & set(rules.audiences) for one in assertion.audiences),
        rules.audiences,
        " and ".join(map(_told, assertion.audiences)) or "none",
        AudienceMismatch,
    )


def _check_confirmation(envelope: Envelope, assertion: Assertion, rules: SamlRules, now: datetime) -> Iterator[Check]:
    """AWS takes exactly one, and a bearer's has no beginning (SAML Profiles 4.1.4.2)."""
    found = assertion.confirmations
    yield Check("SubjectConfirmation", len(found) == 1, "exactly one", str(len(found)))
    for one in found[:1]:
        skew = timedelta(seconds=rules.clock_skew)
        end = one.not_on_or_after
        yield Check("Method of the confirmation", one.method == BEARER, BEARER, one.method or "none")
        yield Check(
            "Recipient",
            one.recipient in rules.acs_urls,
            rules.acs_urls,
            one.recipient,
            AudienceMismatch,
        )
        yield Check("NotBefore of the confirmation", one.not_before is None, "none", one.not_before)
        yield Check("NotOnOrAfter of the confirmation", end is not None, "a time", end)
        yield Check(
            "NotOnOrAfter of the confirmation",
            end is None or now < end + skew,
            ("after", now - skew),
            end,
            Expired,
            EXPIRED,
        )
        yield Check(
            "InResponseTo",
            envelope.in_response_to is None or one.in_response_to in (None, envelope.in_response_to),
            "that of the response",
            one.in_response_to,
        )


def _check_authentication(assertion: Assertion, rules: SamlRules, now: datetime) -> Iterator[Check]:
    yield Check("AuthnStatement", bool(assertion.authentications), "one at least", str(len(assertion.authentications)))
    skew = timedelta(seconds=rules.clock_skew)
    oldest = now - timedelta(seconds=rules.max_authentication_age)
    for one in assertion.authentications:
        yield Check("AuthnInstant", one.instant <= now + skew, ("not after", now + skew), one.instant)
        yield Check("AuthnInstant", one.instant >= oldest, ("not before", oldest), one.instant, Expired, EXPIRED)
    end = session_end(assertion)
    yield Check("SessionNotOnOrAfter", end is None or end > now, ("after", now), end, Expired, EXPIRED)


def _check_subject(assertion: Assertion, rules: SamlRules) -> Iterator[Check]:
    name_id = assertion.name_id
    yield Check("NameID", name_id is not None, "a NameID", "none", SubjectMissing)
    if name_id is None:
        return
    value = name_id.value
    yield Check(
        "NameID",
        bool(_NAME.fullmatch(value)) and value == value.strip(),
        "plain text of 1 to 256 characters, no space around it",
        ascii(value[:256]),
    )
    yield Check("Format of the NameID", bool(_NAME.fullmatch(name_id.format)), "a URI", ascii(name_id.format[:256]))
    yield Check(
        "SPNameQualifier",
        name_id.sp_name_qualifier is None or name_id.sp_name_qualifier in rules.audiences,
        rules.audiences,
        name_id.sp_name_qualifier,
        AudienceMismatch,
    )


def _told(value: object) -> str:
    """As people read it; of hostile texts too."""
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return f"{value.isoformat()[:19]}Z"
    if isinstance(value, tuple):
        times = any(isinstance(one, datetime) for one in value)
        return (" " if times else " or ").join(map(_told, value)) or "none"
    return str(value)

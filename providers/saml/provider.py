"""A SAML identity provider.

``authenticate`` in steps: 1. the evidence is a SAML response; 2. its provider's metadata is still good; 3. it is
opened: parsed, verified, decrypted, read (``response``); 4. every check (``checks``); 5. the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from providers.base import Evidence, ExternalIdentity, SamlResponse
from providers.errors import MalformedEvidence, ProviderError
from providers.saml.checks import Check, SamlRules, check, session_end, usable_until
from providers.saml.document import MESSAGE
from providers.saml.logout import LogoutMessage, read_logout
from providers.saml.metadata import IdpMetadata
from providers.saml.readers import apart
from providers.saml.response import KeyRules, OpenedResponse, open_response, presented, read_unverified


@dataclass(frozen=True, slots=True)
class Inspection:
    """A response looked at for somebody who wants to know what is wrong with it.

    ``opened`` is what it says, None if it cannot be read; believe it only if all ``checks`` have passed. ``presented``
    and ``configured`` are fingerprints of certificates.
    """

    checks: tuple[Check, ...]
    opened: OpenedResponse | None
    presented: tuple[str, ...]
    configured: tuple[str, ...]

    @property
    def problem(self) -> Check | None:
        """The first check that failed: that for which the response is refused."""
        return next((one for one in self.checks if not one.passed), None)


class SignIn(msgspec.Struct, frozen=True):
    """A person who comes from the provider with a browser.

    ``in_response_to``: our request that this answers, as the signed confirmation says; None if nobody asked.
    ``known_as`` are the NameID's attributes, which single logout has to repeat with the ``session_index``.
    """

    identity: ExternalIdentity
    in_response_to: str | None
    session_index: str | None
    known_as: Mapping[str, str]


class SamlProvider:
    """Verifies responses of one identity provider."""

    def __init__(self, provider: str, metadata: IdpMetadata, rules: SamlRules, keys: KeyRules) -> None:
        self._provider = provider
        self._metadata = metadata
        self._rules = rules
        self._keys = keys

    def authenticate(self, evidence: Evidence, *, now: datetime) -> ExternalIdentity:
        """The identity that the response proves. Raises ProviderError."""
        return self.identity(self._opened(evidence, now))  # 5

    def sign_in(self, evidence: SamlResponse, *, now: datetime) -> SignIn:
        """The same, with what a session of pages needs besides. Raises ProviderError."""
        opened = self._opened(evidence, now)
        name_id, confirmation = opened.assertion.name_id, opened.assertion.confirmations[0]
        known_as = {
            "Format": name_id.format if name_id else None,
            "NameQualifier": name_id.name_qualifier if name_id else None,
            "SPNameQualifier": name_id.sp_name_qualifier if name_id else None,
        }
        if opened.envelope.in_response_to not in (confirmation.in_response_to, None):
            raise MalformedEvidence(MESSAGE, detail="InResponseTo: the response has one, its confirmation another")
        indexes = (one.session_index for one in opened.assertion.authentications if one.session_index)
        return SignIn(
            self.identity(opened),
            confirmation.in_response_to,
            next(indexes, None),
            {name: value for name, value in known_as.items() if value is not None},
        )

    def read_logout(self, query: str | None, form: Mapping[str, str], here: str, *, now: datetime) -> LogoutMessage:
        """A message about the end of a session (``logout``). Raises ProviderError."""
        self._check_metadata(now).demand()
        return read_logout(query, form, self._rules, self._keys, here, now)

    @property
    def metadata(self) -> IdpMetadata:
        """Where the provider is reached."""
        return self._metadata

    def _opened(self, evidence: Evidence, now: datetime) -> OpenedResponse:
        if not isinstance(evidence, SamlResponse):  # 1
            raise MalformedEvidence(MESSAGE, detail="evidence of another kind")
        self._check_metadata(now).demand()  # 2
        opened = apart(lambda: open_response(evidence, self._keys), len(evidence.xml))  # 3
        for one in self._checks(opened, now):  # 4
            one.demand()
        return opened

    def identity(self, opened: OpenedResponse) -> ExternalIdentity:
        """The identity of an opened response, whatever the checks say. Raises ProviderError if it names nobody."""
        assertion = opened.assertion
        confirmation = assertion.confirmations[0] if assertion.confirmations else None
        recipient = (confirmation.recipient if confirmation is not None else None) or ""
        name_id = assertion.name_id
        return ExternalIdentity(
            provider=self._provider,
            issuer=assertion.issuer,
            subject="" if name_id is None else name_id.value,
            audience=(recipient, *dict.fromkeys(one for each in assertion.audiences for one in each)),
            attributes=assertion.attributes,
            assertion_id=assertion.id,
            authenticated_at=max((one.instant for one in assertion.authentications), default=assertion.issued_at),
            expires_at=usable_until(assertion, self._rules),
            subject_format=None if name_id is None else name_id.format,
            session_ends_at=session_end(assertion),
            one_time=assertion.one_time_use,
            warnings=opened.warnings,
        )

    def inspect(self, evidence: SamlResponse, *, now: datetime) -> Inspection:
        """Every check of this response, failed or not: nothing is raised."""
        found: list[Check] = [self._check_metadata(now)]
        shown: tuple[str, ...] = ()
        opened: OpenedResponse | None = None
        try:
            shown = apart(lambda: presented(evidence), len(evidence.xml))
            opened = apart(lambda: open_response(evidence, self._keys), len(evidence.xml))
            found.append(self._check_signature(True, ", ".join(opened.fingerprints)))
        except ProviderError as error:
            found.append(self._check_signature(False, _told(error, shown)))
            opened = self._read_anyway(evidence)
        if opened is not None:
            found += self._checks(opened, now)
        return Inspection(tuple(found), opened, shown, tuple(one.fingerprint for one in self._metadata.certificates))

    def prefetch(self) -> None:
        """There is nothing to fetch."""

    def _checks(self, opened: OpenedResponse, now: datetime) -> list[Check]:
        given = check(
            opened.envelope, opened.assertion, self._rules, now, signed=opened.signed, encrypted=opened.encrypted
        )
        return list(given)

    def _check_metadata(self, now: datetime) -> Check:
        """Metadata past its end must not be used (SAML Metadata 2.3.1)."""
        end = self._metadata.valid_until
        message = "The identity provider's metadata has expired"
        return Check("Metadata", end is None or now < end, f"valid at {now:%Y-%m-%d}", f"until {end}", message=message)

    def _check_signature(self, passed: bool, actual: str) -> Check:
        configured = " or ".join(one.fingerprint for one in self._metadata.certificates)
        return Check("Signature", passed, f"by certificate {configured}", actual)

    def _read_anyway(self, evidence: SamlResponse) -> OpenedResponse | None:
        try:
            return apart(lambda: read_unverified(evidence, self._keys), len(evidence.xml))
        except ProviderError:
            return None


def _told(error: ProviderError, shown: tuple[str, ...]) -> str:
    """Why it could not be opened, and with which certificate it says that it was signed."""
    return error.detail + (f"; it says that it was signed by certificate {', '.join(shown)}" if shown else "")

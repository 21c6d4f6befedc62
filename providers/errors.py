"""Why a piece of evidence was refused.

``message`` is one safe sentence for the caller; ``detail`` says exactly why, for the audit record.
"""

from __future__ import annotations


class ProviderError(Exception):
    """Base of all refusals of evidence."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class MalformedEvidence(ProviderError):
    """Not a well-formed token or assertion, or of a kind this provider does not take."""


class SignatureInvalid(ProviderError):
    """No trusted key made the signature."""


class Expired(ProviderError):
    """The evidence is past its time."""


class AudienceMismatch(ProviderError):
    """The evidence was made for somebody else."""


class ClaimRejected(ProviderError):
    """Genuine evidence with a claim that may not be honoured."""


class SubjectMissing(ProviderError):
    """Genuine evidence that names nobody."""


class ProviderUnreachable(ProviderError):
    """The identity provider did not answer in time or in form; the caller may try again."""


class CredentialsRejected(ProviderError):
    """The user name or the password is wrong, or the account may not log in."""


class ProviderBusy(ProviderError):
    """As many sign-ins as may be are under way; the caller may try again."""

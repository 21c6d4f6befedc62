"""Everything that can be refused, in the product's own words; ``aws/errors.py`` gives each its wire code.

``message`` is safe to send to the caller; ``detail`` goes to the audit record alone.
"""

from __future__ import annotations


class BrokerError(Exception):
    """Base of all refusals."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class ValidationFailed(BrokerError):
    """An argument breaks a documented constraint."""


class NotFound(BrokerError):
    """The named object does not exist."""


class AlreadyExists(BrokerError):
    """An object of that name exists."""


class Conflict(BrokerError):
    """Another request changed, at the same time, what this one depends on."""


class DeleteConflict(BrokerError):
    """Something still hangs on the object."""


class Unmodifiable(BrokerError):
    """The object is not the caller's to change: ``accredit.toml`` declares it, or the product brings it along."""


class InvalidInput(BrokerError):
    """An argument that the model allows cannot be meant."""


class InvalidAuthenticationCode(BrokerError):
    """The codes are not those of the MFA device."""


class InvalidUserType(BrokerError):
    """Only a user may ask for this, or only root."""


class TemporarilyUnmodifiable(BrokerError):
    """The object changed while the request was served; the same request may succeed now."""


class Throttled(BrokerError):
    """Too many attempts; the next ones are looked at after a while."""


class PasswordPolicyViolation(BrokerError):
    """The password is not one that the account's password policy allows."""


class PolicyNotAttachable(BrokerError):
    """The policy cannot be attached to such an entity."""


class ReportMissing(BrokerError):
    """No credential report was generated."""


class ReportExpired(BrokerError):
    """The credential report is too old; it has to be generated anew."""


class ReportInProgress(BrokerError):
    """The credential report is being generated."""


class LimitExceeded(BrokerError):
    """A quota would be exceeded."""


class MalformedPolicy(BrokerError):
    """A policy document does not follow the grammar; the message names line and column."""


class PackedPolicyTooLarge(BrokerError):
    """Session policies and tags do not fit into a session token."""


class AccessDenied(BrokerError):
    """A policy does not allow the request, or the named role does not exist.

    ``encoded`` is the sealed explanation that goes to the caller (``authorization_messages``).
    """

    def __init__(self, message: str, *, detail: str = "", encoded: str = "") -> None:
        super().__init__(message, detail=detail)
        self.encoded = encoded


class InvalidAuthorizationMessage(BrokerError):
    """The encoded authorization message was not made here, or was changed."""


class InvalidIdentity(BrokerError):
    """The external identity's token is not acceptable."""


class AssertionReplayed(BrokerError):
    """The assertion was used before."""


class InvalidClientToken(BrokerError):
    """The access key id or the session token is not known, not valid or not active."""


class SessionExpired(BrokerError):
    """The caller's own temporary credentials have expired."""


class FeatureEnabled(BrokerError):
    """The account has the feature already."""


class FeatureDisabled(BrokerError):
    """The account does not have the feature."""


class OutboundFederationDisabled(BrokerError):
    """The caller's account issues no tokens for relying parties."""


class SessionDurationEscalation(BrokerError):
    """What is asked for would outlive the caller's session."""


class TokenTooLarge(BrokerError):
    """The claims do not fit into a token."""


class AuditUnavailable(BrokerError):
    """The audit record could not be made durable, so nothing was issued."""


class Unavailable(BrokerError):
    """A part that the request needs does not answer now; the caller may try again."""


class OrganizationMissing(BrokerError):
    """The account belongs to no organization."""


class ConfigurationError(BrokerError):
    """The configuration cannot be used; the message names the key."""


class InvalidLookupAttributes(BrokerError):
    """A search of the audit record asks for something else than one attribute that there is."""


class InvalidTimeRange(BrokerError):
    """The end is before the beginning."""


class InvalidNextToken(BrokerError):
    """The token is not of this request."""


class InvalidEventCategory(BrokerError):
    """There are no events of that category."""


class TrailNotFound(BrokerError):
    """An account has one trail, and it is called otherwise."""


class InvalidTrailName(BrokerError):
    """No trail can be called that."""

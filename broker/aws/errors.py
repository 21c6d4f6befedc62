"""The only table from our refusals to AWS's error codes.

Codes, statuses and sentences: AWS STS and IAM API Reference, "Common errors" and the errors of the operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker import errors
from broker.errors import BrokerError
from providers import errors as provider_errors
from providers.errors import ProviderError


class MissingAction(BrokerError):
    """The request names no action."""


class InvalidAction(BrokerError):
    """No such operation in that API version."""


class UnsupportedOperation(BrokerError):
    """AWS has the operation; we do not."""


class MalformedQueryString(BrokerError):
    """The form cannot be read."""


class MalformedBody(BrokerError):
    """The JSON of a request's body cannot be read."""


class InvalidParameter(BrokerError):
    """A parameter is unknown, doubled, or not of its type."""


class RequestEntityTooLarge(BrokerError):
    """The body is over the limit."""


class MissingAuthenticationToken(BrokerError):
    """The operation needs a signature and there is none."""


class IncompleteSignature(BrokerError):
    """The signature does not follow the form."""


class SignatureDoesNotMatch(BrokerError):
    """The signature is not this request's, or not of this time."""


class RequestExpired(BrokerError):
    """A presigned URL after its end."""


class InternalFailure(BrokerError):
    """Our fault."""


@dataclass(frozen=True, slots=True)
class WireError:
    """What the caller gets. ``sender``: the fault is the caller's."""

    code: str
    message: str
    status: int
    sender: bool = True
    encoded: str = ""
    """The sealed explanation of a denial."""
    reason: str = ""
    """The JSON protocols' word for what is wrong with a request that is not valid."""

    def text(self) -> str:
        """The message as the caller gets it."""
        return f"{self.message} Encoded authorization failure message: {self.encoded}" if self.encoded else self.message


TABLE: Mapping[type[Exception], tuple[str, int]] = {
    errors.ValidationFailed: ("ValidationError", 400),
    errors.NotFound: ("NoSuchEntity", 404),
    errors.AlreadyExists: ("EntityAlreadyExists", 409),
    errors.Conflict: ("ConcurrentModification", 409),
    errors.DeleteConflict: ("DeleteConflict", 409),
    errors.Unmodifiable: ("UnmodifiableEntity", 400),
    errors.InvalidInput: ("InvalidInput", 400),
    errors.InvalidAuthenticationCode: ("InvalidAuthenticationCode", 403),
    errors.InvalidUserType: ("InvalidUserType", 400),
    errors.TemporarilyUnmodifiable: ("EntityTemporarilyUnmodifiable", 409),
    errors.Throttled: ("Throttling", 400),
    errors.PasswordPolicyViolation: ("PasswordPolicyViolation", 400),
    errors.PolicyNotAttachable: ("PolicyNotAttachable", 400),
    errors.ReportMissing: ("ReportNotPresent", 410),
    errors.ReportExpired: ("ReportExpired", 410),
    errors.ReportInProgress: ("ReportInProgress", 404),
    errors.LimitExceeded: ("LimitExceeded", 409),
    errors.MalformedPolicy: ("MalformedPolicyDocument", 400),
    errors.PackedPolicyTooLarge: ("PackedPolicyTooLarge", 400),
    errors.AccessDenied: ("AccessDenied", 403),
    errors.InvalidAuthorizationMessage: ("InvalidAuthorizationMessageException", 400),
    errors.InvalidIdentity: ("InvalidIdentityToken", 400),
    errors.AssertionReplayed: ("InvalidIdentityToken", 400),
    errors.InvalidClientToken: ("InvalidClientTokenId", 403),
    errors.SessionExpired: ("ExpiredToken", 403),
    errors.FeatureEnabled: ("FeatureEnabled", 409),
    errors.FeatureDisabled: ("FeatureDisabled", 404),
    errors.OutboundFederationDisabled: ("OutboundWebIdentityFederationDisabledException", 403),
    errors.SessionDurationEscalation: ("SessionDurationEscalationException", 403),
    errors.TokenTooLarge: ("JWTPayloadSizeExceededException", 400),
    errors.OrganizationMissing: ("OrganizationNotFoundException", 400),
    errors.InvalidLookupAttributes: ("InvalidLookupAttributesException", 400),
    errors.InvalidTimeRange: ("InvalidTimeRangeException", 400),
    errors.InvalidNextToken: ("InvalidNextTokenException", 400),
    errors.InvalidEventCategory: ("InvalidEventCategoryException", 400),
    errors.TrailNotFound: ("TrailNotFoundException", 400),
    errors.InvalidTrailName: ("InvalidTrailNameException", 400),
    errors.AuditUnavailable: ("ServiceUnavailable", 503),
    errors.Unavailable: ("ServiceUnavailable", 503),
    errors.ConfigurationError: ("InternalFailure", 500),
    MissingAction: ("MissingAction", 400),
    InvalidAction: ("InvalidAction", 400),
    UnsupportedOperation: ("UnsupportedOperation", 400),
    MalformedQueryString: ("MalformedQueryString", 404),
    MalformedBody: ("SerializationException", 400),
    InvalidParameter: ("InvalidParameterValue", 400),
    RequestEntityTooLarge: ("RequestEntityTooLarge", 413),
    MissingAuthenticationToken: ("MissingAuthenticationToken", 403),
    IncompleteSignature: ("IncompleteSignature", 400),
    SignatureDoesNotMatch: ("SignatureDoesNotMatch", 403),
    RequestExpired: ("RequestExpired", 400),
    InternalFailure: ("InternalFailure", 500),
    provider_errors.MalformedEvidence: ("InvalidIdentityToken", 400),
    provider_errors.SignatureInvalid: ("InvalidIdentityToken", 400),
    provider_errors.Expired: ("ExpiredTokenException", 400),
    provider_errors.AudienceMismatch: ("InvalidIdentityToken", 400),
    provider_errors.ClaimRejected: ("IDPRejectedClaim", 403),
    provider_errors.SubjectMissing: ("AccessDenied", 403),
    provider_errors.CredentialsRejected: ("AccessDenied", 403),
    provider_errors.ProviderBusy: ("ServiceUnavailable", 503),
    provider_errors.ProviderUnreachable: ("IDPCommunicationError", 400),
}


def wire_error(error: BrokerError | ProviderError) -> WireError:
    """The wire's form of a refusal; of a class without a row, that of the nearest base that has one."""
    code, status = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), TABLE[InternalFailure])
    return WireError(code, error.message, status, status < 500, getattr(error, "encoded", ""))


_INVALID = "ValidationException"

JSON_TABLE: Mapping[type[Exception], tuple[str, int, str]] = {
    errors.ValidationFailed: (_INVALID, 400, "fieldValidationFailed"),
    errors.AccessDenied: ("AccessDeniedException", 403, ""),
    errors.InvalidClientToken: ("UnrecognizedClientException", 403, ""),
    errors.SessionExpired: ("ExpiredTokenException", 403, ""),
    errors.AuditUnavailable: ("ServiceUnavailableException", 503, ""),
    errors.Unavailable: ("ServiceUnavailableException", 503, ""),
    errors.ConfigurationError: ("InternalServerException", 500, ""),
    MalformedQueryString: (_INVALID, 400, "cannotParse"),
    MalformedBody: (_INVALID, 400, "cannotParse"),
    InvalidParameter: (_INVALID, 400, "fieldValidationFailed"),
    RequestEntityTooLarge: ("RequestEntityTooLargeException", 413, ""),
    MissingAuthenticationToken: ("MissingAuthenticationTokenException", 403, ""),
    IncompleteSignature: ("IncompleteSignatureException", 403, ""),
    SignatureDoesNotMatch: ("InvalidSignatureException", 403, ""),
    RequestExpired: ("InvalidSignatureException", 403, ""),
    InternalFailure: ("InternalServerException", 500, ""),
}
"""What the JSON protocols call otherwise: code, status, and the reason of a ValidationException.

Access Analyzer API Reference, "Common errors" and "ValidationException".
"""


def json_error(error: BrokerError | ProviderError) -> WireError:
    """The JSON protocols' form of a refusal; what has no row of its own there is told as elsewhere."""
    wire = wire_error(error)
    row = next((JSON_TABLE[kind] for kind in type(error).__mro__ if kind in JSON_TABLE), None)
    if row is None:
        return wire
    code, status, reason = row
    return WireError(code, wire.message, status, status < 500, wire.encoded, reason)

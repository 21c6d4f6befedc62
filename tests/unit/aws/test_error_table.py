"""The table of errors: a row for every class that can be raised, and the model's statuses where it has any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

import broker.aws.errors
import broker.errors
import providers.errors
from broker.aws.errors import TABLE, InternalFailure, WireError, wire_error
from broker.errors import BrokerError
from providers.errors import ProviderError


def leaves(base: type[Exception]) -> Iterator[type[Exception]]:
    """The classes of the product below ``base`` that nothing inherits from."""
    below = [kind for kind in base.__subclasses__() if kind.__module__.partition(".")[0] in ("broker", "providers")]
    if not below:
        yield base
    for kind in below:
        yield from leaves(kind)


LEAVES = [*leaves(BrokerError), *leaves(ProviderError)]
MODELLED = {
    shape.metadata.get("error", {}).get("code", shape.name): shape.metadata["error"]["httpStatusCode"]
    for service in ("sts", "iam")
    for shape in ServiceModel(Loader().load_service_model(service, "service-2"), service).error_shapes
    if "httpStatusCode" in shape.metadata.get("error", {})
}


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_a_row_for_every_leaf(kind: type[BrokerError] | type[ProviderError]) -> None:
    code, status = TABLE[kind]
    wire = wire_error(kind("A sentence.", detail="kept from the caller"))
    assert wire == WireError(code, "A sentence.", status, status < 500)


def test_no_row_for_anything_else() -> None:
    assert TABLE.keys() == set(LEAVES)


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_the_status_is_the_models(kind: type[Exception]) -> None:
    code, status = TABLE[kind]
    assert status == MODELLED.get(code, status)
    assert 400 <= status < 600


def test_the_models_have_statuses_to_compare() -> None:
    assert len({code for code, _ in TABLE.values()} & MODELLED.keys()) >= 8


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (broker.errors.ValidationFailed, "ValidationError", 400),
        (broker.errors.NotFound, "NoSuchEntity", 404),
        (broker.errors.AlreadyExists, "EntityAlreadyExists", 409),
        (broker.errors.LimitExceeded, "LimitExceeded", 409),
        (broker.errors.MalformedPolicy, "MalformedPolicyDocument", 400),
        (broker.errors.PackedPolicyTooLarge, "PackedPolicyTooLarge", 400),
        (broker.errors.AccessDenied, "AccessDenied", 403),
        (broker.errors.InvalidIdentity, "InvalidIdentityToken", 400),
        (broker.errors.InvalidClientToken, "InvalidClientTokenId", 403),
        (broker.errors.SessionExpired, "ExpiredToken", 403),
        (broker.errors.AuditUnavailable, "ServiceUnavailable", 503),
        (broker.errors.Unavailable, "ServiceUnavailable", 503),
        (broker.aws.errors.MissingAction, "MissingAction", 400),
        (broker.aws.errors.InvalidAction, "InvalidAction", 400),
        (broker.aws.errors.MalformedQueryString, "MalformedQueryString", 404),
        (broker.aws.errors.MissingAuthenticationToken, "MissingAuthenticationToken", 403),
        (broker.aws.errors.IncompleteSignature, "IncompleteSignature", 400),
        (broker.aws.errors.SignatureDoesNotMatch, "SignatureDoesNotMatch", 403),
        (broker.aws.errors.RequestExpired, "RequestExpired", 400),
        (broker.aws.errors.RequestEntityTooLarge, "RequestEntityTooLarge", 413),
        (broker.aws.errors.InternalFailure, "InternalFailure", 500),
        (providers.errors.MalformedEvidence, "InvalidIdentityToken", 400),
        (providers.errors.SignatureInvalid, "InvalidIdentityToken", 400),
        (providers.errors.AudienceMismatch, "InvalidIdentityToken", 400),
        (providers.errors.Expired, "ExpiredTokenException", 400),
        (providers.errors.ClaimRejected, "IDPRejectedClaim", 403),
        (providers.errors.ProviderUnreachable, "IDPCommunicationError", 400),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_code_of_aws(kind: type[Exception], code: str, status: int) -> None:
    """AWS STS and IAM API Reference, "Common errors" and the errors of the operations."""
    assert TABLE[kind] == (code, status)


def test_a_class_without_a_row_is_told_by_its_base_and_at_last_as_our_fault() -> None:
    made = type("Narrower", (InternalFailure,), {"__module__": "tests"})
    assert wire_error(made("x")).code == "InternalFailure"
    unknown = type("Unknown", (BrokerError,), {"__module__": "tests"})
    assert wire_error(unknown("x")) == WireError("InternalFailure", "x", 500, False)

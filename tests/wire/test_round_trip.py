"""Every operation of STS and IAM: botocore writes and we read; we write and botocore reads."""

from __future__ import annotations

from functools import cache

import pytest
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from wire_values import (
    CLASS,
    FORM,
    SAMPLES,
    Values,
    answer_of,
    arguments_of,
    form_of,
    operations,
    plain,
    result_of,
    service_model,
)

from broker.aws.codec.query import compile_input, parse_form
from broker.aws.codec.xml import compile_output, render_error
from broker.aws.model import Service, load_service

REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
SEEDS = range(12)

load = cache(load_service)
every_operation = pytest.mark.parametrize(("service", "name"), operations())


def likelihood(seed: int) -> float:
    """First only what is required, then everything, then something of it."""
    return (0.0, 1.0, 0.5)[seed % 3]


@pytest.mark.parametrize("name", ["sts", "iam"])
def test_the_service_is_botocores(name: str) -> None:
    ours: Service = load(name)
    theirs: ServiceModel = service_model(name)
    assert ours.name == name
    assert (ours.api_version, ours.signing_name) == (theirs.api_version, theirs.signing_name)
    assert ours.xml_namespace == theirs.metadata["xmlNamespace"]
    assert set(ours.operations) == set(theirs.operation_names)


def test_unsigned_operations_are_those_of_the_model() -> None:
    unsigned = {name for name, operation in load("sts").operations.items() if not operation.authenticated}
    assert unsigned == {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
    assert all(operation.authenticated for operation in load("iam").operations.values())


@every_operation
def test_arguments(service: str, name: str) -> None:
    operation = service_model(service).operation_model(name)
    shape = operation.input_shape
    parse = compile_input(load(service).operations[name], {})
    for seed in SEEDS:
        values = {} if shape is None else Values(seed, likelihood=likelihood(seed)).structure(shape)
        parameters = parse_form("", form_of(operation, values), FORM)
        assert parameters["Action"] == name
        assert plain(parse(parameters)) == arguments_of(shape, values)


@every_operation
def test_answers(service: str, name: str) -> None:
    shape = service_model(service).operation_model(name).output_shape
    render = compile_output(load(service).operations[name])
    for seed in SEEDS:
        values = {} if shape is None else Values(seed, likelihood=likelihood(seed)).structure(shape)
        body = render(None if shape is None else result_of(shape, values), REQUEST_ID)
        parsed = create_parser("query").parse({"body": body, "headers": {}, "status_code": 200}, shape)
        metadata = parsed.pop("ResponseMetadata")
        assert metadata["RequestId"] == REQUEST_ID
        assert metadata["HTTPStatusCode"] == 200
        assert parsed == ({} if shape is None else answer_of(shape, values))


@every_operation
def test_errors(service: str, name: str) -> None:
    operation = service_model(service).operation_model(name)
    for shape in operation.error_shapes:
        error = shape.metadata.get("error", {})
        code = error.get("code", shape.name)
        sender = error.get("senderFault", error.get("httpStatusCode", 400) < 500)
        message = f"{name}: <no> & 'ü' \"漢\" \r\n\t \U0001f600"
        body = render_error(code, message, sender, REQUEST_ID, load(service).xml_namespace)
        status = error.get("httpStatusCode", 400)
        parsed = create_parser("query").parse(
            {"body": body, "headers": {}, "status_code": status}, operation.output_shape
        )
        assert parsed["Error"] == {"Type": "Sender" if sender else "Receiver", "Code": code, "Message": message}
        assert parsed["ResponseMetadata"]["RequestId"] == REQUEST_ID


def test_every_pattern_has_samples() -> None:
    """A new botocore may bring patterns that the tests above make no texts for."""
    patterns = {
        shape.metadata["pattern"]
        for model in map(service_model, ("sts", "iam"))
        for shape in map(model.shape_for, model.shape_names)
        if shape.metadata.get("pattern")
    }
    assert {pattern for pattern in patterns if not CLASS.fullmatch(pattern)} <= SAMPLES.keys()

"""Every operation of the table leaves exactly one event for each call, whether it is served or refused, and no event
has what the model calls sensitive, going in or coming out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bad_values import cases
from botocore import xform_name
from botocore.model import OperationModel, Shape
from botocore.parsers import create_parser
from broker_in_process import Answer, BrokerInProcess
from test_fuzz_operations import (
    KNOWN,
    KNOWN_TO,
    MODELS,
    NEEDED,
    OPERATION_NAMES,
    make_what_there_should_be,
    send,
    served_members,
)

from broker.aws.constraints import is_secret

SHORTEST = 6
"""Shorter texts may be in an event by chance."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerInProcess]:
    made = BrokerInProcess(tmp_path_factory.mktemp("recorded") / "data")
    yield made
    made.close()


def secrets_of(shape: Shape | None, value: Any) -> Iterator[str]:
    """The texts within ``value`` that the model calls sensitive."""
    if shape is None or value is None:
        return
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            yield from secrets_of(member, value.get(name))
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from secrets_of(shape.member, item)
    elif is_secret(shape) and isinstance(value, (str, bytes)) and len(value) >= SHORTEST:
        yield value if isinstance(value, str) else value.decode("latin-1")


def given_secrets(operation: OperationModel) -> Iterator[str]:
    known = {**KNOWN, **KNOWN_TO.get(operation.name, {})}
    if operation.input_shape is not None:
        yield from secrets_of(operation.input_shape, {name: known.get(name) for name in operation.input_shape.members})


def answered_secrets(operation: OperationModel, answer: Answer) -> Iterator[str]:
    if answer.status == 200 and operation.output_shape is not None:
        parser = create_parser(operation.service_model.metadata["protocol"])
        response = {"body": answer.body, "headers": {}, "status_code": 200}
        yield from secrets_of(operation.output_shape, parser.parse(response, operation.output_shape))


@pytest.mark.parametrize(("service", "name"), OPERATION_NAMES)
def test_one_event_for_each_call(broker: BrokerInProcess, service: str, name: str) -> None:
    operation = MODELS[service].operation_model(name)
    make_what_there_should_be(broker)
    known = {**KNOWN, **KNOWN_TO.get(name, {})}
    chosen = {case.what: case for case in cases(operation, served_members(operation), known, NEEDED.get(name, ()))}
    kept = [case for what, case in chosen.items() if what == "as it should be" or what.startswith("with ")][:6]
    calls = [*kept, chosen["unknown member"]]
    before = broker.events()
    answers = [send(broker, operation, case) for case in calls]
    new = broker.events()[len(before) :]
    assert [event["requestID"] for event in new] != []
    assert sorted(event["requestID"] for event in new) == sorted(one.headers["x-amzn-RequestId"] for one in answers)
    for answer in answers:
        (event,) = [one for one in new if one["requestID"] == answer.headers["x-amzn-RequestId"]]
        assert event["eventName"] == name
        assert event["eventSource"] == f"{operation.service_model.signing_name}.amazonaws.com"
        assert (event.get("errorCode") or "") == answer.code
        assert {"eventID", "eventTime", "userIdentity", "sourceIPAddress", "requestParameters"} <= event.keys()
        text = json.dumps(event)
        for secret in (*given_secrets(operation), *answered_secrets(operation, answer)):
            assert json.dumps(secret)[1:-1] not in text, (name, secret)
    assert [one for one in answers if one.status >= 400], "one of them has to be refused"


def test_there_are_secrets_to_look_for() -> None:
    given = {name for service, name in OPERATION_NAMES if [*given_secrets(MODELS[service].operation_model(name))]}
    assert {"CreateLoginProfile", "CreateSAMLProvider"} & given
    shown = {
        name
        for service, name in OPERATION_NAMES
        if (shape := MODELS[service].operation_model(name).output_shape) is not None
        and any(is_secret(member) for member in _leaves(shape, 0))
    }
    assert {"AssumeRole", "CreateAccessKey", "CreateVirtualMFADevice"} <= shown
    assert xform_name("SAMLAssertion") == "saml_assertion"


def _leaves(shape: Shape, depth: int) -> Iterator[Shape]:
    if depth > 6:
        return
    if shape.type_name == "structure":
        for member in shape.members.values():
            yield from _leaves(member, depth + 1)
    elif shape.type_name == "list":
        yield from _leaves(shape.member, depth + 1)
    else:
        yield shape

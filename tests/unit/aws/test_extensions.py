"""What we add to AWS's services is well formed and takes the place of nothing that AWS has."""

from __future__ import annotations

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from broker.aws.model import load_extensions, load_service
from broker.aws.operations import OPERATIONS

EXTENSIONS = load_extensions()


@pytest.mark.parametrize("service", EXTENSIONS)
def test_no_name_is_one_of_aws(service: str) -> None:
    theirs = Loader().load_service_model(service, "service-2")
    extension = EXTENSIONS[service]
    assert extension.keys() == {"operations", "shapes"}
    assert not extension["operations"].keys() & theirs["operations"].keys()
    assert not extension["shapes"].keys() & theirs["shapes"].keys()


@pytest.mark.parametrize("service", EXTENSIONS)
def test_every_shape_is_there_and_used(service: str) -> None:
    theirs, extension = Loader().load_service_model(service, "service-2"), EXTENSIONS[service]
    merged = {**theirs, **{part: {**theirs[part], **found} for part, found in extension.items()}}
    model = ServiceModel(merged, service)
    seen: set[str] = set()
    waiting = []
    for name in extension["operations"]:
        operation = model.operation_model(name)
        answers = [] if operation.output_shape is None else [operation.output_shape]
        waiting += [operation.input_shape, *answers, *operation.error_shapes]
    while waiting:
        shape = waiting.pop()
        if shape.name not in seen:
            seen.add(shape.name)
            waiting += shape.members.values() if shape.type_name == "structure" else []
            waiting += [shape.member] if shape.type_name == "list" else []
    assert extension["shapes"].keys() <= seen


@pytest.mark.parametrize("service", EXTENSIONS)
def test_every_operation_is_served_and_signed(service: str) -> None:
    assert not EXTENSIONS[service]["operations"].keys() & load_service(service).operations.keys()
    operations = load_service(service, EXTENSIONS[service]).operations
    for name in EXTENSIONS[service]["operations"]:
        assert name in OPERATIONS[service]
        assert operations[name].authenticated is (name != "AssumeRoleWithLDAPIdentity")
        answers = operations[name].output_shape is not None
        assert operations[name].result_wrapper == (f"{name}Result" if answers else None)

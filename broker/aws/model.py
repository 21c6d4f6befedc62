"""The AWS services' own models, as botocore ships them: names, shapes, constraints, errors.

What AWS lacks is described in ``extensions.json``, in the same format: service -> operations and shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

__all__ = ["Extension", "Operation", "Service", "Shape", "load_extensions", "load_service", "wire_name"]

Extension = Mapping[str, Mapping[str, Any]]
"""``operations`` and ``shapes`` that a service has with us alone."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service. ``result_wrapper`` is the element around the members of the answer.

    ``method`` and ``path`` tell operations of the rest-json protocol apart; all of the query protocol have the same.
    """

    name: str
    namespace: str
    authenticated: bool
    input_shape: Any
    output_shape: Any
    result_wrapper: str | None
    method: str = "POST"
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Service:
    """One service of one API version."""

    name: str
    protocol: str
    api_version: str
    xml_namespace: str
    signing_name: str
    operations: Mapping[str, Operation]
    target_prefix: str = ""
    """In the JSON protocol, what stands before the operation's name in ``X-Amz-Target``."""


def load_extensions() -> Mapping[str, Extension]:
    """Service -> what we add to it."""
    found: Mapping[str, Extension] = json.loads(Path(__file__).with_name("extensions.json").read_text("utf-8"))
    return found


def load_service(name: str, extension: Extension | None = None) -> Service:
    """The model of ``name`` (``sts``, ``iam``) in botocore's newest version of it, with our operations added.

    Not by ``Loader.load_service_model``, which first lists all the 400 services: a quarter of a second, cold.
    """
    loader = Loader()
    version = max(loader.list_api_versions(name, "service-2"))
    data = loader.load_data(f"{name}/{version}/service-2")
    added = {part: {**data[part], **found} for part, found in (extension or {}).items()}
    model = ServiceModel({**data, **added}, name)
    namespace = model.metadata.get("xmlNamespace", "")
    operations = {item: _operation(model.operation_model(item), namespace) for item in model.operation_names}
    protocol, prefix = model.metadata["protocol"], model.metadata.get("targetPrefix", "")
    return Service(name, protocol, model.api_version, namespace, model.signing_name, operations, prefix)


def wire_name(name: str, shape: Any) -> str:
    """How the member ``name`` is called on the wire: a flattened list by the name of its members, if they have one."""
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        name = shape.member.serialization.get("name", name)
    return str(shape.serialization.get("name", name))


def _operation(model: OperationModel, namespace: str) -> Operation:
    output = model.output_shape
    return Operation(
        name=model.name,
        namespace=namespace,
        authenticated=model.auth_type != "none",
        input_shape=model.input_shape,
        output_shape=output,
        result_wrapper=output.serialization.get("resultWrapper") if output is not None else None,
        method=model.http["method"],
        path=model.http["requestUri"],
    )

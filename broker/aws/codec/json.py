"""The AWS JSON 1.1 protocol, both ways: all members are in the body, the operation is named by a header.

Smithy specification, "AWS JSON 1.1 protocol". Shapes are read and written as in ``restjson``.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from botocore import xform_name

from broker.aws.codec.query import Structures
from broker.aws.codec.restjson import Compiler, Field, Renderer, RestRequest, read_json, read_members
from broker.aws.constraints import Problems, missing, raise_problems
from broker.aws.errors import WireError
from broker.aws.model import Operation

CONTENT_TYPE = "application/x-amz-json-1.1"


def compile_input(operation: Operation, structures: Structures) -> Callable[[RestRequest], dict[str, object]]:
    """The operation's parser; it raises what that of ``restjson`` raises. A query string has nothing to say here."""
    compiler = Compiler(structures)
    shape = operation.input_shape
    members = shape.members if shape is not None else {}
    fields: dict[str, Field] = {
        str(member.serialization.get("name", name)): (xform_name(name), name, compiler.parser(member))
        for name, member in members.items()
    }
    required = [(xform_name(name), name) for name in (shape.required_members if shape is not None else ())]

    def parse(request: RestRequest) -> dict[str, object]:
        problems: Problems = []
        document = read_json(request.body, request.content_type, CONTENT_TYPE)
        arguments = read_members(fields, document, operation.name, problems)
        problems.extend(missing(path) for name, path in required if name not in arguments)
        raise_problems(problems)
        return arguments

    return parse


def compile_output(operation: Operation) -> Callable[[object, str], bytes]:
    """The operation's renderer; the request id, its second argument, is a header's business in this protocol."""
    plain = Renderer().plain(operation.output_shape) if operation.output_shape is not None else None

    def render(result: object, _request_id: str) -> bytes:
        return json.dumps(plain(result) if plain is not None else {}).encode()

    return render


def render_error(error: WireError) -> bytes:
    """The body of a refusal."""
    return json.dumps({"__type": error.code, "message": error.text()}).encode()

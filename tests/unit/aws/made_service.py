"""A service of the query protocol with everything that STS and IAM happen not to use."""

from __future__ import annotations

from botocore.model import ServiceModel

from broker.aws.model import Operation

MEMBERS = (
    *("Text", "Secret", "Hidden", "Few", "Word", "Both", "Colour", "Number", "Count", "Big", "Flag", "When", "Bytes"),
    *("Texts", "Any", "Named", "Flat", "Matrix", "Counts", "NamedMap", "FlatMap", "Pair", "Pairs", "Tree"),
)


def text(**traits: object) -> dict[str, object]:
    return {"type": "string", **traits}


SHAPES: dict[str, object] = {
    "Text": text(),
    "Secret": text(sensitive=True),
    "Hidden": text(sensitive=True, min=3, max=5, pattern="[a-z]*"),
    "Few": text(min=2, max=4),
    "Word": text(pattern="[\\w]+"),
    "Both": text(min=2, max=4, pattern="[ab]*"),
    "Colour": text(enum=["red", "green"]),
    "Number": {"type": "integer", "min": -5, "max": 10},
    "Count": {"type": "integer"},
    "Big": {"type": "long"},
    "Flag": {"type": "boolean"},
    "When": {"type": "timestamp"},
    "Bytes": {"type": "blob", "min": 1, "max": 4},
    "Texts": {"type": "list", "member": {"shape": "Text"}, "min": 1, "max": 3},
    "Any": {"type": "list", "member": {"shape": "Text"}},
    "Named": {"type": "list", "member": {"shape": "Text", "locationName": "Item"}},
    "Flat": {"type": "list", "flattened": True, "member": {"shape": "Few"}},
    "FlatNamed": {"type": "list", "flattened": True, "member": {"shape": "Text", "locationName": "Leaf"}},
    "Matrix": {"type": "list", "member": {"shape": "Any"}},
    "Counts": {"type": "map", "key": {"shape": "Few"}, "value": {"shape": "Number"}, "max": 2},
    "NamedMap": {
        "type": "map",
        "key": {"shape": "Text", "locationName": "Name"},
        "value": {"shape": "Text", "locationName": "Value"},
    },
    "FlatMap": {"type": "map", "flattened": True, "key": {"shape": "Text"}, "value": {"shape": "Text"}},
    "Pair": {
        "type": "structure",
        "required": ["Key"],
        "members": {"Key": {"shape": "Few"}, "Value": {"shape": "Secret"}},
    },
    "Pairs": {"type": "list", "member": {"shape": "Pair"}},
    "Tree": {"type": "structure", "members": {"Name": {"shape": "Text"}, "Children": {"shape": "Trees"}}},
    "Trees": {"type": "list", "member": {"shape": "Tree"}},
    "All": {
        "type": "structure",
        "members": {
            name: {"shape": name} for name in MEMBERS
        }
        | {"Renamed": {"shape": "Text", "locationName": "OnTheWire"}, "LeavesABC": {"shape": "FlatNamed"}},
    },
    "Required": {"type": "structure", "required": ["Text", "Pairs"], "members": {
        "Text": {"shape": "Text"}, "Pairs": {"shape": "Pairs"}}},
}  # fmt: skip

MODEL = ServiceModel(
    {
        "metadata": {
            "apiVersion": "2026-01-01",
            "protocol": "query",
            "endpointPrefix": "made",
            "serviceId": "made",
            "xmlNamespace": "https://made.example/",
        },
        "operations": {
            name: {"name": name, "http": {"method": "POST", "requestUri": "/"}} | shapes
            for name, shapes in {
                "Do": {"input": {"shape": "All"}, "output": {"shape": "All", "resultWrapper": "DoResult"}},
                "Need": {"input": {"shape": "Required"}},
                "Nothing": {},
            }.items()
        },
        "shapes": SHAPES,
    },
    "made",
)


def operation(name: str) -> Operation:
    """An operation in our form."""
    model = MODEL.operation_model(name)
    wrapper = "DoResult" if name == "Do" else None
    return Operation(name, "https://made.example/", True, model.input_shape, model.output_shape, wrapper)

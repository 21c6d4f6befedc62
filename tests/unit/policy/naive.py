"""A naive evaluator: walks the JSON again for every request, uses regular expressions, shares no code with the product.

It is the second opinion of the differential tests. Documents are assumed to follow the grammar.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from datetime import UTC, datetime
from fractions import Fraction

UNRESOLVED = object()


def listed(value):
    return value if isinstance(value, list) else [value]


def text(value):
    return json.dumps(value) if isinstance(value, bool) else str(value)


def pattern(value, ctx, *, variables, wildcards=True):
    """A regular expression for a policy value, or UNRESOLVED."""
    out, at = "", 0
    while at < len(value):
        if variables and (found := re.match(r"\$\{([^}]*)\}", value[at:])):
            name, _, default = found[1].partition(",")
            if name in "*?$":
                out += re.escape(name)
            else:
                known = ctx.get(name.strip().lower(), ())
                if len(known) == 1:
                    out += re.escape(known[0])
                elif default:
                    out += re.escape(default.strip()[1:-1])
                else:
                    return UNRESOLVED
            at += found.end()
            continue
        character = value[at]
        out += {"*": ".*", "?": "."}.get(character, re.escape(character)) if wildcards else re.escape(character)
        at += 1
    return out


def like(value, given, ctx, *, variables=True, wildcards=True, flags=0):
    expression = pattern(value, ctx, variables=variables, wildcards=wildcards)
    return expression is not UNRESOLVED and re.fullmatch(expression, given, re.DOTALL | flags) is not None


def arn_like(value, given, ctx, variables):
    parts = given.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        return False
    if variables and re.fullmatch(r"\$\{[^}*?$]+\}", value):
        return like(value, given, ctx)
    wanted, depth = [""], 0
    for index, character in enumerate(value):
        depth += variables and value[index : index + 2] == "${"
        if character == ":" and not depth and len(wanted) < 6:
            wanted.append("")
            continue
        depth -= bool(depth) and character == "}"
        wanted[-1] += character
    return all(like(w, g, ctx, variables=variables) for w, g in zip(wanted, parts, strict=True))


def number(value):
    if not re.fullmatch(r"[+-]?\d{1,50}(\.\d{1,50})?([eE][+-]?\d{1,3})?", value, re.ASCII):
        raise ValueError
    return Fraction(value)


def date(value):
    if re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", value, re.ASCII):
        return Fraction(value)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        value += "T00:00:00Z"
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return Fraction((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def boolean(value):
    return {"true": True, "false": False}[value.lower()]


def network(value):
    found = ipaddress.ip_network(value, strict=False)
    if found.version == 6 and found.network_address.ipv4_mapped and found.prefixlen >= 96:
        return ipaddress.ip_network(f"{found.network_address.ipv4_mapped}/{found.prefixlen - 96}")
    return found


def in_network(value, given):
    address, block = network(str(ipaddress.ip_address(given))), network(value)
    return address.version == block.version and address.subnet_of(block)


def test_one(operator, value, given, ctx, variables):
    """Whether one request value matches one policy value under the positive form of the operator."""
    family = operator.replace("Not", "")
    if family == "StringEquals":
        return like(value, given, ctx, variables=variables, wildcards=False)
    if family == "StringEqualsIgnoreCase":
        return like(value, given, ctx, variables=variables, wildcards=False, flags=re.IGNORECASE)
    if family == "StringLike":
        return like(value, given, ctx, variables=variables)
    if family in ("ArnEquals", "ArnLike"):
        return arn_like(value, given, ctx, variables)
    if family == "IpAddress":
        return in_network(value, given)
    if family == "Bool":
        return boolean(value) == boolean(given)
    if family == "BinaryEquals":
        return base64.b64decode(value, validate=True) == base64.b64decode(given, validate=True)
    read = number if family.startswith("Numeric") else date
    left, right = read(given), read(value)
    return {
        "Equals": left == right,
        "LessThan": left < right,
        "LessThanEquals": left <= right,
        "GreaterThan": left > right,
        "GreaterThanEquals": left >= right,
    }[family.removeprefix("Numeric").removeprefix("Date")]


def condition_holds(written, key, wanted, ctx, variables, deny):
    given = ctx.get(key.lower(), ())
    wanted = [text(value) for value in listed(wanted)]
    quantifier, _, operator = written.rpartition(":")
    if operator == "Null":
        return any((given in ((), ("",))) == boolean(value) for value in wanted)
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    negated = "Not" in operator
    if not given or (quantifier and given == ("",)):
        return if_exists or quantifier == "ForAllValues" or (negated and not quantifier)
    try:
        table = [[test_one(operator, value, one, ctx, variables) for value in wanted] for one in given]
    except (ValueError, KeyError):
        return deny
    rows = [any(row) for row in table]
    if quantifier == "ForAllValues":
        return all(row != negated for row in rows)
    if quantifier == "ForAnyValue":
        return any(row != negated for row in rows)
    return any(rows) != negated


def applies(statement, request, ctx, variables):
    action = request.action.lower()
    listed_action = any(
        like(value.lower(), action, ctx, variables=False)
        for value in listed(statement.get("Action", statement.get("NotAction")))
    )
    if listed_action != ("Action" in statement):
        return False
    if "NotResource" in statement:
        expressions = [pattern(value, ctx, variables=variables) for value in listed(statement["NotResource"])]
        if UNRESOLVED in expressions or any(re.fullmatch(e, request.resource, re.DOTALL) for e in expressions):
            return False
    elif not any(
        like(value, request.resource, ctx, variables=variables) for value in listed(statement.get("Resource", "*"))
    ):
        return False
    return all(
        condition_holds(operator, key, wanted, ctx, variables, statement["Effect"] == "Deny")
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def matching(document, effect, request):
    """The statements of a policy text that apply to the request with this effect, whoever asks."""
    policy = json.loads(document)
    variables = policy.get("Version") == "2012-10-17"
    ctx = {key.lower(): value for key, value in request.context.items()}
    return [
        statement
        for statement in listed(policy["Statement"])
        if statement["Effect"] == effect and applies(statement, request, ctx, variables)
    ]


def named(principals):
    return {kind: listed(values) for kind, values in ({"AWS": "*"} if principals == "*" else principals).items()}


def worth(statement, principal):
    """0 not named, 1 the account, 2 the role, 3 the principal itself (no external identities here)."""
    names = named(statement["Principal"]).get("AWS", [])
    account = principal.account
    if "*" in names or principal.arn in names:
        return 3
    if principal.kind == "IAMUser" and principal.unique_id in names:
        return 3
    if principal.role_arn is not None and (principal.role_arn in names or principal.role_id in names):
        return 2
    return int(account in names or f"arn:aws:iam::{account}:root" in names)


def decide(request, *, identity=(), resource=None, trust=False, boundary=None, session=None):
    """``deny``, ``allow`` or ``implicit`` for a user or a role session."""
    principal = request.principal
    for document in (*identity, *([boundary] if boundary else []), *(session or ())):
        if matching(document, "Deny", request):
            return "deny"
    grant = 0
    if resource:
        if any(worth(statement, principal) for statement in matching(resource, "Deny", request)):
            return "deny"
        grant = max([worth(statement, principal) for statement in matching(resource, "Allow", request)], default=0)
    same = principal.account == request.resource_account
    if grant == 0 and (trust or not same):
        return "implicit"
    if same and grant == 3:
        return "allow"
    allowed = any(matching(document, "Allow", request) for document in identity) or (same and grant == 2)
    if boundary:
        allowed = allowed and bool(matching(boundary, "Allow", request))
    if session is not None:
        allowed = allowed and any(matching(document, "Allow", request) for document in session)
    return "allow" if allowed else "implicit"

"""Which condition keys policies ask for: IAM's ``GetContextKeysFor…`` operations, and what a simulation lacked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from broker.authorization import authorize
from broker.iam.policy_inputs import compile_inputs
from broker.iam.simulated_principals import live_entity
from broker.policy.document import PolicyDocument, PolicyKind, Statement
from broker.policy.evaluate import PolicySource
from broker.services import Caller, Services

# In a document that follows the grammar; the escapes ${*}, ${?} and ${$} name no key.
_VARIABLE = re.compile(r"\$\{([^*?$,'{}]+)")


@dataclass(frozen=True, slots=True)
class ContextKeys:
    """IAM ``GetContextKeysForPolicyResponse``."""

    context_key_names: tuple[str, ...]


def get_context_keys_for_custom_policy(
    services: Services, caller: Caller, *, policy_input_list: Sequence[str]
) -> ContextKeys:
    """The keys that the documents ask for (AWS IAM GetContextKeysForCustomPolicy). Raises MalformedPolicy."""
    authorize(services, caller, "iam:GetContextKeysForCustomPolicy", "*")
    return _answer(compile_inputs("PolicyInputList", policy_input_list, PolicyKind.IDENTITY))


def get_context_keys_for_principal_policy(
    services: Services, caller: Caller, *, policy_source_arn: str, policy_input_list: Sequence[str] = ()
) -> ContextKeys:
    """The keys that the policies of a user or role, and the documents, ask for (AWS IAM
    GetContextKeysForPrincipalPolicy). Raises NotFound, MalformedPolicy."""
    identity = authorize(services, caller, "iam:GetContextKeysForPrincipalPolicy", policy_source_arn)
    inputs = compile_inputs("PolicyInputList", policy_input_list, PolicyKind.IDENTITY)
    simulated = live_entity(services, identity.principal.account, policy_source_arn)
    return _answer((*simulated.policies, *inputs))


def _answer(sources: Iterable[PolicySource]) -> ContextKeys:
    found = (key for source in sources for key in document_keys(source.policy.document))
    return ContextKeys(unique_keys(found))


def unique_keys(keys: Iterable[str]) -> tuple[str, ...]:
    """The keys as they were written first, sorted, once each: case is no difference."""
    first: dict[str, str] = {}
    for key in keys:
        first.setdefault(key.lower(), key)
    return tuple(first[folded] for folded in sorted(first))


def document_keys(document: PolicyDocument) -> Iterator[str]:
    """Every key of the document, as written: of conditions, and of variables anywhere."""
    for statement in document.statements:
        yield from resource_keys(statement, variables=document.variables)
        yield from condition_keys(statement, variables=document.variables)


def resource_keys(statement: Statement, *, variables: bool) -> Iterator[str]:
    """The variables in the statement's resources; there are none in version 2008-10-17."""
    if variables:
        yield from _variables(statement.resources)


def condition_keys(statement: Statement, *, variables: bool) -> Iterator[str]:
    """The keys of the statement's conditions and the variables in their values."""
    for condition in statement.conditions:
        yield condition.key
        if variables:
            yield from _variables(condition.values)


def _variables(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if "${" in text:
            yield from (match[1].strip() for match in _VARIABLE.finditer(text))

"""Every operation that is served: the feature list of the AWS interface.

An operation is a plain typed function; what it takes and answers is the service model's business. A parameter of the
model that the function does not take is refused by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from botocore import xform_name

from broker.analysis.validate_policy import validate_policy
from broker.aws.codec import query, restjson, xml
from broker.aws.errors import InvalidParameter
from broker.aws.model import Operation, Service, load_extensions, load_service
from broker.domain.session import PolicyDescriptor, Tag
from broker.iam.account_summary import (
    get_account_summary,
)
from broker.iam.authorization_details import (
    get_account_authorization_details,
)
from broker.iam.context_keys import get_context_keys_for_custom_policy, get_context_keys_for_principal_policy
from broker.iam.group_policies import (
    attach_group_policy,
    delete_group_policy,
    detach_group_policy,
    get_group_policy,
    list_attached_group_policies,
    list_group_policies,
    put_group_policy,
)
from broker.iam.groups import create_group, delete_group, get_group, list_groups, update_group
from broker.iam.instance_profile_roles import (
    add_role_to_instance_profile,
    list_instance_profiles_for_role,
    remove_role_from_instance_profile,
)
from broker.iam.instance_profiles import (
    create_instance_profile,
    delete_instance_profile,
    get_instance_profile,
    list_instance_profile_tags,
    list_instance_profiles,
    tag_instance_profile,
    untag_instance_profile,
)
from broker.iam.managed_policies import (
    create_policy,
    delete_policy,
    get_policy,
    list_policies,
    list_policy_tags,
    tag_policy,
    untag_policy,
)
from broker.iam.memberships import add_user_to_group, list_groups_for_user, remove_user_from_group
from broker.iam.outbound_federation import (
    disable_outbound_web_identity_federation,
    enable_outbound_web_identity_federation,
    get_outbound_web_identity_federation_info,
)
from broker.iam.policy_entities import (
    list_entities_for_policy,
)
from broker.iam.policy_versions import (
    create_policy_version,
    delete_policy_version,
    get_policy_version,
    list_policy_versions,
    set_default_policy_version,
)
from broker.iam.role_policies import (
    attach_role_policy,
    delete_role_policy,
    detach_role_policy,
    get_role_policy,
    list_attached_role_policies,
    list_role_policies,
    put_role_policy,
)
from broker.iam.roles import (
    create_role,
    delete_role,
    delete_role_permissions_boundary,
    get_role,
    list_role_tags,
    list_roles,
    put_role_permissions_boundary,
    tag_role,
    untag_role,
    update_role,
    update_role_description,
)
from broker.iam.service_access import (
    list_policies_granting_service_access,
)
from broker.iam.service_linked_roles import (
    create_service_linked_role,
    delete_service_linked_role,
    get_service_linked_role_deletion_status,
)
from broker.iam.simulate import simulate_custom_policy, simulate_principal_policy
from broker.iam.simulate_trust import simulate_trust_policy
from broker.iam.trust_policies import (
    update_assume_role_policy,
)
from broker.iam.user_policies import (
    attach_user_policy,
    delete_user_policy,
    detach_user_policy,
    get_user_policy,
    list_attached_user_policies,
    list_user_policies,
    put_user_policy,
)
from broker.iam.users import (
    create_user,
    delete_user,
    delete_user_permissions_boundary,
    get_user,
    list_user_tags,
    list_users,
    put_user_permissions_boundary,
    tag_user,
    untag_user,
    update_user,
)
from broker.sts.assume_role import assume_role
from broker.sts.federation import assume_role_with_web_identity
from broker.sts.identity import decode_authorization_message, get_access_key_info, get_caller_identity
from broker.sts.tokens import get_web_identity_token
from broker.sts.user_sessions import get_federation_token, get_session_token


class Effect(Enum):
    """What a successful call does, which decides when its audit record must be on disk.

    A change writes its own record, in the transaction that makes it (``broker.iam.changes``).
    """

    READ = "read"
    ISSUE = "issue"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Entry:
    handler: Callable[..., object]
    effect: Effect


OPERATIONS: Mapping[str, Mapping[str, Entry]] = {
    "accessanalyzer": {
        "ValidatePolicy": Entry(validate_policy, Effect.READ),
    },
    "sts": {
        "AssumeRole": Entry(assume_role, Effect.ISSUE),
        "AssumeRoleWithWebIdentity": Entry(assume_role_with_web_identity, Effect.ISSUE),
        "DecodeAuthorizationMessage": Entry(decode_authorization_message, Effect.READ),
        "GetAccessKeyInfo": Entry(get_access_key_info, Effect.READ),
        "GetCallerIdentity": Entry(get_caller_identity, Effect.READ),
        "GetFederationToken": Entry(get_federation_token, Effect.ISSUE),
        "GetSessionToken": Entry(get_session_token, Effect.ISSUE),
        "GetWebIdentityToken": Entry(get_web_identity_token, Effect.ISSUE),
    },
    "iam": {
        "AddRoleToInstanceProfile": Entry(add_role_to_instance_profile, Effect.CHANGE),
        "AddUserToGroup": Entry(add_user_to_group, Effect.CHANGE),
        "AttachGroupPolicy": Entry(attach_group_policy, Effect.CHANGE),
        "AttachRolePolicy": Entry(attach_role_policy, Effect.CHANGE),
        "AttachUserPolicy": Entry(attach_user_policy, Effect.CHANGE),
        "CreateGroup": Entry(create_group, Effect.CHANGE),
        "CreateInstanceProfile": Entry(create_instance_profile, Effect.CHANGE),
        "CreatePolicy": Entry(create_policy, Effect.CHANGE),
        "CreatePolicyVersion": Entry(create_policy_version, Effect.CHANGE),
        "CreateRole": Entry(create_role, Effect.CHANGE),
        "CreateServiceLinkedRole": Entry(create_service_linked_role, Effect.CHANGE),
        "CreateUser": Entry(create_user, Effect.CHANGE),
        "DeleteGroup": Entry(delete_group, Effect.CHANGE),
        "DeleteGroupPolicy": Entry(delete_group_policy, Effect.CHANGE),
        "DeleteInstanceProfile": Entry(delete_instance_profile, Effect.CHANGE),
        "DeletePolicy": Entry(delete_policy, Effect.CHANGE),
        "DeletePolicyVersion": Entry(delete_policy_version, Effect.CHANGE),
        "DeleteRole": Entry(delete_role, Effect.CHANGE),
        "DeleteRolePermissionsBoundary": Entry(delete_role_permissions_boundary, Effect.CHANGE),
        "DeleteRolePolicy": Entry(delete_role_policy, Effect.CHANGE),
        "DeleteServiceLinkedRole": Entry(delete_service_linked_role, Effect.CHANGE),
        "DeleteUser": Entry(delete_user, Effect.CHANGE),
        "DeleteUserPermissionsBoundary": Entry(delete_user_permissions_boundary, Effect.CHANGE),
        "DeleteUserPolicy": Entry(delete_user_policy, Effect.CHANGE),
        "DetachGroupPolicy": Entry(detach_group_policy, Effect.CHANGE),
        "DetachRolePolicy": Entry(detach_role_policy, Effect.CHANGE),
        "DetachUserPolicy": Entry(detach_user_policy, Effect.CHANGE),
        "DisableOutboundWebIdentityFederation": Entry(disable_outbound_web_identity_federation, Effect.CHANGE),
        "EnableOutboundWebIdentityFederation": Entry(enable_outbound_web_identity_federation, Effect.CHANGE),
        "GetAccountAuthorizationDetails": Entry(get_account_authorization_details, Effect.READ),
        "GetAccountSummary": Entry(get_account_summary, Effect.READ),
        "GetContextKeysForCustomPolicy": Entry(get_context_keys_for_custom_policy, Effect.READ),
        "GetContextKeysForPrincipalPolicy": Entry(get_context_keys_for_principal_policy, Effect.READ),
        "GetGroup": Entry(get_group, Effect.READ),
        "GetGroupPolicy": Entry(get_group_policy, Effect.READ),
        "GetInstanceProfile": Entry(get_instance_profile, Effect.READ),
        "GetOutboundWebIdentityFederationInfo": Entry(get_outbound_web_identity_federation_info, Effect.READ),
        "GetPolicy": Entry(get_policy, Effect.READ),
        "GetPolicyVersion": Entry(get_policy_version, Effect.READ),
        "GetRole": Entry(get_role, Effect.READ),
        "GetRolePolicy": Entry(get_role_policy, Effect.READ),
        "GetServiceLinkedRoleDeletionStatus": Entry(get_service_linked_role_deletion_status, Effect.READ),
        "GetUser": Entry(get_user, Effect.READ),
        "GetUserPolicy": Entry(get_user_policy, Effect.READ),
        "ListAttachedGroupPolicies": Entry(list_attached_group_policies, Effect.READ),
        "ListAttachedRolePolicies": Entry(list_attached_role_policies, Effect.READ),
        "ListAttachedUserPolicies": Entry(list_attached_user_policies, Effect.READ),
        "ListEntitiesForPolicy": Entry(list_entities_for_policy, Effect.READ),
        "ListGroupPolicies": Entry(list_group_policies, Effect.READ),
        "ListGroups": Entry(list_groups, Effect.READ),
        "ListGroupsForUser": Entry(list_groups_for_user, Effect.READ),
        "ListInstanceProfileTags": Entry(list_instance_profile_tags, Effect.READ),
        "ListInstanceProfiles": Entry(list_instance_profiles, Effect.READ),
        "ListInstanceProfilesForRole": Entry(list_instance_profiles_for_role, Effect.READ),
        "ListPolicies": Entry(list_policies, Effect.READ),
        "ListPoliciesGrantingServiceAccess": Entry(list_policies_granting_service_access, Effect.READ),
        "ListPolicyTags": Entry(list_policy_tags, Effect.READ),
        "ListPolicyVersions": Entry(list_policy_versions, Effect.READ),
        "ListRolePolicies": Entry(list_role_policies, Effect.READ),
        "ListRoleTags": Entry(list_role_tags, Effect.READ),
        "ListRoles": Entry(list_roles, Effect.READ),
        "ListUserPolicies": Entry(list_user_policies, Effect.READ),
        "ListUserTags": Entry(list_user_tags, Effect.READ),
        "ListUsers": Entry(list_users, Effect.READ),
        "PutGroupPolicy": Entry(put_group_policy, Effect.CHANGE),
        "PutRolePermissionsBoundary": Entry(put_role_permissions_boundary, Effect.CHANGE),
        "PutRolePolicy": Entry(put_role_policy, Effect.CHANGE),
        "PutUserPermissionsBoundary": Entry(put_user_permissions_boundary, Effect.CHANGE),
        "PutUserPolicy": Entry(put_user_policy, Effect.CHANGE),
        "RemoveRoleFromInstanceProfile": Entry(remove_role_from_instance_profile, Effect.CHANGE),
        "RemoveUserFromGroup": Entry(remove_user_from_group, Effect.CHANGE),
        "SetDefaultPolicyVersion": Entry(set_default_policy_version, Effect.CHANGE),
        "SimulateCustomPolicy": Entry(simulate_custom_policy, Effect.READ),
        "SimulatePrincipalPolicy": Entry(simulate_principal_policy, Effect.READ),
        "SimulateTrustPolicy": Entry(simulate_trust_policy, Effect.READ),
        "TagInstanceProfile": Entry(tag_instance_profile, Effect.CHANGE),
        "TagPolicy": Entry(tag_policy, Effect.CHANGE),
        "TagRole": Entry(tag_role, Effect.CHANGE),
        "TagUser": Entry(tag_user, Effect.CHANGE),
        "UntagInstanceProfile": Entry(untag_instance_profile, Effect.CHANGE),
        "UntagPolicy": Entry(untag_policy, Effect.CHANGE),
        "UntagRole": Entry(untag_role, Effect.CHANGE),
        "UntagUser": Entry(untag_user, Effect.CHANGE),
        "UpdateAssumeRolePolicy": Entry(update_assume_role_policy, Effect.CHANGE),
        "UpdateGroup": Entry(update_group, Effect.CHANGE),
        "UpdateRole": Entry(update_role, Effect.CHANGE),
        "UpdateRoleDescription": Entry(update_role_description, Effect.CHANGE),
        "UpdateUser": Entry(update_user, Effect.CHANGE),
    },
}

STRUCTURES: Mapping[str, Callable[..., object]] = {"Tag": Tag, "PolicyDescriptorType": PolicyDescriptor}
"""Shapes that arrive as one of our types."""

_CODECS: Mapping[str, tuple[Callable[..., Any], Callable[[Operation], Callable[[object, str], bytes]]]] = {
    "query": (query.compile_input, xml.compile_output),
    "rest-json": (restjson.compile_input, restjson.compile_output),
}
"""Protocol of a service model -> compilers of an operation's input and output."""


@dataclass(frozen=True, slots=True)
class Served:
    """An operation ready to be called."""

    name: str
    service: str
    event_source: str
    namespace: str
    method: str
    path: str
    authenticated: bool
    effect: Effect
    handler: Callable[..., object]
    parse: Callable[[Any], dict[str, object]]
    """Of what the protocol has read: the parameters of a form, or a ``RestRequest``."""
    render: Callable[[object, str], bytes]
    refused: Mapping[str, str]
    """Argument -> parameter of the model, where the handler does not take it."""

    def arguments(self, parameters: Any) -> dict[str, object]:
        """The handler's arguments. Raises ValidationFailed, InvalidParameter, and what the protocol's parser raises."""
        found = self.parse(parameters)
        if self.refused and (refused := found.keys() & self.refused.keys()):
            raise InvalidParameter(f"The parameter {self.refused[min(refused)]} of {self.name} is not supported.")
        return found


@dataclass(frozen=True, slots=True)
class Api:
    """One version of one service: what is served of it, and what else its model has."""

    protocol: str
    version: str
    namespace: str
    served: Mapping[str, Served]
    known: frozenset[str]


def load_apis() -> list[Api]:
    """Everything that is served, compiled."""
    extensions = load_extensions()
    return [_load_api(load_service(name, extensions.get(name)), entries) for name, entries in OPERATIONS.items()]


def _load_api(service: Service, entries: Mapping[str, Entry]) -> Api:
    served = {action: _serve(service, service.operations[action], entry) for action, entry in entries.items()}
    return Api(service.protocol, service.api_version, service.xml_namespace, served, frozenset(service.operations))


def _refused(operation: Operation, entry: Entry) -> dict[str, str]:
    taken = inspect.signature(entry.handler).parameters
    members = operation.input_shape.members if operation.input_shape is not None else {}
    return {xform_name(name): name for name in members if xform_name(name) not in taken}


def _serve(service: Service, operation: Operation, entry: Entry) -> Served:
    compile_input, compile_output = _CODECS[service.protocol]
    return Served(
        name=operation.name,
        service=service.signing_name,
        event_source=f"{service.signing_name}.amazonaws.com",
        namespace=service.xml_namespace,
        method=operation.method,
        path=operation.path,
        authenticated=operation.authenticated,
        effect=entry.effect,
        handler=entry.handler,
        parse=compile_input(operation, STRUCTURES),
        render=compile_output(operation),
        refused=_refused(operation, entry),
    )

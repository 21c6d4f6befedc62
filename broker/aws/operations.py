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

from broker.analysis.policy_generation import (
    CloudTrailDetails,
    PolicyGenerationDetails,
    cancel_policy_generation,
    get_generated_policy,
    list_policy_generations,
    start_policy_generation,
)
from broker.analysis.validate_policy import validate_policy
from broker.aws.codec import json, query, restjson, xml
from broker.aws.errors import InvalidParameter
from broker.aws.model import Operation, Service, load_extensions, load_service
from broker.domain.session import PolicyDescriptor, Tag
from broker.iam.absent import (
    list_delegation_requests,
    list_organizations_features,
    list_server_certificates,
    list_service_specific_credentials,
    list_signing_certificates,
    list_ssh_public_keys,
)
from broker.iam.access_keys import (
    create_access_key,
    delete_access_key,
    get_access_key_last_used,
    list_access_keys,
    update_access_key,
)
from broker.iam.account_alias import create_account_alias, delete_account_alias, list_account_aliases
from broker.iam.account_summary import get_account_summary
from broker.iam.authorization_details import get_account_authorization_details
from broker.iam.context_keys import get_context_keys_for_custom_policy, get_context_keys_for_principal_policy
from broker.iam.credential_report import generate_credential_report, get_credential_report
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
from broker.iam.last_accessed import (
    generate_service_last_accessed_details,
    get_service_last_accessed_details,
    get_service_last_accessed_details_with_entities,
)
from broker.iam.ldap_providers import (
    create_ldap_provider,
    delete_ldap_provider,
    get_ldap_provider,
    list_ldap_provider_tags,
    list_ldap_providers,
    tag_ldap_provider,
    untag_ldap_provider,
    update_ldap_provider,
)
from broker.iam.ldap_settings import GroupSearch, LdapSettings, SessionTag, UserSearch
from broker.iam.login_profiles import (
    change_password,
    create_login_profile,
    delete_login_profile,
    get_login_profile,
    update_login_profile,
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
from broker.iam.mfa_device_tags import list_mfa_device_tags, tag_mfa_device, untag_mfa_device
from broker.iam.mfa_devices import (
    create_virtual_mfa_device,
    deactivate_mfa_device,
    delete_virtual_mfa_device,
    enable_mfa_device,
    get_mfa_device,
    import_hardware_mfa_device,
    list_mfa_devices,
    list_virtual_mfa_devices,
    resync_mfa_device,
)
from broker.iam.oidc_provider_settings import (
    get_open_id_connect_provider_settings,
    update_open_id_connect_provider_settings,
)
from broker.iam.oidc_providers import (
    add_client_id_to_open_id_connect_provider,
    create_open_id_connect_provider,
    delete_open_id_connect_provider,
    get_open_id_connect_provider,
    list_open_id_connect_provider_tags,
    list_open_id_connect_providers,
    remove_client_id_from_open_id_connect_provider,
    tag_open_id_connect_provider,
    untag_open_id_connect_provider,
    update_open_id_connect_provider_thumbprint,
)
from broker.iam.outbound_federation import (
    disable_outbound_web_identity_federation,
    enable_outbound_web_identity_federation,
    get_outbound_web_identity_federation_info,
)
from broker.iam.password_policy import (
    delete_account_password_policy,
    get_account_password_policy,
    update_account_password_policy,
)
from broker.iam.policy_entities import list_entities_for_policy
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
from broker.iam.saml_provider_settings import get_saml_provider_settings, update_saml_provider_settings
from broker.iam.saml_providers import (
    create_saml_provider,
    delete_saml_provider,
    get_saml_provider,
    list_saml_provider_tags,
    list_saml_providers,
    tag_saml_provider,
    untag_saml_provider,
    update_saml_provider,
)
from broker.iam.service_access import list_policies_granting_service_access
from broker.iam.service_linked_roles import (
    create_service_linked_role,
    delete_service_linked_role,
    get_service_linked_role_deletion_status,
)
from broker.iam.simulate import simulate_custom_policy, simulate_principal_policy
from broker.iam.simulate_trust import simulate_trust_policy
from broker.iam.trust_policies import update_assume_role_policy
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
from broker.sts.identity import decode_authorization_message, get_access_key_info, get_caller_identity
from broker.sts.ldap_identity import assume_role_with_ldap_identity
from broker.sts.saml import assume_role_with_saml
from broker.sts.tokens import get_web_identity_token
from broker.sts.user_sessions import get_federation_token, get_session_token
from broker.sts.web_identity import assume_role_with_web_identity
from broker.trail.lookup_events import LookupAttribute, lookup_events
from broker.trail.public_keys import list_public_keys
from broker.trail.trails import describe_trails, get_trail_status


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
        "CancelPolicyGeneration": Entry(cancel_policy_generation, Effect.READ),
        "GetGeneratedPolicy": Entry(get_generated_policy, Effect.READ),
        "ListPolicyGenerations": Entry(list_policy_generations, Effect.READ),
        "StartPolicyGeneration": Entry(start_policy_generation, Effect.CHANGE),
        "ValidatePolicy": Entry(validate_policy, Effect.READ),
    },
    "cloudtrail": {
        "DescribeTrails": Entry(describe_trails, Effect.READ),
        "GetTrailStatus": Entry(get_trail_status, Effect.READ),
        "ListPublicKeys": Entry(list_public_keys, Effect.READ),
        "LookupEvents": Entry(lookup_events, Effect.READ),
    },
    "sts": {
        "AssumeRole": Entry(assume_role, Effect.ISSUE),
        "AssumeRoleWithLDAPIdentity": Entry(assume_role_with_ldap_identity, Effect.ISSUE),
        "AssumeRoleWithSAML": Entry(assume_role_with_saml, Effect.ISSUE),
        "AssumeRoleWithWebIdentity": Entry(assume_role_with_web_identity, Effect.ISSUE),
        "DecodeAuthorizationMessage": Entry(decode_authorization_message, Effect.READ),
        "GetAccessKeyInfo": Entry(get_access_key_info, Effect.READ),
        "GetCallerIdentity": Entry(get_caller_identity, Effect.READ),
        "GetFederationToken": Entry(get_federation_token, Effect.ISSUE),
        "GetSessionToken": Entry(get_session_token, Effect.ISSUE),
        "GetWebIdentityToken": Entry(get_web_identity_token, Effect.ISSUE),
    },
    "iam": {
        "AddClientIDToOpenIDConnectProvider": Entry(add_client_id_to_open_id_connect_provider, Effect.CHANGE),
        "AddRoleToInstanceProfile": Entry(add_role_to_instance_profile, Effect.CHANGE),
        "AddUserToGroup": Entry(add_user_to_group, Effect.CHANGE),
        "AttachGroupPolicy": Entry(attach_group_policy, Effect.CHANGE),
        "AttachRolePolicy": Entry(attach_role_policy, Effect.CHANGE),
        "AttachUserPolicy": Entry(attach_user_policy, Effect.CHANGE),
        "ChangePassword": Entry(change_password, Effect.CHANGE),
        "CreateAccessKey": Entry(create_access_key, Effect.CHANGE),
        "CreateAccountAlias": Entry(create_account_alias, Effect.CHANGE),
        "CreateGroup": Entry(create_group, Effect.CHANGE),
        "CreateInstanceProfile": Entry(create_instance_profile, Effect.CHANGE),
        "CreateLDAPProvider": Entry(create_ldap_provider, Effect.CHANGE),
        "CreateLoginProfile": Entry(create_login_profile, Effect.CHANGE),
        "CreateOpenIDConnectProvider": Entry(create_open_id_connect_provider, Effect.CHANGE),
        "CreatePolicy": Entry(create_policy, Effect.CHANGE),
        "CreatePolicyVersion": Entry(create_policy_version, Effect.CHANGE),
        "CreateRole": Entry(create_role, Effect.CHANGE),
        "CreateSAMLProvider": Entry(create_saml_provider, Effect.CHANGE),
        "CreateServiceLinkedRole": Entry(create_service_linked_role, Effect.CHANGE),
        "CreateUser": Entry(create_user, Effect.CHANGE),
        "CreateVirtualMFADevice": Entry(create_virtual_mfa_device, Effect.CHANGE),
        "DeactivateMFADevice": Entry(deactivate_mfa_device, Effect.CHANGE),
        "DeleteAccessKey": Entry(delete_access_key, Effect.CHANGE),
        "DeleteAccountAlias": Entry(delete_account_alias, Effect.CHANGE),
        "DeleteAccountPasswordPolicy": Entry(delete_account_password_policy, Effect.CHANGE),
        "DeleteGroup": Entry(delete_group, Effect.CHANGE),
        "DeleteGroupPolicy": Entry(delete_group_policy, Effect.CHANGE),
        "DeleteInstanceProfile": Entry(delete_instance_profile, Effect.CHANGE),
        "DeleteLDAPProvider": Entry(delete_ldap_provider, Effect.CHANGE),
        "DeleteLoginProfile": Entry(delete_login_profile, Effect.CHANGE),
        "DeleteOpenIDConnectProvider": Entry(delete_open_id_connect_provider, Effect.CHANGE),
        "DeletePolicy": Entry(delete_policy, Effect.CHANGE),
        "DeletePolicyVersion": Entry(delete_policy_version, Effect.CHANGE),
        "DeleteRole": Entry(delete_role, Effect.CHANGE),
        "DeleteRolePermissionsBoundary": Entry(delete_role_permissions_boundary, Effect.CHANGE),
        "DeleteRolePolicy": Entry(delete_role_policy, Effect.CHANGE),
        "DeleteSAMLProvider": Entry(delete_saml_provider, Effect.CHANGE),
        "DeleteServiceLinkedRole": Entry(delete_service_linked_role, Effect.CHANGE),
        "DeleteUser": Entry(delete_user, Effect.CHANGE),
        "DeleteUserPermissionsBoundary": Entry(delete_user_permissions_boundary, Effect.CHANGE),
        "DeleteUserPolicy": Entry(delete_user_policy, Effect.CHANGE),
        "DeleteVirtualMFADevice": Entry(delete_virtual_mfa_device, Effect.CHANGE),
        "DetachGroupPolicy": Entry(detach_group_policy, Effect.CHANGE),
        "DetachRolePolicy": Entry(detach_role_policy, Effect.CHANGE),
        "DetachUserPolicy": Entry(detach_user_policy, Effect.CHANGE),
        "DisableOutboundWebIdentityFederation": Entry(disable_outbound_web_identity_federation, Effect.CHANGE),
        "EnableMFADevice": Entry(enable_mfa_device, Effect.CHANGE),
        "ImportHardwareMFADevice": Entry(import_hardware_mfa_device, Effect.CHANGE),
        "EnableOutboundWebIdentityFederation": Entry(enable_outbound_web_identity_federation, Effect.CHANGE),
        "GenerateCredentialReport": Entry(generate_credential_report, Effect.CHANGE),
        "GenerateServiceLastAccessedDetails": Entry(generate_service_last_accessed_details, Effect.CHANGE),
        "GetAccessKeyLastUsed": Entry(get_access_key_last_used, Effect.READ),
        "GetAccountAuthorizationDetails": Entry(get_account_authorization_details, Effect.READ),
        "GetAccountPasswordPolicy": Entry(get_account_password_policy, Effect.READ),
        "GetAccountSummary": Entry(get_account_summary, Effect.READ),
        "GetContextKeysForCustomPolicy": Entry(get_context_keys_for_custom_policy, Effect.READ),
        "GetContextKeysForPrincipalPolicy": Entry(get_context_keys_for_principal_policy, Effect.READ),
        "GetCredentialReport": Entry(get_credential_report, Effect.READ),
        "GetGroup": Entry(get_group, Effect.READ),
        "GetGroupPolicy": Entry(get_group_policy, Effect.READ),
        "GetInstanceProfile": Entry(get_instance_profile, Effect.READ),
        "GetLDAPProvider": Entry(get_ldap_provider, Effect.READ),
        "GetLoginProfile": Entry(get_login_profile, Effect.READ),
        "GetMFADevice": Entry(get_mfa_device, Effect.READ),
        "GetOpenIDConnectProvider": Entry(get_open_id_connect_provider, Effect.READ),
        "GetOpenIDConnectProviderSettings": Entry(get_open_id_connect_provider_settings, Effect.READ),
        "GetOutboundWebIdentityFederationInfo": Entry(get_outbound_web_identity_federation_info, Effect.READ),
        "GetPolicy": Entry(get_policy, Effect.READ),
        "GetPolicyVersion": Entry(get_policy_version, Effect.READ),
        "GetRole": Entry(get_role, Effect.READ),
        "GetRolePolicy": Entry(get_role_policy, Effect.READ),
        "GetSAMLProvider": Entry(get_saml_provider, Effect.READ),
        "GetSAMLProviderSettings": Entry(get_saml_provider_settings, Effect.READ),
        "GetServiceLastAccessedDetails": Entry(get_service_last_accessed_details, Effect.READ),
        "GetServiceLastAccessedDetailsWithEntities": Entry(
            get_service_last_accessed_details_with_entities, Effect.READ
        ),
        "GetServiceLinkedRoleDeletionStatus": Entry(get_service_linked_role_deletion_status, Effect.READ),
        "GetUser": Entry(get_user, Effect.READ),
        "GetUserPolicy": Entry(get_user_policy, Effect.READ),
        "ListAccessKeys": Entry(list_access_keys, Effect.READ),
        "ListAccountAliases": Entry(list_account_aliases, Effect.READ),
        "ListAttachedGroupPolicies": Entry(list_attached_group_policies, Effect.READ),
        "ListAttachedRolePolicies": Entry(list_attached_role_policies, Effect.READ),
        "ListAttachedUserPolicies": Entry(list_attached_user_policies, Effect.READ),
        "ListDelegationRequests": Entry(list_delegation_requests, Effect.READ),
        "ListEntitiesForPolicy": Entry(list_entities_for_policy, Effect.READ),
        "ListGroupPolicies": Entry(list_group_policies, Effect.READ),
        "ListGroups": Entry(list_groups, Effect.READ),
        "ListGroupsForUser": Entry(list_groups_for_user, Effect.READ),
        "ListInstanceProfileTags": Entry(list_instance_profile_tags, Effect.READ),
        "ListInstanceProfiles": Entry(list_instance_profiles, Effect.READ),
        "ListInstanceProfilesForRole": Entry(list_instance_profiles_for_role, Effect.READ),
        "ListLDAPProviderTags": Entry(list_ldap_provider_tags, Effect.READ),
        "ListLDAPProviders": Entry(list_ldap_providers, Effect.READ),
        "ListMFADeviceTags": Entry(list_mfa_device_tags, Effect.READ),
        "ListMFADevices": Entry(list_mfa_devices, Effect.READ),
        "ListOpenIDConnectProviderTags": Entry(list_open_id_connect_provider_tags, Effect.READ),
        "ListOpenIDConnectProviders": Entry(list_open_id_connect_providers, Effect.READ),
        "ListOrganizationsFeatures": Entry(list_organizations_features, Effect.READ),
        "ListPolicies": Entry(list_policies, Effect.READ),
        "ListPoliciesGrantingServiceAccess": Entry(list_policies_granting_service_access, Effect.READ),
        "ListPolicyTags": Entry(list_policy_tags, Effect.READ),
        "ListPolicyVersions": Entry(list_policy_versions, Effect.READ),
        "ListRolePolicies": Entry(list_role_policies, Effect.READ),
        "ListRoleTags": Entry(list_role_tags, Effect.READ),
        "ListRoles": Entry(list_roles, Effect.READ),
        "ListSAMLProviderTags": Entry(list_saml_provider_tags, Effect.READ),
        "ListSAMLProviders": Entry(list_saml_providers, Effect.READ),
        "ListSSHPublicKeys": Entry(list_ssh_public_keys, Effect.READ),
        "ListServerCertificates": Entry(list_server_certificates, Effect.READ),
        "ListServiceSpecificCredentials": Entry(list_service_specific_credentials, Effect.READ),
        "ListSigningCertificates": Entry(list_signing_certificates, Effect.READ),
        "ListUserPolicies": Entry(list_user_policies, Effect.READ),
        "ListUserTags": Entry(list_user_tags, Effect.READ),
        "ListUsers": Entry(list_users, Effect.READ),
        "ListVirtualMFADevices": Entry(list_virtual_mfa_devices, Effect.READ),
        "PutGroupPolicy": Entry(put_group_policy, Effect.CHANGE),
        "PutRolePermissionsBoundary": Entry(put_role_permissions_boundary, Effect.CHANGE),
        "PutRolePolicy": Entry(put_role_policy, Effect.CHANGE),
        "PutUserPermissionsBoundary": Entry(put_user_permissions_boundary, Effect.CHANGE),
        "PutUserPolicy": Entry(put_user_policy, Effect.CHANGE),
        "RemoveClientIDFromOpenIDConnectProvider": Entry(remove_client_id_from_open_id_connect_provider, Effect.CHANGE),
        "RemoveRoleFromInstanceProfile": Entry(remove_role_from_instance_profile, Effect.CHANGE),
        "RemoveUserFromGroup": Entry(remove_user_from_group, Effect.CHANGE),
        "ResyncMFADevice": Entry(resync_mfa_device, Effect.CHANGE),
        "SetDefaultPolicyVersion": Entry(set_default_policy_version, Effect.CHANGE),
        "SimulateCustomPolicy": Entry(simulate_custom_policy, Effect.READ),
        "SimulatePrincipalPolicy": Entry(simulate_principal_policy, Effect.READ),
        "SimulateTrustPolicy": Entry(simulate_trust_policy, Effect.READ),
        "TagInstanceProfile": Entry(tag_instance_profile, Effect.CHANGE),
        "TagLDAPProvider": Entry(tag_ldap_provider, Effect.CHANGE),
        "TagMFADevice": Entry(tag_mfa_device, Effect.CHANGE),
        "TagOpenIDConnectProvider": Entry(tag_open_id_connect_provider, Effect.CHANGE),
        "TagPolicy": Entry(tag_policy, Effect.CHANGE),
        "TagRole": Entry(tag_role, Effect.CHANGE),
        "TagSAMLProvider": Entry(tag_saml_provider, Effect.CHANGE),
        "TagUser": Entry(tag_user, Effect.CHANGE),
        "UntagInstanceProfile": Entry(untag_instance_profile, Effect.CHANGE),
        "UntagLDAPProvider": Entry(untag_ldap_provider, Effect.CHANGE),
        "UntagMFADevice": Entry(untag_mfa_device, Effect.CHANGE),
        "UntagOpenIDConnectProvider": Entry(untag_open_id_connect_provider, Effect.CHANGE),
        "UntagPolicy": Entry(untag_policy, Effect.CHANGE),
        "UntagRole": Entry(untag_role, Effect.CHANGE),
        "UntagSAMLProvider": Entry(untag_saml_provider, Effect.CHANGE),
        "UntagUser": Entry(untag_user, Effect.CHANGE),
        "UpdateAccessKey": Entry(update_access_key, Effect.CHANGE),
        "UpdateAccountPasswordPolicy": Entry(update_account_password_policy, Effect.CHANGE),
        "UpdateAssumeRolePolicy": Entry(update_assume_role_policy, Effect.CHANGE),
        "UpdateGroup": Entry(update_group, Effect.CHANGE),
        "UpdateLDAPProvider": Entry(update_ldap_provider, Effect.CHANGE),
        "UpdateLoginProfile": Entry(update_login_profile, Effect.CHANGE),
        "UpdateOpenIDConnectProviderSettings": Entry(update_open_id_connect_provider_settings, Effect.CHANGE),
        "UpdateOpenIDConnectProviderThumbprint": Entry(update_open_id_connect_provider_thumbprint, Effect.CHANGE),
        "UpdateRole": Entry(update_role, Effect.CHANGE),
        "UpdateRoleDescription": Entry(update_role_description, Effect.CHANGE),
        "UpdateSAMLProvider": Entry(update_saml_provider, Effect.CHANGE),
        "UpdateSAMLProviderSettings": Entry(update_saml_provider_settings, Effect.CHANGE),
        "UpdateUser": Entry(update_user, Effect.CHANGE),
    },
}

STRUCTURES: Mapping[str, Callable[..., object]] = {
    "CloudTrailDetails": CloudTrailDetails,
    "PolicyGenerationDetails": PolicyGenerationDetails,
    "LDAPGroupSearch": GroupSearch,
    "LDAPProviderSettings": LdapSettings,
    "LDAPSessionTag": SessionTag,
    "LDAPUserSearch": UserSearch,
    "LookupAttribute": LookupAttribute,
    "PolicyDescriptorType": PolicyDescriptor,
    "Tag": Tag,
}
"""Shapes that arrive as one of our types."""

_CODECS: Mapping[str, tuple[Callable[..., Any], Callable[[Operation], Callable[[object, str], bytes]]]] = {
    "query": (query.compile_input, xml.compile_output),
    "rest-json": (restjson.compile_input, restjson.compile_output),
    "json": (json.compile_input, json.compile_output),
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
    target_prefix: str = ""


def load_apis() -> list[Api]:
    """Everything that is served, compiled."""
    extensions = load_extensions()
    return [_load_api(load_service(name, extensions.get(name)), entries) for name, entries in OPERATIONS.items()]


def _load_api(service: Service, entries: Mapping[str, Entry]) -> Api:
    served = {action: _serve(service, service.operations[action], entry) for action, entry in entries.items()}
    known = frozenset(service.operations)
    return Api(service.protocol, service.api_version, service.xml_namespace, served, known, service.target_prefix)


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

"""What policies can name of the services that we serve: actions, condition keys and shared issuers. Data alone.

Actions: the operations of botocore's service models (a test compares) and the permission-only actions of the Service
Authorization Reference. Keys: IAM User Guide, "AWS global condition context keys" and "Available keys for IAM and STS".
A service or a key prefix that is not listed is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PERMISSION_ONLY: Mapping[str, frozenset[str]] = {
    "sts": frozenset({"SetContext", "SetSourceIdentity", "TagGetWebIdentityToken", "TagSession"}),
    "iam": frozenset(
        {
            "DeleteCloudFrontPublicKey",
            "GetCloudFrontPublicKey",
            "ListCloudFrontPublicKeys",
            "ListSTSRegionalEndpointsStatus",
            "PassRole",
            "SetSTSRegionalEndpointStatus",
            "UpdateCloudFrontPublicKey",
            "UploadCloudFrontPublicKey",
        }
    ),
    "signin": frozenset({"AuthorizeOAuth2Access"}),
}
"""Actions that no operation has: they are asked for beside an operation's own action, or by a console."""

OPERATIONS: Mapping[str, frozenset[str]] = {
    "sts": _names(
        """
        AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot DecodeAuthorizationMessage
        GetAccessKeyInfo GetCallerIdentity GetDelegatedAccessToken GetFederationToken GetScopedCredentials
        GetSessionToken GetWebIdentityToken
        """
    ),
    "iam": _names(
        """
        AcceptDelegationRequest AcquireRole AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile
        AddUserToGroup AssociateDelegationRequest AttachGroupPolicy AttachRolePolicy AttachUserPolicy
        ChangePassword CreateAccessKey CreateAccountAlias CreateDelegationRequest CreateGroup
        CreateInstanceProfile CreateLoginProfile CreateOpenIDConnectProvider CreatePolicy
        CreatePolicyVersion CreateRole CreateSAMLProvider CreateServiceLinkedRole
        CreateServiceSpecificCredential CreateUser CreateVirtualMFADevice DeactivateMFADevice
        DeleteAccessKey DeleteAccountAlias DeleteAccountPasswordPolicy DeleteGroup DeleteGroupPolicy
        DeleteInstanceProfile DeleteLoginProfile DeleteOpenIDConnectProvider DeletePolicy
        DeletePolicyVersion DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy DeleteSAMLProvider
        DeleteSSHPublicKey DeleteServerCertificate DeleteServiceLinkedRole DeleteServiceSpecificCredential
        DeleteSigningCertificate DeleteUser DeleteUserPermissionsBoundary DeleteUserPolicy
        DeleteVirtualMFADevice DetachGroupPolicy DetachRolePolicy DetachUserPolicy
        DisableOrganizationsRootCredentialsManagement DisableOrganizationsRootSessions
        DisableOutboundWebIdentityFederation EnableMFADevice EnableOrganizationsRootCredentialsManagement
        EnableOrganizationsRootSessions EnableOutboundWebIdentityFederation GenerateCredentialReport
        GenerateOrganizationsAccessReport GenerateServiceLastAccessedDetails GetAccessKeyLastUsed
        GetAccountAuthorizationDetails GetAccountPasswordPolicy GetAccountProperties GetAccountSummary
        GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy GetCredentialReport
        GetDelegationRequest GetGroup GetGroupPolicy GetHumanReadableSummary GetInstanceProfile
        GetLoginProfile GetMFADevice GetOpenIDConnectProvider GetOrganizationsAccessReport
        GetOutboundWebIdentityFederationInfo GetPolicy GetPolicyVersion GetRole GetRolePolicy
        GetRoleTemplateVersion GetSAMLProvider GetSSHPublicKey GetServerCertificate
        GetServiceLastAccessedDetails GetServiceLastAccessedDetailsWithEntities
        GetServiceLinkedRoleDeletionStatus GetUser GetUserPolicy ListAccessKeys ListAccountAliases
        ListAttachedGroupPolicies ListAttachedRolePolicies ListAttachedUserPolicies ListDelegationRequests
        ListEntitiesForPolicy ListGroupPolicies ListGroups ListGroupsForUser ListInstanceProfileTags
        ListInstanceProfiles ListInstanceProfilesForRole ListMFADeviceTags ListMFADevices
        ListOpenIDConnectProviderTags ListOpenIDConnectProviders ListOrganizationsFeatures ListPolicies
        ListPoliciesGrantingServiceAccess ListPolicyTags ListPolicyVersions ListRolePolicies ListRoleTags
        ListRoles ListSAMLProviderTags ListSAMLProviders ListSSHPublicKeys ListServerCertificateTags
        ListServerCertificates ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies
        ListUserTags ListUsers ListVirtualMFADevices PutAccountProperties PutGroupPolicy
        PutRolePermissionsBoundary PutRolePolicy PutUserPermissionsBoundary PutUserPolicy
        RejectDelegationRequest RemoveClientIDFromOpenIDConnectProvider RemoveRoleFromInstanceProfile
        RemoveUserFromGroup ResetServiceSpecificCredential ResyncMFADevice SendDelegationToken
        SetDefaultPolicyVersion SetSecurityTokenServicePreferences SimulateCustomPolicy
        SimulatePrincipalPolicy TagInstanceProfile TagMFADevice TagOpenIDConnectProvider TagPolicy TagRole
        TagSAMLProvider TagServerCertificate TagUser UntagInstanceProfile UntagMFADevice
        UntagOpenIDConnectProvider UntagPolicy UntagRole UntagSAMLProvider UntagServerCertificate UntagUser
        UpdateAccessKey UpdateAccountPasswordPolicy UpdateAssumeRolePolicy UpdateDelegationRequest
        UpdateGroup UpdateLoginProfile UpdateOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint
        UpdateRole UpdateRoleDescription UpdateSAMLProvider UpdateSSHPublicKey UpdateServerCertificate
        UpdateServiceSpecificCredential UpdateSigningCertificate UpdateUser UploadSSHPublicKey
        UploadServerCertificate UploadSigningCertificate
        """
    ),
    "signin": _names(
        """
        BatchRevokeSessions CreateBearerToken CreateOAuth2Token CreateOAuth2TokenWithIAM
        CreateOAuth2TokenWithTokenExchange DeleteConsoleAuthorizationConfiguration
        DeleteResourcePermissionStatement GetConsoleAuthorizationConfiguration GetResourcePolicy GetSession
        IntrospectOAuth2TokenWithIAM ListResourcePermissionStatements ListSessions
        PutConsoleAuthorizationConfiguration PutResourcePermissionStatement RevokeOAuth2TokenWithIAM
        """
    ),
}
"""Service prefix -> its operations."""

OWN_OPERATIONS: Mapping[str, frozenset[str]] = {
    "sts": _names("AssumeRoleWithLDAPIdentity"),
    "iam": _names(
        """
        CreateLDAPProvider DeleteLDAPProvider GetLDAPProvider GetOpenIDConnectProviderSettings GetSAMLProviderSettings
        ImportHardwareMFADevice ListLDAPProviderTags ListLDAPProviders SimulateTrustPolicy TagLDAPProvider
        UntagLDAPProvider UpdateLDAPProvider UpdateOpenIDConnectProviderSettings UpdateSAMLProviderSettings
        """
    ),
}
"""Service prefix -> the operations that AWS does not have (``aws/extensions.json``; a test compares)."""

ACTIONS: Mapping[str, frozenset[str]] = {
    service: operations | PERMISSION_ONLY[service] | OWN_OPERATIONS.get(service, frozenset())
    for service, operations in OPERATIONS.items()
}
"""Service prefix -> every action name that a policy may say."""


class KeyType(Enum):
    """The type of a condition key's values; the values are the first operator to use for it."""

    STRING = "StringEquals"
    ARN = "ArnLike"
    BOOLEAN = "Bool"
    NUMBER = "NumericEquals"
    DATE = "DateLessThan"
    ADDRESS = "IpAddress"


_S, _A, _B, _N, _D = KeyType.STRING, KeyType.ARN, KeyType.BOOLEAN, KeyType.NUMBER, KeyType.DATE

CONDITION_KEYS: Mapping[str, KeyType] = {
    "aws:AssumedRoot": _B,
    "aws:CalledVia": _S,
    "aws:CalledViaFirst": _S,
    "aws:CalledViaLast": _S,
    "aws:CurrentTime": _D,
    "aws:Ec2InstanceSourcePrivateIPv4": KeyType.ADDRESS,
    "aws:Ec2InstanceSourceVpc": _S,
    "aws:EpochTime": _D,
    "aws:FederatedProvider": _A,
    "aws:MultiFactorAuthAge": _N,
    "aws:MultiFactorAuthPresent": _B,
    "aws:PrincipalAccount": _S,
    "aws:PrincipalArn": _A,
    "aws:PrincipalIsAWSService": _B,
    "aws:PrincipalOrgID": _S,
    "aws:PrincipalOrgPaths": _S,
    "aws:PrincipalServiceName": _S,
    "aws:PrincipalServiceNamesList": _S,
    "aws:PrincipalType": _S,
    "aws:RequestedRegion": _S,
    "aws:ResourceAccount": _S,
    "aws:ResourceOrgID": _S,
    "aws:ResourceOrgPaths": _S,
    "aws:SecureTransport": _B,
    "aws:SignInSessionArn": _A,
    "aws:SourceAccount": _S,
    "aws:SourceArn": _A,
    "aws:SourceIdentity": _S,
    "aws:SourceIp": KeyType.ADDRESS,
    "aws:SourceOrgID": _S,
    "aws:SourceOrgPaths": _S,
    "aws:SourceVpc": _S,
    "aws:SourceVpcArn": _A,
    "aws:SourceVpce": _S,
    "aws:TagKeys": _S,
    "aws:TokenIssueTime": _D,
    "aws:UserAgent": _S,
    "aws:ViaAWSMCPService": _B,
    "aws:ViaAWSService": _B,
    "aws:VpceAccount": _S,
    "aws:VpceOrgID": _S,
    "aws:VpceOrgPaths": _S,
    "aws:VpcSourceIp": KeyType.ADDRESS,
    "aws:referer": _S,
    "aws:userid": _S,
    "aws:username": _S,
    "iam:AWSServiceName": _S,
    "iam:AssociatedResourceArn": _A,
    "iam:DelegationDuration": _N,
    "iam:DelegationRequestOwner": _A,
    "iam:FIDO-FIPS-140-2-certification": _S,
    "iam:FIDO-FIPS-140-3-certification": _S,
    "iam:FIDO-certification": _S,
    "iam:NotificationChannel": _A,
    "iam:OrganizationsPolicyId": _S,
    "iam:PassedToService": _S,
    "iam:PermissionsBoundary": _A,
    "iam:PolicyARN": _A,
    "iam:RegisterSecurityKey": _S,
    "iam:ServiceSpecificCredentialAgeDays": _N,
    "iam:ServiceSpecificCredentialServiceName": _S,
    "iam:TemplateArn": _A,
    "sts:AWSServiceName": _S,
    "sts:DurationSeconds": _N,
    "sts:ExternalId": _S,
    "sts:IdentityTokenAudience": _S,
    "sts:RequestContextProviders": _A,
    "sts:RoleSessionName": _S,
    "sts:SigningAlgorithm": _S,
    "sts:SourceIdentity": _S,
    "sts:TaskPolicyArn": _A,
    "sts:TransitiveTagKeys": _S,
}
"""Condition keys of the prefixes in ``KEY_PREFIXES``, as AWS writes them; looked up without regard to case."""

OPEN_KEYS = (
    "aws:PrincipalTag/",
    "aws:RequestTag/",
    "aws:ResourceTag/",
    "iam:ResourceTag/",
    "sts:RequestContext/",
)
"""What condition keys begin with whose rest is a tag key or a context key; all are strings."""

KEY_PREFIXES = frozenset({"aws", "iam", "sts"})
"""Prefixes of which every key is known; ``saml:``, ``ldap:`` and issuers bring whatever their identities have."""

MULTIVALUED_KEYS = frozenset(
    {
        "aws:CalledVia",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalServiceNamesList",
        "aws:ResourceOrgPaths",
        "aws:SourceOrgPaths",
        "aws:TagKeys",
        "aws:VpceOrgPaths",
        "sts:IdentityTokenAudience",
        "sts:RequestContextProviders",
        "sts:TransitiveTagKeys",
    }
)
"""Keys of ``CONDITION_KEYS`` that may have several values in one request."""

SHARED_ISSUERS: Mapping[str, frozenset[str]] = {
    "token.actions.githubusercontent.com": _names(
        """
        sub repository repository_id repository_owner repository_owner_id job_workflow_ref enterprise enterprise_id
        """
    ),
    "gitlab.com": frozenset({"sub", "project_path", "project_id", "namespace_path", "namespace_id"}),
    "app.terraform.io": _names(
        """
        sub terraform_organization_id terraform_organization_name terraform_project_id terraform_workspace_id
        """
    ),
    "accounts.google.com": frozenset({"sub", "email", "hd"}),
    "agent.buildkite.com": frozenset({"sub", "organization_slug", "organization_id", "pipeline_id"}),
    "oidc.circleci.com": frozenset({"sub", "oidc.circleci.com/project-id"}),
    "cognito-identity.amazonaws.com": frozenset({"sub", "aud"}),
    "login.microsoftonline.com/common": frozenset({"sub", "oid", "tid"}),
    "login.microsoftonline.com/organizations": frozenset({"sub", "oid", "tid"}),
    "login.microsoftonline.com/consumers": frozenset({"sub", "oid"}),
    "login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad": frozenset({"sub", "oid"}),
}
"""Issuers whose tokens many can get -> claims of which a trust policy must ask for one.

Paths below an entry count as that entry if ``shared_issuer`` says so. Microsoft's last is the tenant of all personal
accounts; CircleCI's organisation URLs let in every project of the organisation.
"""

_WITH_PATHS = ("oidc.circleci.com/", "login.microsoftonline.com/")


def shared_issuer(issuer: str) -> frozenset[str] | None:
    """The claims that narrow trust in ``issuer`` (without scheme), or None if it serves one customer alone."""
    name = issuer.rstrip("/").lower()
    if name.startswith(_WITH_PATHS):
        host, _, path = name.partition("/")
        name = host if host in SHARED_ISSUERS else f"{host}/{path.partition('/')[0]}"
    return SHARED_ISSUERS.get(name)

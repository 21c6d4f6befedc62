"""Service-linked roles: AWS's services make them for themselves. None of these services runs here.

The operations are there so that clients are told so in words, and a task that nobody began is not found.
"""

from __future__ import annotations

from typing import NoReturn

from broker.authorization import authorize
from broker.domain.arn import role_arn
from broker.errors import InvalidInput, NotFound
from broker.iam.named import account_of_caller, authorized_entity
from broker.services import Caller, Services


def create_service_linked_role(
    services: Services,
    caller: Caller,
    *,
    aws_service_name: str,
    description: str | None = None,
    custom_suffix: str | None = None,
) -> NoReturn:
    """Refused (AWS IAM CreateServiceLinkedRole). Raises InvalidInput."""
    arn = role_arn(account_of_caller(caller), f"/aws-service-role/{aws_service_name}/", "*")
    authorize(services, caller, "iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": (aws_service_name,)})
    raise InvalidInput(f"{aws_service_name} has no service-linked roles here: AWS's services do not run in Accredit.")


def delete_service_linked_role(services: Services, caller: Caller, *, role_name: str) -> NoReturn:
    """Refused (AWS IAM DeleteServiceLinkedRole). Raises NotFound, InvalidInput."""
    role = authorized_entity(services, caller, "iam:DeleteServiceLinkedRole", "role", role_name)
    raise InvalidInput(f"The role {role.name} is not a service-linked role. Delete it with DeleteRole.")


def get_service_linked_role_deletion_status(services: Services, caller: Caller, *, deletion_task_id: str) -> NoReturn:
    """There never is such a task (AWS IAM GetServiceLinkedRoleDeletionStatus). Raises NotFound."""
    arn = role_arn(account_of_caller(caller), "/", "*")
    authorize(services, caller, "iam:GetServiceLinkedRoleDeletionStatus", arn)
    raise NotFound(f"The deletion task {deletion_task_id[:256]} cannot be found.")

"""A group in simulations: it has policies, and is nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulated_account import ACCOUNT, OTHER, allow, arn, caller, policy

from broker.errors import NotFound, ValidationFailed
from broker.iam.context_keys import get_context_keys_for_principal_policy
from broker.iam.simulate import simulate_principal_policy
from broker.iam.simulate_trust import simulate_trust_policy
from broker.iam.simulated_principals import find_live_principal, live_entity
from broker.services import Caller, Services
from broker.store.entities import Entity, delete_entity, insert_entity
from broker.store.entity_policies import replace_policies

GROUP = arn("group", "team")


@pytest.fixture(autouse=True)
def group(services: Services) -> Iterator[None]:
    document = policy(allow("s3:*", "arn:aws:s3:::${aws:username}"), allow("sqs:*"))
    with services.database.change() as connection:
        insert_entity(connection, Entity("AGPATEAM", "group", ACCOUNT, "team", "/", GROUP, None, {}, False, 0))
        replace_policies(connection, "AGPATEAM", inline={"own": document}, attached=())
    yield
    with services.database.change() as connection:
        delete_entity(connection, "AGPATEAM")


def test_its_policies_decide_for_a_member_who_is_not_known(services: Services, asking: Caller) -> None:
    found = simulate_principal_policy(
        services,
        asking,
        policy_source_arn=GROUP,
        action_names=["sqs:SendMessage", "s3:GetObject"],
        resource_arns=["arn:aws:s3:::alice"],
    )
    assert [one.eval_decision for one in found.evaluation_results] == ["allowed", "implicitDeny"]
    assert found.evaluation_results[1].missing_context_values == ("aws:username",)
    assert found.evaluation_results[0].matched_statements[0].source_policy_id == "group/team inline policy own"


def test_a_member_may_be_named(services: Services, asking: Caller) -> None:
    found = simulate_principal_policy(
        services,
        asking,
        policy_source_arn=GROUP,
        caller_arn=arn("user", "alice"),
        action_names=["s3:GetObject"],
        resource_arns=["arn:aws:s3:::alice"],
    )
    assert found.evaluation_results[0].eval_decision == "allowed"


def test_nothing_is_known_of_the_member_but_the_account(services: Services) -> None:
    assert live_entity(services, ACCOUNT, GROUP).context() == {
        "aws:PrincipalAccount": (ACCOUNT,),
        "aws:PrincipalType": ("User",),
    }


def test_a_resource_policy_needs_somebody_who_asks(services: Services, asking: Caller) -> None:
    resource = policy({**allow("s3:*"), "Principal": "*"})
    with pytest.raises(ValidationFailed, match="CallerArn is required"):
        simulate_principal_policy(
            services, asking, policy_source_arn=GROUP, action_names=["s3:GetObject"], resource_policy=resource
        )


def test_the_keys_of_its_policies(services: Services, asking: Caller) -> None:
    found = get_context_keys_for_principal_policy(services, asking, policy_source_arn=GROUP)
    assert found.context_key_names == ("aws:username",)


def test_it_is_not_another_accounts(services: Services) -> None:
    with pytest.raises(NotFound):
        live_entity(services, OTHER, GROUP)


def test_it_assumes_no_role(services: Services, asking: Caller) -> None:
    assert find_live_principal(services, ACCOUNT, GROUP) is None
    with pytest.raises(ValidationFailed, match="must be the ARN of a user, a role or a role session"):
        simulate_trust_policy(services, caller(services, "asks"), role_arn=arn("role", "team/app"), principal_arn=GROUP)

"""What an object's page shows: parts, each asked for by an operation of its own, or why one may not see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.console.kinds import Field, Kind
from broker.console.operations import command, listed, perform
from broker.errors import AccessDenied, NotFound
from broker.web.site import Site


@dataclass(frozen=True, slots=True)
class Form:
    """A button, or some fields and a button. ``fixed`` are parameters that nobody types."""

    operation: str
    button: str
    fixed: Mapping[str, str]
    fields: tuple[Field, ...] = ()
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """An item of a part; ``document`` names the policy that its editor opens."""

    name: str
    note: str = ""
    forms: tuple[Form, ...] = ()
    document: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """``text`` is a document. ``new_document``: a policy can be added here."""

    title: str
    facts: Sequence[tuple[str, object]] = ()
    lines: Sequence[Line] = ()
    forms: tuple[Form, ...] = ()
    text: str = ""
    edit: str = ""
    new_document: bool = False
    hidden: str = ""
    command: str = ""
    empty: str = field(default="None.")


def details(site: Site, kind: Kind, name: str) -> list[Part]:
    """The parts of an object's page. Raises NotFound, AccessDenied for the object itself."""
    owner = {"users": "User", "groups": "Group", "roles": "Role"}.get(kind.key)
    if owner is not None:
        parts = _OWN[owner](site, name)
        parts += [_part("Policies", lambda: _attached(site, owner, name))]
        parts += [_part("Inline policies", lambda: _inline(site, owner, name))]
    elif kind.key == "policies":
        parts = _policy(site, name)
    else:
        parts = [_provider(site, kind, name)]
    delete = Form(kind.delete_operation, f"Delete the {kind.one}", {kind.parameter: name}, danger=True)
    return [*parts, Part("Delete", forms=(delete,), empty="There is no way back.")]


def _part(title: str, make: Callable[[], Part]) -> Part:
    """The part, or the word that these policies do not let one see it."""
    try:
        return make()
    except AccessDenied as error:
        return Part(title, hidden=error.message)


def _user(site: Site, name: str) -> list[Part]:
    asked = {"UserName": name}
    user = perform(site, "GetUser", asked).user
    facts = [
        ("ARN", user.arn),
        ("Id", user.user_id),
        ("Made", user.create_date),
        ("Last sign-in", user.password_last_used),
    ]
    boundary = user.permissions_boundary
    facts.append(("Permissions boundary", boundary.permissions_boundary_arn if boundary else None))
    return [
        Part("User", facts=facts, command=command("GetUser", asked)),
        _part("Password", lambda: _password(site, name)),
        _part("Second factors", lambda: _factors(site, name)),
        _part("Access keys", lambda: _access_keys(site, name)),
        _part("Groups", lambda: _groups(site, name)),
    ]


def _password(site: Site, name: str) -> Part:
    asked, change = (
        {"UserName": name},
        Field("PasswordResetRequired", "Has to choose another one", kind="boolean", value="true"),
    )
    new = Field("Password", "New password", kind="password")
    try:
        profile = perform(site, "GetLoginProfile", asked).login_profile
    except NotFound:
        return Part("Password", forms=(Form("CreateLoginProfile", "Give a password", asked, (new, change)),), empty="")
    forms = (
        Form("UpdateLoginProfile", "Set another password", asked, (new, change)),
        Form("DeleteLoginProfile", "Take the password away", asked, danger=True),
    )
    facts = [("Since", profile.create_date), ("Has to be changed", "yes" if profile.password_reset_required else "no")]
    return Part("Password", facts=facts, forms=forms)


def _factors(site: Site, name: str) -> Part:
    lines = [
        Line(
            one.serial_number,
            f"since {one.enable_date:%Y-%m-%d}",
            (
                Form(
                    "DeactivateMFADevice",
                    "Deactivate",
                    {"UserName": name, "SerialNumber": one.serial_number},
                    danger=True,
                ),
            ),
        )
        for one in listed(site, "ListMFADevices", "mfa_devices", {"UserName": name})
    ]
    return Part("Second factors", lines=lines, command=command("ListMFADevices", {"UserName": name}))


def _access_keys(site: Site, name: str) -> Part:
    def line(key: Any) -> Line:
        same = {"UserName": name, "AccessKeyId": key.access_key_id}
        other = "Inactive" if key.status == "Active" else "Active"
        forms = (
            Form("UpdateAccessKey", "Deactivate" if other == "Inactive" else "Activate", {**same, "Status": other}),
            Form("DeleteAccessKey", "Delete", same, danger=True),
        )
        return Line(key.access_key_id, f"{key.status}, since {key.create_date:%Y-%m-%d}", forms)

    found = listed(site, "ListAccessKeys", "access_key_metadata", {"UserName": name})
    return Part(
        "Access keys", lines=[line(key) for key in found], command=command("ListAccessKeys", {"UserName": name})
    )


def _groups(site: Site, name: str) -> Part:
    found = listed(site, "ListGroupsForUser", "groups", {"UserName": name})
    lines = [
        Line(
            one.group_name,
            forms=(
                Form("RemoveUserFromGroup", "Take out", {"UserName": name, "GroupName": one.group_name}, danger=True),
            ),
            link=f"groups/object?name={one.group_name}",
        )
        for one in found
    ]
    add = Form("AddUserToGroup", "Add to the group", {"UserName": name}, (Field("GroupName", "Group"),))
    return Part("Groups", lines=lines, forms=(add,), command=command("ListGroupsForUser", {"UserName": name}))


def _group(site: Site, name: str) -> list[Part]:
    asked = {"GroupName": name}
    found = perform(site, "GetGroup", asked)
    facts = [("ARN", found.group.arn), ("Id", found.group.group_id), ("Made", found.group.create_date)]
    lines = [
        Line(
            one.user_name,
            forms=(Form("RemoveUserFromGroup", "Take out", {**asked, "UserName": one.user_name}, danger=True),),
            link=f"users/object?name={one.user_name}",
        )
        for one in found.users
    ]
    add = Form("AddUserToGroup", "Add the user", asked, (Field("UserName", "User"),))
    return [
        Part("Group", facts=facts, command=command("GetGroup", asked)),
        Part("Members", lines=lines, forms=(add,)),
    ]


def _role(site: Site, name: str) -> list[Part]:
    asked = {"RoleName": name}
    role = perform(site, "GetRole", asked).role
    facts = [
        ("ARN", role.arn),
        ("Id", role.role_id),
        ("Made", role.create_date),
        ("Description", role.description),
        ("Longest session", f"{role.max_session_duration} seconds"),
    ]
    update = Form(
        "UpdateRole",
        "Save",
        asked,
        (
            Field("Description", "Description", required=False, value=role.description or ""),
            Field("MaxSessionDuration", "Longest session", "Seconds.", "number", value=str(role.max_session_duration)),
        ),
    )
    return [
        Part("Role", facts=facts, forms=(update,), command=command("GetRole", asked)),
        Part("Trust policy", text=role.assume_role_policy_document, edit="trust policy"),
    ]


def _attached(site: Site, owner: str, name: str) -> Part:
    asked = {f"{owner}Name": name}
    operation = f"ListAttached{owner}Policies"
    lines = [
        Line(
            one.policy_name,
            one.policy_arn,
            (Form(f"Detach{owner}Policy", "Detach", {**asked, "PolicyArn": one.policy_arn}, danger=True),),
            link=f"policies/object?name={one.policy_arn}",
        )
        for one in listed(site, operation, "attached_policies", asked)
    ]
    attach = Form(f"Attach{owner}Policy", "Attach", asked, (Field("PolicyArn", "ARN of a managed policy"),))
    return Part("Policies", lines=lines, forms=(attach,), command=command(operation, asked))


def _inline(site: Site, owner: str, name: str) -> Part:
    asked = {f"{owner}Name": name}
    operation = f"List{owner}Policies"
    lines = [
        Line(
            one,
            forms=(Form(f"Delete{owner}Policy", "Delete", {**asked, "PolicyName": one}, danger=True),),
            document=one,
        )
        for one in listed(site, operation, "policy_names", asked)
    ]
    return Part("Inline policies", lines=lines, new_document=True, command=command(operation, asked))


def _policy(site: Site, arn: str) -> list[Part]:
    asked = {"PolicyArn": arn}
    found = perform(site, "GetPolicy", asked).policy
    version = perform(site, "GetPolicyVersion", {**asked, "VersionId": found.default_version_id})
    facts = [
        ("ARN", found.arn),
        ("Description", found.description),
        ("Attached to", found.attachment_count),
        ("Version", found.default_version_id),
        ("Changed", found.update_date),
    ]
    own = not arn.startswith("arn:aws:iam::aws:")
    return [
        Part("Policy", facts=facts, command=command("GetPolicy", asked)),
        Part("Document", text=version.policy_version.document, edit="document" if own else ""),
        _part("Versions", lambda: _versions(site, arn)),
    ]


def _versions(site: Site, arn: str) -> Part:
    def line(version: Any) -> Line:
        same = {"PolicyArn": arn, "VersionId": version.version_id}
        forms = (
            ()
            if version.is_default_version
            else (
                Form("SetDefaultPolicyVersion", "Make it the default", same),
                Form("DeletePolicyVersion", "Delete", same, danger=True),
            )
        )
        note = f"{'the default, ' if version.is_default_version else ''}made {version.create_date:%Y-%m-%d}"
        return Line(version.version_id, note, forms)

    return Part(
        "Versions", lines=[line(one) for one in listed(site, "ListPolicyVersions", "versions", {"PolicyArn": arn})]
    )


def _provider(site: Site, kind: Kind, arn: str) -> Part:
    operation = kind.delete_operation.replace("Delete", "Get")
    found = perform(site, operation, {kind.parameter: arn})
    names = getattr(type(found), "__dataclass_fields__", None) or type(found).__struct_fields__
    facts = [(name.replace("_", " ").capitalize(), _shown(getattr(found, name))) for name in names if name != "tags"]
    return Part(
        kind.one[:1].upper() + kind.one[1:],
        facts=[("ARN", arn), *facts],
        command=command(operation, {kind.parameter: arn}),
    )


def _shown(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value[:400]} …" if isinstance(value, str) and len(value) > 400 else value


_OWN: Mapping[str, Callable[[Site, str], list[Part]]] = {"User": _user, "Group": _group, "Role": _role}

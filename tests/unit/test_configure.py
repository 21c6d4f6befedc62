"""The configuration file becomes objects, idempotently; mistakes are named."""

import json
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.catalog import Catalog
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyids import LONG_TERM, new_access_key_id
from broker.credentials.long_term import seal_secret
from broker.errors import ConfigurationError
from broker.settings import load_settings
from broker.store.access_keys import AccessKeyRow, put_access_key
from broker.store.engine import Database
from broker.store.managed_policies import find_managed_policy
from broker.store.policies import find_policy
from broker.store.policy_versions import list_versions
from broker.store.tables import access_keys, audit_events, entities, identity_providers

MASTER = b"m" * 32
ACCOUNT = "123456789012"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
    }
)
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}})
GOOD = f"""
[fetch]
allow_http_loopback = true
[[account]]
id = "{ACCOUNT}"
[[policy]]
name = "all"
document = '{ALLOW}'
[[role]]
name = "app"
path = "/team/"
trust_policy = '{TRUST}'
policies = ["all"]
permissions_boundary = "all"
tags = {{ env = "test" }}
[[role.inline_policy]]
name = "own"
document = '{ALLOW}'
[[user]]
name = "ci"
[[user.access_key]]
secret_env = "CI_SECRET"
[[identity_provider]]
issuer = "https://id.example.com/realm"
client_ids = ["app"]
"""
ENVIRON = {"CI_SECRET": "s" * 40}


def _check(tmp_path: Path, text: str, environ: dict[str, str] = ENVIRON):
    (tmp_path / "accredit.toml").write_text(text)
    return check_configuration(load_settings(tmp_path, environ), MASTER, environ)


def test_declared_objects_exist(tmp_path: Path, database: Database) -> None:
    declared = _check(tmp_path, GOOD)
    apply_configuration(database, declared, MASTER)
    catalog = Catalog(database, MASTER)
    role = catalog.role(f"arn:aws:iam::{ACCOUNT}:role/team/app")
    assert role is not None
    assert role.role.tags == {"env": "test"}
    assert [source.name for source in role.identity] == [
        "role/app inline policy own",
        f"arn:aws:iam::{ACCOUNT}:policy/all",
    ]
    assert role.boundary is not None
    key = catalog.access_key(declared.keys[0].access_key_id)
    assert key is not None
    assert key.user is not None
    assert (key.user.user.name, key.secret.reveal(), key.active) == ("ci", "s" * 40, True)
    provider = catalog.identity_provider(ACCOUNT, "https://id.example.com/realm")
    assert provider is not None
    assert provider.arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example.com/realm"
    assert catalog.role(f"arn:aws:iam::{ACCOUNT}:role/app") is None


def test_applying_twice_changes_nothing_but_the_record(tmp_path: Path, database: Database) -> None:
    declared = _check(tmp_path, GOOD)
    apply_configuration(database, declared, MASTER)
    with database.read() as connection:
        before = [connection.execute(select(table)).all() for table in (entities, identity_providers)]
        keys = connection.execute(select(access_keys.c.id, access_keys.c.user_id)).all()
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    with database.read() as connection:
        assert [connection.execute(select(table)).all() for table in (entities, identity_providers)] == before
        assert connection.execute(select(access_keys.c.id, access_keys.c.user_id)).all() == keys
        records = [json.loads(record) for record in connection.execute(select(audit_events.c.record)).scalars()]
    assert [record["eventName"] for record in records] == ["ApplyConfiguration"] * 2
    assert "s" * 40 not in json.dumps(records)


def test_a_change_of_the_file_reaches_a_cached_role(tmp_path: Path, database: Database) -> None:
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    catalog = Catalog(database, MASTER)
    arn = f"arn:aws:iam::{ACCOUNT}:role/team/app"
    first = catalog.role(arn)
    assert catalog.role(arn) is first
    changed = GOOD.replace('env = "test"', 'env = "live"')
    apply_configuration(database, _check(tmp_path, changed), MASTER)
    second = catalog.role(arn)
    assert first is not None
    assert second is not None
    assert second.role.tags == {"env": "live"}
    assert second.role.role_id == first.role.role_id


def test_a_declared_policy_and_its_version_stay_in_step(tmp_path: Path, database: Database) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/all"
    for text in (GOOD, GOOD.replace("sts:*", "sts:Get*"), GOOD):
        apply_configuration(database, _check(tmp_path, text), MASTER)
        with database.read() as connection:
            policy = find_managed_policy(connection, arn)
            assert policy is not None
            assert [(version.number, version.document) for version in list_versions(connection, policy.id)] == [
                (1, find_policy(connection, arn))
            ]


def test_a_missing_boundary_denies_everything(tmp_path: Path, database: Database) -> None:
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    with database.change() as connection:
        connection.execute(entities.update().values(permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/gone"))
    role = Catalog(database, MASTER).role(f"arn:aws:iam::{ACCOUNT}:role/team/app")
    assert role is not None
    assert role.boundary is not None
    assert "deleted" in role.boundary.name


def _ids(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return dict(connection.execute(select(entities.c.arn, entities.c.id)).all())


def _removed(database: Database) -> dict[str, list[str]]:
    """By the last time that the configuration was applied."""
    with database.read() as connection:
        newest = select(audit_events.c.record).order_by(audit_events.c.sequence.desc()).limit(1)
        return json.loads(connection.execute(newest).scalar_one())["requestParameters"]["removed"]


KEY = '[[user.access_key]]\nsecret_env = "CI_SECRET"\n'
PROVIDER = '[[identity_provider]]\nissuer = "https://id.example.com/realm"\nclient_ids = ["app"]\n'
USER = '[[user]]\nname = "ci"\n'
ROLE = GOOD[GOOD.index("[[role]]") : GOOD.index("[[user]]")]
POLICY = f"[[policy]]\nname = \"all\"\ndocument = '{ALLOW}'\n"


def test_an_access_key_that_is_no_longer_declared_is_gone(tmp_path: Path, database: Database) -> None:
    declared = _check(tmp_path, GOOD)
    apply_configuration(database, declared, MASTER)
    with database.change() as connection:
        root = AccessKeyRow("AKIAROOT", ACCOUNT, None, True, seal_secret(MASTER, "AKIAROOT", "r" * 40))
        put_access_key(connection, root, declared=False, now=0)
    catalog = Catalog(database, MASTER)
    key_id = declared.keys[0].access_key_id
    assert catalog.access_key(key_id) is not None
    before = _ids(database)
    assert KEY in GOOD
    apply_configuration(database, _check(tmp_path, GOOD.replace(KEY, "")), MASTER)
    assert catalog.access_key(key_id) is None
    assert catalog.access_key("AKIAROOT") is not None
    assert _ids(database) == before
    assert _removed(database) == {"access_key_ids": [key_id]}
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    assert catalog.access_key(key_id) is not None


def test_everything_that_is_no_longer_declared_is_gone(tmp_path: Path, database: Database) -> None:
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    catalog = Catalog(database, MASTER)
    role = f"arn:aws:iam::{ACCOUNT}:role/team/app"
    assert catalog.role(role) is not None
    text = GOOD
    for part in (KEY, PROVIDER, USER, ROLE, POLICY):
        assert part in text
        text = text.replace(part, "")
    apply_configuration(database, _check(tmp_path, text), MASTER)
    assert catalog.role(role) is None
    assert catalog.identity_provider(ACCOUNT, "https://id.example.com/realm") is None
    assert catalog.managed_policy(f"arn:aws:iam::{ACCOUNT}:policy/all") is None
    assert _ids(database) == {}
    assert {kind: len(names) for kind, names in _removed(database).items()} == {
        "access_key_ids": 1,
        "identity_providers": 1,
        "roles_and_users": 2,
        "policies": 1,
    }
    apply_configuration(database, _check(tmp_path, text), MASTER)
    assert _removed(database) == {}


def test_a_policy_of_something_that_was_not_declared_cannot_be_removed(tmp_path: Path, database: Database) -> None:
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    with database.change() as connection:
        connection.execute(entities.update().where(entities.c.kind == "role").values(declared=False))
    text = GOOD.replace(ROLE, "").replace(POLICY, "").replace(KEY, "")
    with pytest.raises(ConfigurationError, match="policy/all cannot be removed"):
        apply_configuration(database, _check(tmp_path, text), MASTER)
    with database.read() as connection:
        assert len(connection.execute(select(access_keys.c.id)).all()) == 1


def test_a_policy_moves_to_another_path(tmp_path: Path, database: Database) -> None:
    """Also for a holder that the file does not declare (any more)."""
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    with database.change() as connection:
        connection.execute(entities.update().where(entities.c.kind == "role").values(declared=False))
    moved = GOOD.replace('name = "all"', 'name = "all"\npath = "/shared/"', 1).replace(ROLE, "")
    apply_configuration(database, _check(tmp_path, moved), MASTER)
    catalog = Catalog(database, MASTER)
    arn = f"arn:aws:iam::{ACCOUNT}:policy/shared/all"
    assert catalog.managed_policy(arn) is not None
    assert catalog.managed_policy(f"arn:aws:iam::{ACCOUNT}:policy/all") is None
    role = catalog.role(f"arn:aws:iam::{ACCOUNT}:role/team/app")
    assert role is not None
    assert [source.name for source in role.identity][1:] == [arn]
    assert role.boundary is not None
    assert role.boundary.name == arn


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (f'id = "{ACCOUNT}"', 'id = "12"', "12 digits"),
        ('name = "app"', 'name = "a b"', "a b"),
        ('path = "/team/"', 'path = "team"', "path"),
        ('policies = ["all"]', 'policies = ["none"]', "none"),
        ('permissions_boundary = "all"', 'permissions_boundary = "none"', "none"),
        ('policies = ["all"]', 'policies = ["all"]\naccount = "999999999999"', "999999999999"),
        ('policies = ["all"]', 'policies = ["all"]\nmax_session_duration = 900', "max_session_duration"),
        ('"Effect": "Allow", "Principal"', '"Efect": "Allow", "Principal"', r"\[\[role\]\] app"),
        (f"trust_policy = '{TRUST}'", "", "app"),
        (f"trust_policy = '{TRUST}'", "trust_policy_file = 'missing.json'", "missing.json"),
        ('secret_env = "CI_SECRET"', 'secret_env = "OTHER"', "OTHER"),
        ('secret_env = "CI_SECRET"', 'secret_file = "missing"', "missing"),
        ('secret_env = "CI_SECRET"', 'secret_env = "CI_SECRET"\nsecret_file = "x"', "either"),
        ('secret_env = "CI_SECRET"', 'secret_env = "CI_SECRET"\nid = "AKIAIOSFODNN7EXAMPLE"', "AKIAIOSFODNN7EXAMPLE"),
        ('issuer = "https://id.example.com/realm"', 'issuer = "ftp://id"', "https"),
        ('issuer = "https://id.example.com/realm"', 'issuer = "https://aws"', "condition keys"),
        ('client_ids = ["app"]', "client_ids = []", "client_ids"),
        (
            "allow_http_loopback = true",
            'timeout_seconds = 1.0\n[[identity_provider]]\nissuer = "http://127.0.0.1"\nclient_ids = ["x"]',
            "allow_http_loopback",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, names: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError, match=names):
        _check(tmp_path, GOOD.replace(old, new, 1))


TWICE = {
    "roles": (f"[[role]]\nname = \"APP\"\ntrust_policy = '{TRUST}'", "APP.*twice.*app"),
    "users": ('[[user]]\nname = "Ci"', "Ci.*twice.*ci"),
    "policies": (f'[[policy]]\nname = "All"\npath = "/x/"\ndocument = \'{ALLOW}\'', "All.*twice.*all"),
    "accounts": (f'[[account]]\nid = "{ACCOUNT}"', ACCOUNT),
    "providers": (
        '[[identity_provider]]\nissuer = "http://id.example.com/realm"\nclient_ids = ["other"]',
        "http://id.example.com/realm: declared twice",
    ),
    "sources of a key": (
        '[[user]]\nname = "b"\n[[user.access_key]]\nsecret_env = "CI_SECRET"\n'
        '[[user.access_key]]\nsecret_env = "CI_SECRET"',
        "access_key.*of b: declared twice",
    ),
}


@pytest.mark.parametrize("what", TWICE)
def test_nothing_is_declared_twice(tmp_path: Path, what: str) -> None:
    entry, names = TWICE[what]
    with pytest.raises(ConfigurationError, match=names):
        _check(tmp_path, f"{GOOD}\n{entry}\n")


def test_two_users_do_not_share_an_access_key_id(tmp_path: Path) -> None:
    key_id = new_access_key_id(LONG_TERM, ACCOUNT)
    own = f'secret_env = "CI_SECRET"\nid = "{key_id}"'
    text = GOOD.replace('secret_env = "CI_SECRET"', own)
    assert [key.access_key_id for key in _check(tmp_path, text).keys] == [key_id]
    with pytest.raises(ConfigurationError, match=f"{key_id} of other: declared twice, before as {key_id} of ci"):
        _check(tmp_path, f'{text}\n[[user]]\nname = "other"\n[[user.access_key]]\n{own}\n')


def test_names_may_recur_in_another_account(tmp_path: Path) -> None:
    other = "999999999999"
    more = f'[[account]]\nid = "{other}"\n[[user]]\nname = "ci"\naccount = "{other}"\n'
    assert len(_check(tmp_path, GOOD + more).users) == 2


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622])
def test_a_secret_file_is_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    text = GOOD.replace('secret_env = "CI_SECRET"', 'secret_file = "ci.secret"')
    file = tmp_path / "ci.secret"
    file.write_text("s" * 40)
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"chmod 600 .*ci\.secret"):
        _check(tmp_path, text)
    file.chmod(0o600)
    assert _check(tmp_path, text).keys[0].secret == "s" * 40


USABLE_KEY = {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}']
)
def test_a_jwks_file_without_a_usable_key_is_refused(tmp_path: Path, text: str) -> None:
    configuration = GOOD + 'jwks_file = "keys.json"\n'
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"id\.example\.com/realm: keys\.json"):
        _check(tmp_path, configuration)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [USABLE_KEY]}))
    assert _check(tmp_path, configuration).providers[0].settings["jwks"]


@pytest.mark.parametrize(
    "text",
    ["", "\n", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "Zertifikat \u00e4"],
)
def test_a_ca_file_that_tls_cannot_use_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ca.pem").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"id\.example\.com/realm: ca\.pem"):
        _check(tmp_path, GOOD + 'ca_file = "ca.pem"\n')


def test_a_ca_file_that_tls_can_use_is_taken(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    subprocess.run([root / "certs" / "make", tmp_path], check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert _check(tmp_path, GOOD + 'ca_file = "ca.pem"\n').providers[0].settings["ca"]


def test_a_role_that_trusts_every_customer_of_an_issuer_is_refused(tmp_path: Path) -> None:
    host = "token.actions.githubusercontent.com"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{host}:aud": "sts.amazonaws.com"}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": statement})
    with pytest.raises(ConfigurationError, match=rf"\[\[role\]\] app: .*{host}:sub"):
        _check(tmp_path, GOOD.replace(TRUST, trust))


def _trusting(name: str, *principals: str) -> str:
    """``[[role]]``"""
    statement = {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "sts:AssumeRole"}
    return f"[[role]]\nname = \"{name}\"\ntrust_policy = '{json.dumps({'Statement': statement})}'\n"


def _trusted(database: Database, name: str) -> list[str]:
    """Whom the stored trust policy names."""
    role = Catalog(database, MASTER).role(f"arn:aws:iam::{ACCOUNT}:role/{name}")
    assert role is not None
    return json.loads(role.role.trust_policy)["Statement"]["Principal"]["AWS"]


CI, LEFT, RIGHT = (f"arn:aws:iam::{ACCOUNT}:{name}" for name in ("user/ci", "role/left", "role/right"))
MUTUAL = GOOD + _trusting("left", RIGHT, LEFT, CI) + _trusting("right", LEFT, ACCOUNT)


def test_trust_in_users_and_roles_is_bound_to_their_ids_also_mutual_trust(tmp_path: Path, database: Database) -> None:
    apply_configuration(database, _check(tmp_path, MUTUAL), MASTER)
    ids = _ids(database)
    assert _trusted(database, "left") == [ids[RIGHT], ids[LEFT], ids[CI]]
    assert _trusted(database, "right") == [ids[LEFT], ACCOUNT]
    before = _trusted(database, "left")
    apply_configuration(database, _check(tmp_path, MUTUAL), MASTER)
    assert _trusted(database, "left") == before


def test_a_namesake_is_trusted_only_after_the_file_is_applied_again(tmp_path: Path, database: Database) -> None:
    apply_configuration(database, _check(tmp_path, MUTUAL), MASTER)
    old = _ids(database)[CI]
    with database.change() as connection:
        connection.execute(entities.delete().where(entities.c.arn == CI))
    assert old in _trusted(database, "left")
    apply_configuration(database, _check(tmp_path, MUTUAL), MASTER)
    new = _ids(database)[CI]
    assert new != old
    assert _trusted(database, "left")[2:] == [new]


@pytest.mark.parametrize(
    "principal",
    [f"arn:aws:iam::{ACCOUNT}:user/CI", f"arn:aws:iam::{ACCOUNT}:role/app", RIGHT, "AIDAEXAMPLEEXAMPLE01"],
)
def test_trust_in_nobody_is_refused_and_nothing_is_applied(tmp_path: Path, database: Database, principal: str) -> None:
    apply_configuration(database, _check(tmp_path, GOOD), MASTER)
    before = _ids(database)
    refused = _check(tmp_path, GOOD + _trusting("left", principal))
    with pytest.raises(ConfigurationError) as refusal:
        apply_configuration(database, refused, MASTER)
    assert refusal.value.message.startswith(
        f'[[role]] left: trust policy: Invalid principal in policy: "AWS":"{principal}" at line 1, column '
    )
    assert _ids(database) == before


def test_whoever_is_trusted_cannot_be_removed_from_the_file_alone(tmp_path: Path, database: Database) -> None:
    apply_configuration(database, _check(tmp_path, MUTUAL), MASTER)
    without = MUTUAL.replace(KEY, "").replace(USER, "")
    with pytest.raises(ConfigurationError, match=r"\[\[role\]\] left: trust policy: Invalid principal.*user/ci"):
        apply_configuration(database, _check(tmp_path, without), MASTER)
    assert CI in _ids(database)


def test_trust_in_another_systems_account_stays_a_name(tmp_path: Path, database: Database) -> None:
    foreign = "arn:aws:iam::999999999999:role/left"
    apply_configuration(database, _check(tmp_path, GOOD + _trusting("left", foreign)), MASTER)
    assert _trusted(database, "left") == [foreign]
    held = GOOD + '[[account]]\nid = "999999999999"\n' + _trusting("left", foreign)
    with pytest.raises(ConfigurationError, match="Invalid principal"):
        apply_configuration(database, _check(tmp_path, held), MASTER)


def _long(size: int, *, trust: bool = False) -> str:
    """A policy of this many characters that count, in which every line break is one too many to count."""
    document = json.loads(TRUST if trust else ALLOW)
    document["Statement"]["Sid"] = ""
    document["Statement"]["Sid"] = "x" * (size - len(json.dumps(document, separators=(",", ":"))))
    return json.dumps(document, indent=4)


def _inline(kind: str, *sizes: int) -> str:
    entries = (f"[[{kind}.inline_policy]]\nname = \"i{n}\"\ndocument = '''{_long(s)}'''\n" for n, s in enumerate(sizes))
    return f'[[{kind}]]\nname = "big"\n' + (f"trust_policy = '{TRUST}'\n" if kind == "role" else "") + "".join(entries)


def _attached(kind: str, count: int) -> str:
    policies = "".join(f"[[policy]]\nname = \"p{n}\"\ndocument = '{ALLOW}'\n" for n in range(count))
    trust = f"trust_policy = '{TRUST}'\n" if kind == "role" else ""
    return f'{policies}[[{kind}]]\nname = "big"\n{trust}policies = {json.dumps([f"p{n}" for n in range(count)])}\n'


def _big_policy(size: int) -> str:
    return f"[[policy]]\nname = \"big\"\ndocument = '''{_long(size)}'''\n"


def _big_trust(size: int) -> str:
    return f"[[role]]\nname = \"big\"\ntrust_policy = '''{_long(size, trust=True)}'''\n"


QUOTAS = {
    "trust": (
        _big_trust(2_048),
        _big_trust(2_049),
        "[[role]] big: trust policy: Cannot exceed quota for ACLSizePerRole: 2048",
    ),
    "managed": (_big_policy(6_144), _big_policy(6_145), "[[policy]] big: Cannot exceed quota for PolicySize: 6144"),
    "user": (
        _inline("user", 1_024, 1_024),
        _inline("user", 1_024, 1_025),
        "[[user]] big: Maximum policy size of 2048 bytes exceeded for user big",
    ),
    "role": (
        _inline("role", 5_120, 5_120),
        _inline("role", 5_120, 5_121),
        "[[role]] big: Maximum policy size of 10240 bytes exceeded for role big",
    ),
    "of a user": (
        _attached("user", 10),
        _attached("user", 11),
        "[[user]] big: Cannot exceed quota for PoliciesPerUser: 10",
    ),
    "of a role": (
        _attached("role", 10),
        _attached("role", 11),
        "[[role]] big: Cannot exceed quota for PoliciesPerRole: 10",
    ),
}


@pytest.mark.parametrize("what", QUOTAS)
def test_quotas_hold_when_a_file_is_checked(tmp_path: Path, what: str) -> None:
    within, over, sentence = QUOTAS[what]
    _check(tmp_path, GOOD + within)
    with pytest.raises(ConfigurationError) as refusal:
        _check(tmp_path, GOOD + over)
    assert refusal.value.message == sentence


def test_quotas_can_be_set(tmp_path: Path) -> None:
    raised = "[quotas]\ntrust_policy = 8192\n"
    _check(tmp_path, GOOD + _big_trust(8_192) + raised)
    with pytest.raises(ConfigurationError, match="ACLSizePerRole: 8192"):
        _check(tmp_path, GOOD + _big_trust(8_193) + raised)
    with pytest.raises(ConfigurationError, match=r"PoliciesPerUser: 1$"):
        _check(tmp_path, GOOD + _attached("user", 2) + "[quotas]\nattached_policies = 1\n")


def test_a_policy_named_twice_is_attached_once(tmp_path: Path, database: Database) -> None:
    twice = _check(
        tmp_path, GOOD.replace('policies = ["all"]', f'policies = ["all", "arn:aws:iam::{ACCOUNT}:policy/all"]')
    )
    apply_configuration(database, twice, MASTER)
    role = Catalog(database, MASTER).role(f"arn:aws:iam::{ACCOUNT}:role/team/app")
    assert role is not None
    assert len(role.identity) == 2

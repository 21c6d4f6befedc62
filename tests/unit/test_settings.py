"""Settings: defaults, overrides, and refusals that name the key."""

from pathlib import Path

import pytest

from broker.errors import ConfigurationError
from broker.initialize import example_configuration
from broker.settings import load_settings


def _load(tmp_path: Path, text: str, **environ: str):
    (tmp_path / "accredit.toml").write_text(text)
    return load_settings(tmp_path, environ)


def test_the_example_is_all_defaults(tmp_path: Path) -> None:
    settings = _load(tmp_path, example_configuration())
    assert settings.server == _load(tmp_path, "").server
    assert [account.id for account in settings.account] == ["000000000000"]


def test_every_setting_is_in_the_example() -> None:
    import msgspec

    from broker.settings import _SECTIONS

    example = example_configuration()
    for section, kind in _SECTIONS.items():
        assert f"[{section}]" in example
        for field in msgspec.structs.fields(kind):
            assert f"\n# {field.name} = " in example, f"{section}.{field.name}"


def test_the_environment_wins(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        "[server]\nworkers = 3\n",
        ACCREDIT_SERVER_WORKERS="5",
        ACCREDIT_SERVER_TRUSTED_PROXIES="10.0.0.0/8, 192.168.1.1/32",
        ACCREDIT_FETCH_ALLOW_HTTP_LOOPBACK="true",
        PATH="/bin",
    )
    assert settings.server.workers == 5
    assert settings.server.trusted_proxies == ("10.0.0.0/8", "192.168.1.1/32")
    assert settings.fetch.allow_http_loopback is True


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[server]\nworker = 3\n", "worker"),
        ("[sever]\n", "sever"),
        ("[server]\nworkers = 'two'\n", "workers"),
        ("[server]\nworkers = 0\n", "server.workers"),
        ("[server]\nbind = 'nowhere'\n", "server.bind"),
        ("[server]\nbind = '127.0.0.1:99999'\n", "server.bind"),
        ("[server]\npath_prefix = 'sts'\n", "path_prefix"),
        ("[server]\ntls_key = 'x'\n", "tls_certificate"),
        ("[server]\ntrusted_proxies = ['10.0.0.1/8']\n", "trusted_proxies"),
        ("[fetch]\nallow_networks = ['x']\n", "allow_networks"),
        ("[audit]\nread_flush_milliseconds = 101\n", "read_flush_milliseconds"),
        ("[sts]\nclock_window_seconds = 0\n", "clock_window_seconds"),
        ("[quotas]\ntrust_policy = 8193\n", "quotas.trust_policy must be between 1 and 8192"),
        ("[quotas]\ntrust_policy = 0\n", "quotas.trust_policy"),
        ("[quotas]\nattached_policies = 0\n", "quotas.attached_policies must be at least 1"),
        ("[[role]]\nname = 'r'\ntrust = 'x'\n", "trust"),
        ("[[role]]\nname = 7\n", "name"),
        ("[[user]]\nname = 'u'\n[[user.access_key]]\nsecret = 'in the file'\n", "secret"),
        ("not toml", "accredit.toml"),
        ("[server]\nworkers = 1\nworkers = 2\n", "accredit.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(ConfigurationError, match=names):
        _load(tmp_path, text)


@pytest.mark.parametrize("name", ["ACCREDIT_SERVER_WORKER", "ACCREDIT_NOTHING", "ACCREDIT_ROLE_NAME", "ACCREDIT_"])
def test_an_unknown_variable_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        _load(tmp_path, "", **{name: "1"})


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ACCREDIT_SERVER_WORKERS"):
        _load(tmp_path, "", ACCREDIT_SERVER_WORKERS="many")


def test_a_variable_that_holds_a_secret_is_no_setting(tmp_path: Path) -> None:
    text = "[[user]]\nname = 'u'\n[[user.access_key]]\nsecret_env = 'ACCREDIT_U_SECRET'\n"
    assert _load(tmp_path, text, ACCREDIT_U_SECRET="s" * 40).user[0].access_key[0].secret_env == "ACCREDIT_U_SECRET"


def test_the_stores_password_is_no_setting(tmp_path: Path) -> None:
    settings = _load(tmp_path, "", ACCREDIT_STORE_PASSWORD="s3cret", ACCREDIT_STORE_URL="postgresql+psycopg://u@h/d")
    assert "s3cret" not in repr(settings)
    with pytest.raises(ConfigurationError, match="password"):
        _load(tmp_path, "[store]\npassword = 'in the file'\n")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="accredit init"):
        load_settings(tmp_path, {})

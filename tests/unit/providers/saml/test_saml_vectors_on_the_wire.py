"""The hostile vectors as attackers would send them: to the endpoint of AWS calls, and to the page that browsers bring
responses to. Each is refused by the same step as in ``test_saml_vectors``, in words for callers, with one event."""

from __future__ import annotations

import io
import json
from datetime import datetime
from urllib.parse import urlencode

import pytest
from realm import saml_forge as forge
from saml_provider import find_provider
from test_saml_vectors import REFUSED, build, load, parameters, settings

from broker.app import Prepared, build_pages, build_services
from broker.aws.endpoint import AwsEndpoint
from broker.configure import apply_configuration, check_configuration
from broker.credentials.keyring import add_key
from broker.settings import load_settings
from broker.store.engine import Database
from broker.store.schema import migrate

MASTER = b"m" * 32
NO_PARAMETER = {"SAML-15/surrogate", "SAML-15/empty", "SAML-15/blank"}
"""The endpoint takes none of these for a value of the parameter."""
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": forge.PROVIDER},
            "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"],
        },
    }
)
CONFIGURATION = f"""
[server]
base_url = "https://broker.example"
[audit]
failures_per_second = 100000  # each is looked for
[[account]]
id = "{forge.ACCOUNT}"
[[identity_provider]]
kind = "saml"
name = "realm"
metadata_file = "idp.xml"
audiences = ["{forge.AUDIENCE}"]
acs_urls = ["{forge.ACS}"]
idp_initiated = true
[[role]]
name = "Developer"
trust_policy = '{TRUST}'
"""


class _AtThatTime(datetime):
    """The vectors' own time."""

    @classmethod
    def now(cls, tz=None):
        return forge.NOW


class Wire:
    """Both doors of a broker whose provider has the settings of the vector."""

    def __init__(self, directory, monkeypatch):
        (directory / "idp.xml").write_text(forge.metadata())
        (directory / "accredit.toml").write_text(CONFIGURATION)
        database, read = Database("sqlite:///accredit.db", directory), load_settings(directory, {})
        migrate(database)
        apply_configuration(database, check_configuration(read, MASTER, {}), MASTER)
        with database.change() as connection:
            add_key(connection, MASTER, now=forge.NOW, activation_seconds=0)
        database.close()
        self.services = build_services(Prepared(read, MASTER))
        self.pages = build_pages(self.services)
        self._endpoint = AwsEndpoint(self.services, self.pages.wsgi_app)
        monkeypatch.setattr("broker.aws.endpoint.datetime", _AtThatTime)
        monkeypatch.setattr("broker.web.site.datetime", _AtThatTime)

    def close(self):
        self.services.usage.close()
        self.services.audit.close()
        self.services.database.close()

    def assume(self, text):
        """Status line and body."""
        form = {"Action": "AssumeRoleWithSAML", "Version": "2011-06-15", "RoleArn": forge.ROLE}
        body = urlencode(
            {**form, "PrincipalArn": forge.PROVIDER, "SAMLAssertion": text}, errors="surrogatepass"
        ).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "REMOTE_ADDR": "192.0.2.1",
        }
        started = []
        answer = b"".join(self._endpoint(environ, lambda status, _headers: started.append(status)))
        return int(started[0].split()[0]), answer.decode()

    def arrive(self, text):
        client = self.pages.test_client()
        path = f"/saml/{forge.ACCOUNT}/realm/acs"
        body, kind = urlencode({"SAMLResponse": text}, errors="surrogatepass"), "application/x-www-form-urlencoded"
        answer = client.post(path, base_url="https://broker.example", data=body, content_type=kind)
        return answer.status_code, answer.text

    def events(self):
        """How many there are, and the last."""
        self.services.audit.flush()
        with self.services.database.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT sequence, record FROM audit_events ORDER BY sequence DESC LIMIT 1"
            )
            number, record = rows.one()
        return number, json.loads(record)


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Wire(tmp_path_factory.mktemp("wire"), monkeypatch)
        yield made
        made.close()


@pytest.fixture
def judge(wire, monkeypatch):
    """Have the provider judge with these settings."""

    def judging(**found):
        monkeypatch.setattr(type(wire.services.providers), "get", lambda _self, _record: find_provider(**found))

    return judging


@pytest.mark.parametrize("case", parameters(*REFUSED))
def test_refused(wire, judge, case):
    judge(**settings(case))
    text, before = build(case), wire.events()[0]
    for send, page in ((wire.assume, False), (wire.arrive, True)):
        status, answer = send(text)
        if len(text) > 100_000:  # the longest SAMLAssertion of the model; a form of pages may be 256 KB
            assert 400 <= status < 500
            continue
        assert status == 403 if page else 400 <= status < 500
        _, event = wire.events()
        assert event["responseElements"] is None
        assert event["eventName"] in ("ConsoleLogin" if page else "AssumeRoleWithSAML", "")
        if page or case["name"] not in NO_PARAMETER:
            assert case["detail"] in event["additionalEventData"]["reason"], event
            assert event["additionalEventData"]["reason"] not in answer
    if len(text) <= 100_000:
        assert wire.events()[0] == before + 2


def test_the_doors_are_open(wire, judge):
    """What the vectors change is good without the change."""
    judge()
    text = forge.pack(forge.signed(forge.Draft(assertion_id="_good1")))
    assert wire.assume(text)[0] == 200
    assert wire.arrive(forge.pack(forge.signed(forge.Draft(assertion_id="_good2"))))[0] == 303


def test_all_of_them_are_sent():
    assert len(load(*REFUSED)) >= 500

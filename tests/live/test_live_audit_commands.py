"""The commands of the record, and outputs as a configuration declares them, on a served broker."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import time
from pathlib import Path

import pytest
from realm import wire
from realm.server import ACCOUNT, BrokerServer, accredit, serving

HOSTILE = '=HYPERLINK("x")'


@pytest.fixture(scope="module")
def recorded(make_broker):
    made = make_broker(
        '[[audit_output]]\nkind = "file"\nname = "archive"\npath = "events.ndjson"\n',
        settings={"audit.seal_seconds": 0.1, "server.workers": 2},
    )
    with serving(made):
        time.sleep(1.5)  # an output begins with what comes after it was configured
        iam = made.client(made.root, service="iam")
        iam.create_user(UserName="alice")
        headers = {"User-Agent": HOSTILE}
        wire.post(made, b"Action=Nonsense&Version=2011-06-15", headers)
        iam.delete_user(UserName="alice")
        deadline = time.monotonic() + 10
        while "DeleteUser" not in _archive(made) and time.monotonic() < deadline:
            time.sleep(0.1)
    return made


def _archive(broker: BrokerServer) -> str:
    path = broker.directory / "events.ndjson"
    return path.read_text() if path.exists() else ""


def test_an_output_file_has_each_event_once(recorded: BrokerServer) -> None:
    events = [json.loads(line) for line in _archive(recorded).splitlines()]
    names = [event["eventName"] for event in events]
    assert [name for name in names if name.endswith("User")] == ["CreateUser", "DeleteUser"]
    assert len({event["eventID"] for event in events}) == len(events)
    assert [event for event in events if event in recorded.events()] == events


def test_search_and_export(recorded: BrokerServer) -> None:
    found = accredit("audit", "search", recorded.directory, "--attribute", "ResourceName", "alice").splitlines()
    assert [json.loads(line)["eventName"] for line in found] == ["DeleteUser", "CreateUser"]
    assert len(accredit("audit", "search", recorded.directory, "-n", "1").splitlines()) == 1
    assert accredit("audit", "search", recorded.directory, "--account", "999999999999") == ""
    refused = accredit("audit", "search", recorded.directory, "--attribute", "ErrorCode", "InvalidAction")
    assert json.loads(refused)["eventName"] == "Nonsense"
    assert refused.isascii(), "nothing in an event can do anything to a terminal"
    exported = [json.loads(line) for line in accredit("audit", "export", recorded.directory).splitlines()]
    assert exported == recorded.events()[: len(exported)]
    assert {event["eventName"] for event in exported} >= {"Initialize", "CreateUser", "DeleteUser", "Nonsense"}
    own = accredit("audit", "export", recorded.directory, "--account", ACCOUNT).splitlines()
    assert {json.loads(line)["recipientAccountId"] for line in own} == {ACCOUNT}
    assert accredit("audit", "export", recorded.directory, "--until", "2020-01-01") == ""
    with pytest.raises(RuntimeError, match="is no time"):
        accredit("audit", "export", recorded.directory, "--since", "soon")
    with pytest.raises(RuntimeError, match="takes one of"):
        accredit("audit", "search", recorded.directory, "--attribute", "Color", "red")


def test_no_cell_of_a_table_is_a_formula(recorded: BrokerServer) -> None:
    text = accredit("audit", "export", recorded.directory, "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    (row,) = [row for row in rows if row["eventName"] == "Nonsense"]
    assert row["userAgent"].startswith("'=HYPERLINK")
    assert len(rows) == len(accredit("audit", "export", recorded.directory).splitlines())


def test_digest_files_are_what_awss_validator_takes(
    recorded: BrokerServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", "")  # which awscli sets when it is imported, for everybody
    from awscli.customizations.cloudtrail.validation import DigestSignatureError, Sha256RSADigestValidator

    time.sleep(1.5)
    keys = {}
    with serving(recorded):
        for key in recorded.client(recorded.root, service="cloudtrail").list_public_keys()["PublicKeyList"]:
            keys[key["Fingerprint"]] = base64.b64encode(key["Value"])
        first = accredit("audit", "digest", recorded.directory, tmp_path, "--account", ACCOUNT).strip()
        recorded.client(recorded.root, service="iam").create_user(UserName="bob")
        time.sleep(4)
        second = accredit("audit", "digest", recorded.directory, tmp_path, "--account", ACCOUNT).strip()
    previous = None
    for path in (first, second):
        content = gzip.decompress(Path(path).read_bytes())
        digest = json.loads(content)
        digest["_signature"] = json.loads(Path(path + ".metadata.json").read_text())["signature"]
        validator = Sha256RSADigestValidator()
        place = (digest["digestS3Bucket"], digest["digestS3Object"], keys[digest["digestPublicKeyFingerprint"]])
        validator.validate(*place, digest, content)
        with pytest.raises(DigestSignatureError):
            validator.validate(*place, digest, content + b" ")
        (log,) = digest["logFiles"]
        records = gzip.decompress((tmp_path / log["s3Object"]).read_bytes())
        assert hashlib.sha256(records).hexdigest() == log["hashValue"]
        names = {record["eventName"] for record in json.loads(records)["Records"]}
        assert ("CreateUser" in names, digest["awsAccountId"]) == (True, ACCOUNT)
        if previous is not None:
            assert digest["previousDigestSignature"] == previous[0]
            assert digest["previousDigestHashValue"] == hashlib.sha256(previous[1]).hexdigest()
            assert "alice" not in records.decode()
        previous = digest["_signature"], content


def test_pruning_keeps_what_is_young(recorded: BrokerServer) -> None:
    assert accredit("audit", "prune", recorded.directory, "--keep-days", "1") == "0 events deleted\n"


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ('[[audit_output]]\nkind = "carrier-pigeon"\nname = "x"\n', "audit_output"),
        ('[[audit_output]]\nkind = "webhook"\nname = "x"\nurl = "https://a.example"\nsecret_file = "no"\n', "data/no"),
        ('[[audit_output]]\nkind = "syslog"\nname = "x"\naddress = "nowhere"\n', "ADDRESS:PORT"),
        ('[[audit_output]]\nkind = "stdout"\nname = ""\n', "name of its own"),
        (2 * '[[audit_output]]\nkind = "stdout"\nname = "x"\n', "name of its own"),
    ],
)  # fmt: skip
def test_outputs_that_cannot_be_meant_stop_the_start(make_broker, objects: str, message: str) -> None:
    made = make_broker(objects)
    with pytest.raises(RuntimeError, match=message):
        made.start()

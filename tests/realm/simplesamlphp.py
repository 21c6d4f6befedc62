"""SimpleSAMLphp (Debian's) as a SAML identity provider, on PHP's own web server.

Service providers: their metadata goes into ``register``. ``announce`` publishes a second signing certificate,
``roll_over`` then signs with it alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from realm import saml_forge
from realm.components import LOOPBACK, free_port, missing, program

PASSWORD = "Passw0rd!"
_HOME = Path("/usr/share/simplesamlphp")
_START_SECONDS = 20
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SimpleSamlPhp:
    """A running provider; ``roles`` are the values of AWS's attribute Role that its users get."""

    def __init__(self, directory: Path, roles: list[str]) -> None:
        if not _HOME.exists():
            missing("simplesamlphp")
        self._directory = directory
        for name in ("config", "metadata", "cert", "log", "data", "tmp", "sessions", "sp"):
            (directory / name).mkdir()
        for name in ("idp", "idp-next"):
            (directory / "cert" / f"{name}.pem").write_text(saml_forge.private_pem(f"ssp-{name}"))
            (directory / "cert" / f"{name}.crt").write_text(saml_forge.certificate_pem(f"ssp-{name}"))
        self.url = f"http://{LOOPBACK}:{free_port()}"
        self.entity_id = f"{self.url}/idp"
        self.metadata_url = f"{self.url}/saml2/idp/metadata.php"
        self._write(roles)
        environment = os.environ | {
            "SIMPLESAMLPHP_CONFIG_DIR": str(directory / "config"),
            "PHP_CLI_SERVER_WORKERS": "2",
        }
        command = [program("php"), "-d", f"session.save_path={directory / 'sessions'}"]
        command += ["-S", self.url.removeprefix("http://"), "-t", str(_HOME / "www")]
        with (directory / "php.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.metadata()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    log = (self._directory / "php.log").read_text(errors="replace")
                    raise RuntimeError(f"SimpleSAMLphp did not start: {log[-2000:]}") from None
                time.sleep(0.05)

    def metadata(self) -> str:
        with _OPENER.open(self.metadata_url, timeout=10) as answer:
            return str(answer.read().decode())

    def register(self, name: str, metadata: bytes, **options: object) -> None:
        """A service provider, by its metadata; ``options`` are SimpleSAMLphp's own."""
        (self._directory / "sp" / f"{name}.xml").write_bytes(metadata)
        (self._directory / "sp" / f"{name}.json").write_text(json.dumps(options))

    def announce(self) -> None:
        (self._directory / "rollover").touch()

    def roll_over(self) -> None:
        (self._directory / "rolled").touch()

    def stop(self) -> None:
        """The server and its workers: a process group of their own."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(10)
        shutil.rmtree(self._directory / "sessions", ignore_errors=True)

    def _write(self, roles: list[str]) -> None:
        here = self._directory
        (here / "config" / "config.php").write_text(_CONFIG.replace("@URL", self.url).replace("@HERE", str(here)))
        users = {
            f"{name}:{PASSWORD}": {
                "uid": [name],
                "mail": [f"{name}@realm.test"],
                "groups": groups,
                f"{saml_forge.AWS}Role": roles,
                f"{saml_forge.AWS}RoleSessionName": [f"{name}@realm.test"],
            }
            for name, groups in (("alice", ["engineering"]), ("bob", ["finance"]))
        }
        sources = json.dumps({"admin": ["core:AdminPassword"], "users": {"0": "exampleauth:UserPass", **users}})
        (here / "config" / "authsources.php").write_text(f"<?php\n$config = json_decode('{sources}', true);\n")
        (here / "metadata" / "saml20-idp-hosted.php").write_text(
            _HOSTED.replace("@URL", self.url).replace("@HERE", str(here))
        )
        (here / "metadata" / "saml20-sp-remote.php").write_text(_REMOTE.replace("@HERE", str(here)))


_CONFIG = """<?php
$config = [
  'baseurlpath' => '@URL/', 'certdir' => '@HERE/cert/', 'loggingdir' => '@HERE/log/', 'datadir' => '@HERE/data/',
  'tempdir' => '@HERE/tmp', 'metadatadir' => '@HERE/metadata/',
  'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
  'secretsalt' => 'made-for-tests', 'auth.adminpassword' => 'made-for-tests', 'timezone' => 'UTC',
  'technicalcontact_email' => 'na@realm.test', 'logging.level' => SimpleSAML\\Logger::INFO, 'logging.handler' => 'file',
  'logging.logfile' => 'ssp.log', 'statistics.out' => [], 'enable.saml20-idp' => true,
  'module.enable' => ['core' => true, 'saml' => true, 'exampleauth' => true], 'store.type' => 'phpsession',
  'session.phpsession.savepath' => '@HERE/sessions', 'session.cookie.name' => 'SSPSession',
  'session.phpsession.cookiename' => 'SSP', 'session.authtoken.cookiename' => 'SSPAuth',
  'session.cookie.secure' => false,
  'session.cookie.samesite' => null, 'language.cookie.secure' => false, 'trusted.url.domains' => null,
  'admin.checkforupdates' => false, 'production' => true, 'showerrors' => true,
  'metadata.sources' => [['type' => 'flatfile']], 'language.default' => 'en',
];
"""
_HOSTED = """<?php
$metadata['@URL/idp'] = ['host' => '__DEFAULT__', 'auth' => 'users',
  'privatekey' => 'idp.pem', 'certificate' => 'idp.crt',
  'saml20.sign.response' => true, 'saml20.sign.assertion' => true, 'sign.logout' => true,
  'validate.authnrequest' => true,
  'validate.logout' => true, 'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'SingleSignOnServiceBinding' => ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
    'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
  'SingleLogoutServiceBinding' => ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
    'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
  'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri', 'userid.attribute' => 'uid',
  'authproc' => [
    1 => ['class' => 'saml:TransientNameID'], 2 => ['class' => 'saml:PersistentNameID', 'attribute' => 'uid'],
    3 => ['class' => 'saml:AttributeNameID', 'attribute' => 'mail',
      'Format' => 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress']]];
$m = &$metadata['@URL/idp'];
if (file_exists('@HERE/rolled')) { $m['privatekey'] = 'idp-next.pem'; $m['certificate'] = 'idp-next.crt'; }
elseif (file_exists('@HERE/rollover')) {
  $m += ['new_privatekey' => 'idp-next.pem', 'new_certificate' => 'idp-next.crt'];
}
unset($m);
"""
_REMOTE = """<?php
foreach (glob('@HERE/sp/*.xml') as $f) {
  $o = json_decode(@file_get_contents(substr($f, 0, -4) . '.json') ?: '[]', true);
  foreach (SimpleSAML\\Metadata\\SAMLParser::parseDescriptorsFile($f) as $id => $p) {
    $m = $p->getMetadata20SP();
    if ($m) { unset($m['entityDescriptor'], $m['expire']); $metadata[$id] = $o + $m; }
  }
}
"""

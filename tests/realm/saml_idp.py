"""A SAML identity provider for the tests: pysaml2 and the program xmlsec1, which share no line with what they test.

A person signs in at a form; the answer is a page with the response in another form, as a browser would post it. Query
parameters of ``/sso`` choose what is signed and encrypted. By hand: ``.venv/bin/python tests/realm/saml_idp.py`` serves
until Ctrl-C and prints a response.
"""

from __future__ import annotations

import base64
import html
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from realm import saml_forge
from realm.components import LOOPBACK, free_port, program

PASSWORD = "Passw0rd!"
SP, ACS = "https://broker.example/saml", "https://broker.example/saml/acs"
USERS: dict[str, dict[str, list[str]]] = {
    "alice": {"uid": ["alice"], "mail": ["alice@realm.test"], "groups": ["engineering", "backend"]},
    "carol": {"uid": ["carol"], "mail": ["carol@realm.test"], "groups": ["finance"]},
}
_NAME_FORMATS = {
    "email": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "transient": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
}
_SIGNATURES = {name: f"http://www.w3.org/2001/04/xmldsig-more#rsa-{name}" for name in ("sha256", "sha512")}
_SIGNATURES["sha1"] = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
_DIGESTS = {name: f"http://www.w3.org/2001/04/xmlenc#{name}" for name in ("sha256", "sha512")}
_DIGESTS["sha1"] = "http://www.w3.org/2000/09/xmldsig#sha1"
_START_SECONDS = 20


class SamlIdp:
    """A running provider. ``roles`` are the values of AWS's attribute Role that its users get."""

    def __init__(self, directory: Path, roles: list[str]) -> None:
        self.url = f"http://{LOOPBACK}:{free_port()}"
        for name in ("idp", "sp"):
            (directory / f"{name}.key").write_text(saml_forge.private_pem(name))
            (directory / f"{name}.crt").write_text(saml_forge.certificate_pem(name))
        (directory / "sp.xml").write_text(_sp_metadata())
        config = directory / "idp.json"
        config.write_text(json.dumps({"url": self.url, "roles": roles, "xmlsec1": program("xmlsec1")}))
        self._log = directory / "idp.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.metadata = self._wait()

    def _wait(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with _OPENER.open(f"{self.url}/metadata", timeout=5) as answer:
                    return str(answer.read().decode())
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"the SAML provider did not start: {self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    def sign_in(self, user: str = "alice", **options: str) -> str:
        """The field SAMLResponse of the page that a sign-in ends with."""
        page = self._open(f"/sso?{urllib.parse.urlencode(options)}")
        form = _Form(page)
        filled = form.fields | {"user": user, "password": PASSWORD}
        answer = _Form(self._open(form.action, urllib.parse.urlencode(filled).encode()))
        if answer.action != ACS:
            raise RuntimeError(f"no response: {page[:300]}")
        return answer.fields["SAMLResponse"]

    def _open(self, path: str, data: bytes | None = None) -> str:
        with _OPENER.open(urllib.request.Request(self.url + path, data), timeout=20) as answer:
            return str(answer.read().decode())


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class _Form(HTMLParser):
    """The form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.action = found.get("action") or ""
        elif tag == "input" and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""


def _sp_metadata() -> str:
    keys = "".join(
        f'<md:KeyDescriptor use="{use}">{saml_forge.key_info("sp")}</md:KeyDescriptor>'
        for use in ("signing", "encryption")
    )
    return (
        f'<md:EntityDescriptor xmlns:md="{saml_forge.MD}" entityID="{SP}"><md:SPSSODescriptor '
        f'protocolSupportEnumeration="{saml_forge.SAMLP}">{keys}<md:AssertionConsumerService index="0" '
        f'Binding="{saml_forge.BINDING}POST" Location="{ACS}"/></md:SPSSODescriptor></md:EntityDescriptor>'
    )


# --- the provider's process -------------------------------------------------------------------------------------------


class _Provider:
    """What pysaml2 needs to be told."""

    def __init__(self, config: Path) -> None:
        from saml2 import BINDING_HTTP_REDIRECT, saml
        from saml2.config import IdPConfig
        from saml2.metadata import entity_descriptor
        from saml2.server import Server

        told = json.loads(config.read_text())
        self.url, self._roles = told["url"], told["roles"]
        settings = {
            "entityid": f"{self.url}/metadata",
            "key_file": str(config.with_name("idp.key")),
            "cert_file": str(config.with_name("idp.crt")),
            "xmlsec_binary": told["xmlsec1"],
            "metadata": {"local": [str(config.with_name("sp.xml"))]},
            "service": {
                "idp": {
                    "endpoints": {"single_sign_on_service": [(f"{self.url}/sso", BINDING_HTTP_REDIRECT)]},
                    "policy": {
                        "default": {
                            "lifetime": {"minutes": 5},
                            "attribute_restrictions": None,
                            "name_form": saml.NAME_FORMAT_URI,
                        }
                    },
                }
            },
        }
        self._config = IdPConfig().load(settings)
        self.metadata = str(entity_descriptor(self._config)).encode()
        self._server = Server(config=IdPConfig().load(settings))

    def respond(self, user: str, options: dict[str, str]) -> str:
        """A response in base64."""
        from saml2 import saml

        kind = _NAME_FORMATS[options.get("name", "email")]
        text = {"email": f"{user}@realm.test", "persistent": f"P-{user}"}.get(
            options.get("name", "email"), os.urandom(8).hex()
        )
        identity = USERS[user] | {
            f"{saml_forge.AWS}Role": self._roles,
            f"{saml_forge.AWS}RoleSessionName": [f"{user}@realm.test"],
        }
        if user == "carol":
            identity |= {
                f"{saml_forge.AWS}SourceIdentity": ["carol"],
                f"{saml_forge.AWS}PrincipalTag:Team": ["finance"],
            }
        sign, algorithm = options.get("sign", "both"), options.get("algorithm", "sha256")
        made = self._server.create_authn_response(
            identity,
            None,
            ACS,
            sp_entity_id=SP,
            name_id=saml.NameID(format=kind, sp_name_qualifier=SP, text=text),
            userid=user,
            authn={"class_ref": saml.AUTHN_PASSWORD_PROTECTED, "authn_auth": self.url},
            sign_response=sign in ("both", "response"),
            sign_assertion=sign in ("both", "assertion"),
            encrypt_assertion=options.get("encrypt") == "1",
            encrypted_advice_attributes=False,
            sign_alg=_SIGNATURES[algorithm],
            digest_alg=_DIGESTS[algorithm],
        )
        return base64.b64encode(str(made).encode()).decode()


def _encrypt_with(algorithm: str) -> None:
    """What pysaml2 has no setting for: it encrypts with Triple DES."""
    from functools import partial, partialmethod

    from saml2 import entity, sigver

    entity.pre_encryption_part = partial(sigver.pre_encryption_part, msg_enc=algorithm)
    kind = sigver.SecurityContext
    kind.encrypt_assertion = partialmethod(kind.encrypt_assertion, key_type="aes-256")


def _handler(provider: _Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path == "/metadata":
                self._answer(provider.metadata, "application/samlmetadata+xml")
            else:
                hidden = "".join(
                    f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
                    for name, value in urllib.parse.parse_qsl(query)
                )
                fields = f'{hidden}<input name="user"><input name="password">'
                self._answer(f'<form method="post" action="/sso">{fields}</form>'.encode())

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            fields = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode()))
            user = fields.pop("user")
            if user not in USERS or fields.pop("password") != PASSWORD:
                self._answer(b"<p>Wrong user or password</p>")
                return
            text = provider.respond(user, fields)
            field = f'<input type="hidden" name="SAMLResponse" value="{text}">'
            self._answer(f'<form method="post" action="{ACS}">{field}</form>'.encode())

        def _answer(self, body: bytes, kind: str = "text/html; charset=utf-8") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _serve(config: Path) -> None:
    _encrypt_with("http://www.w3.org/2009/xmlenc11#aes256-gcm")
    provider = _Provider(config)
    port = int(provider.url.rpartition(":")[2])
    ThreadingHTTPServer((LOOPBACK, port), _handler(provider)).serve_forever()


def _show() -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="accredit-saml-idp-") as directory:
        idp = SamlIdp(Path(directory), [f"{saml_forge.ROLE},{saml_forge.PROVIDER}"])
        try:
            print(idp.url, base64.b64decode(idp.sign_in()).decode(), sep="\n", flush=True)
            idp._process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            idp.stop()


if __name__ == "__main__":
    _serve(Path(sys.argv[1])) if len(sys.argv) > 1 else _show()

"""Starts npm's oidc-provider on node, and signs people in at it the way a browser would.

By hand: ``.venv/bin/python tests/realm/oidc_provider.py`` serves until Ctrl-C and prints its address and an ID token.
"""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import json
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from realm.components import LOOPBACK, free_port, node_modules, program

PASSWORD = "Passw0rd!"
CLIENTS = {"RS256": "broker", "ES256": "broker-es256", "EdDSA": "broker-eddsa"}
OTHER_CLIENT = "other"
"""Registered at the provider, but none of the broker's: its tokens must not be taken."""

_START_SECONDS = 20
_REDIRECT = "http://127.0.0.1:5000/oidc/callback"
_SCRIPT = Path(__file__).with_name("oidc_provider.mjs")


class OidcProvider:
    """A running provider. Its keys and sessions are in its memory and end with it."""

    def __init__(self, directory: Path, *, redirect_uris: tuple[str, ...] = (), port: int = 0) -> None:
        port = port or free_port()
        self.issuer = f"http://{LOOPBACK}:{port}"
        self._log = directory / "oidc-provider.log"
        config = directory / "oidc-provider.json"
        config.write_text(
            json.dumps(
                {
                    "port": port,
                    "password": PASSWORD,
                    "redirect_uris": [_REDIRECT, *redirect_uris],
                    "modules": str(node_modules("oidc-provider").parent),
                }
            )
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program("node"), str(_SCRIPT), str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while b"ready" not in self._log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"oidc-provider did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    def rotate(self) -> None:
        """Sign with new keys; the old ones stay published."""
        self._post("/admin/rotate")

    def drop(self) -> None:
        """Publish the newest keys alone."""
        self._post("/admin/drop")

    def id_token(self, algorithm: str = "RS256", *, user: str = "alice", client: str = "") -> str:
        """The ID token of a sign-in with authorization code and PKCE (RFC 7636)."""
        client = client or CLIENTS[algorithm]
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": client,
            "response_type": "code",
            "redirect_uri": _REDIRECT,
            "scope": "openid profile email groups",
            "state": state,
            "nonce": secrets.token_urlsafe(12),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        callback = WalkingBrowser(user).walk(f"{self.issuer}/auth?{urllib.parse.urlencode(query)}")
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(callback).query))
        if answer.get("state") != state or "code" not in answer:
            raise RuntimeError(f"the provider gave no code: {callback}")
        return str(self._redeem(client, answer["code"], verifier)["id_token"])

    def _redeem(self, client: str, code: str, verifier: str) -> Any:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": _REDIRECT, "code_verifier": verifier}
        secret = f"{client}-secret-0123456789abcdef0123456789"
        authorization = base64.b64encode(f"{client}:{secret}".encode()).decode()
        return json.loads(self._post("/token", form, {"Authorization": f"Basic {authorization}"}))

    def _post(self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(
            self.issuer + path, urllib.parse.urlencode(form or {}).encode(), headers or {}, method="POST"
        )
        with _opener().open(request, timeout=20) as answer:
            return bytes(answer.read())


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _opener(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)


class _Form(HTMLParser):
    """The first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = found.get("action") or ""
        elif tag in ("input", "button") and found.get("name") and self.action is not None:
            self.fields.setdefault(str(found["name"]), found.get("value") or "")


class WalkingBrowser:
    """Follows redirects and fills in forms until it is sent away from the provider."""

    def __init__(self, user: str) -> None:
        self._answers = {"login": user, "password": PASSWORD}
        self._opener = _opener(_Stay, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def walk(self, url: str) -> str:
        home = urllib.parse.urlsplit(url).netloc
        data: bytes | None = None
        for _ in range(20):
            if urllib.parse.urlsplit(url).netloc != home:
                return url
            url, data = self._step(url, data)
        raise RuntimeError("too many steps")

    def _step(self, url: str, data: bytes | None) -> tuple[str, bytes | None]:
        try:
            with self._opener.open(urllib.request.Request(url, data), timeout=20) as answer:
                page = answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in (301, 302, 303, 307):
                    raise RuntimeError(f"HTTP {error.code} from {url}: {error.read()[:300]!r}") from None
                return urllib.parse.urljoin(url, error.headers["Location"]), None
        form = _Form()
        form.feed(page)
        if form.action is None:
            raise RuntimeError(f"no form at {url}: {page[:300]}")
        filled = {name: self._answers.get(name, value) for name, value in form.fields.items()}
        return urllib.parse.urljoin(url, form.action), urllib.parse.urlencode(filled).encode()


def _main() -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="accredit-oidc-provider-") as directory:
        provider = OidcProvider(Path(directory))
        try:
            print(provider.issuer, provider.id_token(), sep="\n", flush=True)
            provider._process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            provider.stop()


if __name__ == "__main__":
    _main()

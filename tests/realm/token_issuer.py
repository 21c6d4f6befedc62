"""An OpenID provider made for the tests: publishes keys of every kind and signs whatever a test wants signed."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from realm.components import LOOPBACK

AUDIENCE = "sts.amazonaws.com"
LIFETIME_SECONDS = 3_600
_CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


class TokenIssuer:
    """Serves discovery and JWKS on a free loopback port. ``token`` signs with the key of the algorithm."""

    algorithms = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

    def __init__(self) -> None:
        self._rsa = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self._keys: dict[str, Any] = {name: ec.generate_private_key(curve()) for name, curve in _CURVES.items()}
        self._keys["EdDSA"] = ed25519.Ed25519PrivateKey.generate()
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer((LOOPBACK, 0), _handler(self))
        self._server.daemon_threads = True
        self.issuer = f"http://{LOOPBACK}:{self._server.server_address[1]}"
        self.host = self.issuer.removeprefix("http://")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="token-issuer")
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def claims(self, subject: str, **claims: Any) -> dict[str, Any]:
        """What ``token`` says. A claim given as None is left out."""
        now = int(time.time())
        body = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
        } | claims
        return {name: value for name, value in body.items() if value is not None}

    def token(
        self, subject: str, algorithm: str = "RS256", *, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token for ``subject``, signed as ``algorithm`` says."""
        head = {"kid": self.key_id(algorithm)} | (headers or {})
        return jwt.encode(self.claims(subject, **claims), self.key(algorithm), algorithm=algorithm, headers=head)

    def key(self, algorithm: str) -> Any:
        """The private key behind an algorithm."""
        return self._keys.get(algorithm, self._rsa)

    @staticmethod
    def key_id(algorithm: str) -> str:
        return f"test-{algorithm}"

    def jwks(self) -> dict[str, Any]:
        """The published keys, one for each algorithm."""
        signers = get_default_algorithms()
        return {
            "keys": [
                {
                    **signers[name].to_jwk(self.key(name).public_key(), as_dict=True),
                    "kid": self.key_id(name),
                    "use": "sig",
                    "alg": name,
                }
                for name in self.algorithms
            ]
        }

    def document(self, path: str) -> dict[str, Any] | None:
        """What is published under ``path``."""
        self.requests.append(path)
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/jwks",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": list(self.algorithms),
            }
        return self.jwks() if path == "/jwks" else None

    def form(self, path: str, fields: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """What a form is answered with; there is no token endpoint here."""
        return 404, {"error": "not found"}


def _handler(issuer: TokenIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = issuer.document(self.path)
            self._answer(200 if document else 404, document or {"error": "not found"})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(*issuer.form(self.path, dict(parse_qsl(text)), self.headers.get("Authorization", "")))

        def _answer(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: the tests look at ``requests``."""

    return Handler

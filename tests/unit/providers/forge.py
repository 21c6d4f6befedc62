"""Tokens as an issuer or an attacker makes them, for tests/vectors/jwt; keys are made anew in each run."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from jwt.algorithms import get_default_algorithms

from providers.oidc.claims import ClaimRules
from providers.oidc.jwks import StaticKeys, parse_jwks
from providers.oidc.provider import OidcProvider
from providers.oidc.token import parse_id_token

ARN = "arn:aws:iam::111122223333:oidc-provider/idp.example"
ISSUER = "https://idp.example"
CLIENT = "sts.amazonaws.com"
NOW = 1_800_000_000
MOMENT = datetime.fromtimestamp(NOW, UTC)
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1(), "ES256K": ec.SECP256K1()}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SIGNERS = get_default_algorithms()


@cache
def private_key(name):
    """The private key of this name. The issuer's RSA algorithms share ``RSA``; ``evil-`` keys are an attacker's."""
    algorithm = name.removeprefix("evil-")
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65_537, key_size=1_024 if algorithm == "weak" else 2_048)


def key_name(algorithm):
    return "RSA" if algorithm[:2] in ("RS", "PS") else algorithm


def jwk(algorithm, *, key=None, **members):
    """The public JWK of the issuer's key for ``algorithm``; a member given as None is left out."""
    public = private_key(key or key_name(algorithm)).public_key()
    found = {**SIGNERS[algorithm].to_jwk(public, as_dict=True), "kid": algorithm, "use": "sig", "alg": algorithm}
    found.pop("key_ops", None)
    return {name: value for name, value in (found | members).items() if value is not None}


@cache
def issuer_jwks():
    """A key for each algorithm, named after it, and ``bare``: an RSA key that states no algorithm."""
    return json.dumps({"keys": [*(jwk(name) for name in ALGORITHMS), jwk("RS256", kid="bare", alg=None)]}).encode()


def base_claims():
    return {"iss": ISSUER, "aud": CLIENT, "sub": "user-1", "iat": NOW - 5, "nbf": NOW - 5, "exp": NOW + 300, "jti": "1"}


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign(signed, algorithm, key):
    """The signature over ``signed``, by PyJWT, except where PyJWT rightly has no such algorithm."""
    if algorithm in SIGNERS and algorithm != "none":
        return SIGNERS[algorithm].sign(signed, key)
    return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def make_token(header, payload, algorithm="RS256", key=None):
    """``header`` and ``payload`` as they are (bytes), or as JSON of an object."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signed = ".".join(map(b64, parts))
    return f"{signed}.{b64(sign(signed.encode(), algorithm, private_key(key or key_name(algorithm))))}"


def good_token(algorithm="RS256", **claims):
    header = {"alg": algorithm, "kid": algorithm, "typ": "JWT"}
    body = {name: value for name, value in (base_claims() | claims).items() if value is not None}
    return make_token(header, body, algorithm)


def make_provider(jwks=None, **rules):
    keys = StaticKeys(parse_jwks(jwks or issuer_jwks()))
    return OidcProvider(ARN, ClaimRules(**({"issuer": ISSUER, "client_ids": (CLIENT, "second")} | rules)), keys)


def authenticate(token, *, now=MOMENT, **provider):
    """What a caller does with the text of a token."""
    return make_provider(**provider).authenticate(parse_id_token(token), now=now)


def resign(token, change):
    """``token`` with its signature changed by ``change``."""
    signed, _, signature = token.rpartition(".")
    return f"{signed}.{b64(change(unb64(signature)))}"


def hmac_with(secret):
    """A token whose MAC is made with something that is no secret (CVE-2016-5431)."""

    def forge(algorithm):
        digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
        signed = (
            f"{b64(json.dumps({'alg': algorithm, 'kid': 'RS256'}).encode())}.{b64(json.dumps(base_claims()).encode())}"
        )
        return f"{signed}.{b64(hmac.new(secret(), signed.encode(), digest).digest())}"

    return forge


def _public(encoding, form=serialization.PublicFormat.SubjectPublicKeyInfo):
    return private_key("RSA").public_key().public_bytes(encoding, form)


def _der(token):
    """The signature of an ES256 token as DER, the form of X.509, instead of JOSE's."""
    signed = token.rpartition(".")[0]
    der = private_key("ES256").sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    return f"{signed}.{b64(der)}"


def _es_plus_order(signature):
    r = int.from_bytes(signature[:32]) + P256_ORDER
    return r.to_bytes(33) + signature[32:]


def _high_s(signature):
    """The other valid signature of the same text: s and n-s both verify, so bytes are no identity of a token."""
    return signature[:32] + (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)


def _rsa_plus_modulus(signature):
    modulus = private_key("RSA").public_key().public_numbers().n
    return (int.from_bytes(signature) + modulus).to_bytes(257)


def _psychic(values):
    return lambda signature: values[0].to_bytes(32) + values[1].to_bytes(32)


def _with_parts(change):
    return lambda: ".".join(change(*good_token().split(".")))


def _edit_payload(before, after):
    """The payload altered after signing."""

    def change(header, payload, signature):
        assert before in unb64(payload)
        return header, b64(unb64(payload).replace(before, after)), signature

    return _with_parts(change)


def _edit_header(**members):
    def change(header, payload, signature):
        return b64(json.dumps(json.loads(unb64(header)) | members).encode()), payload, signature

    return _with_parts(change)


def _loose_tail():
    """The same bytes in another spelling: the unused bits of the last character are set."""
    token = good_token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    assert last % 16 == 0
    return token[:-1] + alphabet[last + 1]


def _std_base64():
    """A signature spelled in the standard alphabet, which has + and / for - and _."""
    for number in range(1_000):
        token = good_token(jti=str(number))
        if {"-", "_"} & set(token.rpartition(".")[2]):
            head, _, signature = token.rpartition(".")
            return f"{head}.{signature.replace('-', '+').replace('_', '/')}"
    raise AssertionError


def _jwe(header, parts=5):
    return ".".join([b64(json.dumps(header).encode()), *["AAAA"] * (parts - 1)])


FORGERIES = {
    "good": good_token,
    "hs-pem": lambda: hmac_with(lambda: _public(serialization.Encoding.PEM))("HS256"),
    "hs-pem-stripped": lambda: hmac_with(lambda: _public(serialization.Encoding.PEM).strip())("HS256"),
    "hs-der": lambda: hmac_with(lambda: _public(serialization.Encoding.DER))("HS256"),
    "hs-pkcs1": lambda: hmac_with(lambda: _public(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1))(
        "HS256"
    ),
    "hs384-pem": lambda: hmac_with(lambda: _public(serialization.Encoding.PEM))("HS384"),
    "hs512-pem": lambda: hmac_with(lambda: _public(serialization.Encoding.PEM))("HS512"),
    "hs-jwk": lambda: hmac_with(lambda: json.dumps(jwk("RS256")).encode())("HS256"),
    "hs-modulus": lambda: hmac_with(lambda: private_key("RSA").public_key().public_numbers().n.to_bytes(256))("HS256"),
    "hs-empty": lambda: hmac_with(lambda: b"")("HS256"),
    "hs-kid": lambda: hmac_with(lambda: b"RS256")("HS256"),
    "hs-client-id": lambda: hmac_with(CLIENT.encode)("HS256"),
    "psychic-0-0": lambda: resign(good_token("ES256"), _psychic((0, 0))),
    "psychic-1-1": lambda: resign(good_token("ES256"), _psychic((1, 1))),
    "psychic-n-n": lambda: resign(good_token("ES256"), _psychic((P256_ORDER, P256_ORDER))),
    "psychic-0-s": lambda: resign(good_token("ES256"), lambda raw: bytes(32) + raw[32:]),
    "psychic-r-0": lambda: resign(good_token("ES256"), lambda raw: raw[:32] + bytes(32)),
    "psychic-384": lambda: resign(good_token("ES384"), lambda raw: bytes(96)),
    "psychic-512": lambda: resign(good_token("ES512"), lambda raw: bytes(132)),
    "eddsa-zero": lambda: resign(good_token("EdDSA"), lambda raw: bytes(64)),
    "es-der": lambda: _der(good_token("ES256")),
    "es-65-bytes": lambda: resign(good_token("ES256"), lambda raw: raw + b"\0"),
    "es-padded-65": lambda: resign(good_token("ES256"), lambda raw: b"\0" + raw),
    "es-63-bytes": lambda: resign(good_token("ES256"), lambda raw: raw[:-1]),
    "es-swapped": lambda: resign(good_token("ES256"), lambda raw: raw[32:] + raw[:32]),
    "es-r-plus-n": lambda: resign(good_token("ES256"), _es_plus_order),
    "es-high-s": lambda: resign(good_token("ES256"), _high_s),
    "signature-empty": lambda: resign(good_token(), lambda raw: b""),
    "signature-cut": lambda: resign(good_token(), lambda raw: raw[:-1]),
    "signature-half": lambda: resign(good_token(), lambda raw: raw[:128]),
    "signature-long": lambda: resign(good_token(), lambda raw: raw + b"\0"),
    "signature-leading-zero": lambda: resign(good_token(), lambda raw: b"\0" + raw),
    "signature-plus-n": lambda: resign(good_token(), _rsa_plus_modulus),
    "signature-zero": lambda: resign(good_token(), lambda raw: bytes(256)),
    "signature-one": lambda: resign(good_token(), lambda raw: bytes(255) + b"\1"),
    "signature-bit": lambda: resign(good_token(), lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
    "signature-reversed": lambda: resign(good_token(), lambda raw: raw[::-1]),
    "signature-digest": lambda: resign(good_token(), lambda raw: hashlib.sha256(raw).digest()),
    "signature-of-another": lambda: f"{good_token(sub='admin').rpartition('.')[0]}.{good_token().rpartition('.')[2]}",
    "altered-sub": _edit_payload(b"user-1", b"user-2"),
    "altered-space": _edit_payload(b'{"iss"', b'{ "iss"'),
    "altered-exp": _edit_payload(str(NOW + 300).encode(), str(NOW + 301).encode()),
    "altered-header-kid": _edit_header(kid="bare", x="y"),
    "altered-header-typ": _edit_header(typ="jwt"),
    "non-canonical-tail": _loose_tail,
    "standard-base64": _std_base64,
    "padded-base64": lambda: good_token() + "==",
    "two-parts": lambda: good_token().rpartition(".")[0],
    "one-part": lambda: good_token().partition(".")[0],
    "four-parts": lambda: good_token() + ".AAAA",
    "empty-fourth-part": lambda: good_token() + ".",
    "leading-dot": lambda: "." + good_token(),
    "empty": lambda: "",
    "only-dots": lambda: "..",
    "million-dots": lambda: "." * 1_000_000,
    "empty-header": _with_parts(lambda header, payload, signature: ("", payload, signature)),
    "empty-payload": _with_parts(lambda header, payload, signature: (header, "", signature)),
    "bearer": lambda: f"Bearer {good_token()}",
    "inner-newline": lambda: good_token().replace(".", ".\n", 1),
    "inner-space": lambda: good_token()[:40] + " " + good_token()[40:],
    "inner-nul": lambda: good_token()[:40] + "\0" + good_token()[40:],
    "trailing-nul": lambda: good_token() + "\0",
    "trailing-nbsp": lambda: good_token() + "\u00a0",
    "surrogate": lambda: good_token() + "\ud800",
    "full-width": lambda: good_token().replace("A", "\uff21", 1),
    "one-bad-length": lambda: good_token()[:-1] + "AAAA",
    "three-megabytes": lambda: make_token({"alg": "RS256", "kid": "RS256"}, base_claims() | {"x": "a" * 3_000_000}),
    "17-kilobytes": lambda: good_token(x="a" * 12_300),
    "trailing-newline": lambda: good_token() + "\n",
    "surrounded-by-space": lambda: " \t\r\n" + good_token() + "\r\n",
    "json-general": lambda: json.dumps({"payload": "AAAA", "signatures": [{"protected": "AAAA", "signature": "AAAA"}]}),
    "json-flattened": lambda: json.dumps(
        dict(zip(("protected", "payload", "signature"), good_token().split("."), strict=True))
    ),
    "jwe-dir": lambda: _jwe({"alg": "dir", "enc": "A256GCM"}),
    "jwe-rsa-oaep": lambda: _jwe({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "RS256"}),
    "jwe-pbes2": lambda: _jwe({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31, "p2s": "AAAA"}),
    "jwe-zip": lambda: _jwe({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}),
    "jwe-in-three-parts": lambda: _jwe({"alg": "dir", "enc": "A256GCM"}, 3),
}

"""Ready-made HTTP requests, signed as an AWS client signs them, and spoilt ones."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from bench.site import APP, TARGET

_REGION = "us-east-1"
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_AGENT = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11 cfg/retry-mode#legacy"
_VERSION = "2011-06-15"
_IAM_VERSION = "2010-05-08"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Credentials to sign with; a user's have no ``token``."""

    id: str
    secret: str
    token: str | None = None


def constant_view(port: int) -> bytes:
    """The floor's request."""
    return f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {_AGENT}\r\n\r\n".encode()


def get_caller_identity(port: int, key: AccessKey) -> bytes:
    return _signed(port, key, {"Action": "GetCallerIdentity", "Version": _VERSION})


def assume_role(port: int, key: AccessKey, session_name: str) -> bytes:
    form = {"Action": "AssumeRole", "Version": _VERSION, "RoleArn": TARGET, "RoleSessionName": session_name}
    return _signed(port, key, form)


def assume_role_with_web_identity(port: int, token: str, session_name: str) -> bytes:
    form = {"Action": "AssumeRoleWithWebIdentity", "Version": _VERSION, "RoleArn": APP}
    return _request(port, {}, urlencode({**form, "RoleSessionName": session_name, "WebIdentityToken": token}))


def form_request(port: int, body: str) -> bytes:
    """A call that is not signed."""
    return _request(port, {}, body)


def iam(port: int, key: AccessKey, action: str, **parameters: str) -> bytes:
    """A call of IAM."""
    return _signed(port, key, {"Action": action, "Version": _IAM_VERSION, **parameters}, "iam")


def spoil_signature(request: bytes) -> bytes:
    """Another last digit in the signature."""
    return re.sub(rb"(Signature=[0-9a-f]{63})([0-9a-f])", lambda m: m[1] + (b"1" if m[2] == b"0" else b"0"), request)


def spoil_body(request: bytes) -> bytes:
    """Another parameter value under the same signature; the length stays."""
    return request.replace(b"RoleSessionName=call", b"RoleSessionName=fall")


def spoil_token(request: bytes) -> bytes:
    """Another letter in the middle of the identity token's signature."""
    head, _, signature = request.rpartition(b".")
    middle = len(signature) // 2
    letter = b"A" if signature[middle : middle + 1] != b"A" else b"B"
    return head + b"." + signature[:middle] + letter + signature[middle + 1 :]


def spoil_claims(request: bytes) -> bytes:
    """Another letter in the identity token's claims."""
    head, _, rest = request.partition(b"WebIdentityToken=")
    header, claims, signature = rest.split(b".")
    letter = b"A" if claims[40:41] != b"A" else b"B"
    return head + b"WebIdentityToken=" + b".".join((header, claims[:40] + letter + claims[41:], signature))


def _signed(port: int, key: AccessKey, form: dict[str, str], service: str = "sts") -> bytes:
    """Signature version 4 (AWS IAM User Guide, "create a signed AWS API request")."""
    body = urlencode(form)
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    day = moment[:8]
    added = {"x-amz-date": moment} | ({"x-amz-security-token": key.token} if key.token else {})
    headers = {"content-type": _FORM, "host": f"127.0.0.1:{port}", **added}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body.encode()).hexdigest()}"
    scope = f"{day}/{_REGION}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing = f"AWS4{key.secret}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    signature = hmac.digest(signing, text.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return _request(port, {**added, "Authorization": credential}, body)


def _request(port: int, headers: dict[str, str], body: str) -> bytes:
    fixed = {"Host": f"127.0.0.1:{port}", "User-Agent": _AGENT, "Accept-Encoding": "identity", "Content-Type": _FORM}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**fixed, **headers}.items())
    return f"POST / HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def read_access_key(answer: bytes) -> AccessKey:
    """The credentials in an answer."""
    text = answer.decode()
    return AccessKey(_element(text, "AccessKeyId"), _element(text, "SecretAccessKey"), _element(text, "SessionToken"))


def _element(text: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]+)</{name}>", text)
    if found is None:
        raise ValueError(f"the answer has no {name}: {text[:500]}")
    return found[1]

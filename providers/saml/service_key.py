"""The key that signs what we send to one identity provider, with a certificate that only carries it."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_BITS = 2_048
_LIFETIME = timedelta(days=3_650)
_LONGEST_NAME = 64


def make_service_key(name: str, now: datetime) -> tuple[str, str]:
    """A private key and its certificate, signed by itself, both PEM. Who believes in it is who reads our metadata."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=_BITS)
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME])])
    builder = x509.CertificateBuilder().subject_name(named).issuer_name(named).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    certificate = builder.not_valid_after(now + _LIFETIME).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), certificate.public_bytes(Encoding.PEM).decode()

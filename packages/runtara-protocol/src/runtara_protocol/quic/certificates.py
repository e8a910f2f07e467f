"""The server's certificate: from files, self-signed, or signed by an authority of this machine."""

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtara_domain.record import record

LOCALHOST = ("localhost", "127.0.0.1", "::1")
LIFETIME = timedelta(days=365)
AUTHORITY_LIFETIME = timedelta(days=3650)


class CertificateError(ValueError):
    """A certificate or key can't be used; the message names the file."""


@record
class Certificate:
    """
    A chain of certificates, the server's own first, and the private key of the server's own.

    signer: the key of the authority that has issued it on this machine; None if it comes from
    files, or is its own authority.
    """

    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKeyTypes
    signer: PrivateKeyTypes | None = None

    @property
    def lasting_secret(self) -> bytes:
        """A secret that a server has again after a restart, unless it made its key itself."""
        key = self.signer or self.private_key
        written = key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return hmac.digest(written, b"runtara lasting secret", hashlib.sha256)


def load(cert_path: Path, key_path: Path) -> Certificate:
    """Read a PEM chain and its PEM key; raise CertificateError naming the file that is wrong."""
    chain = _load_chain(cert_path)
    key = _load_key(key_path)
    if key.public_key() != chain[0].public_key():
        raise CertificateError(
            f"{key_path} is not the key of the certificate in {cert_path}: give files that match"
        )
    return Certificate(chain, key)


def self_signed(names: Sequence[str] = LOCALHOST) -> Certificate:
    """Return a new self-signed certificate for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(names[0])
    builder = _builder(name, name, key, LIFETIME)
    return Certificate((_for_server(builder, names).sign(key, hashes.SHA256()),), key)


class LocalAuthority:
    """Signs certificates that clients with its `ca.pem` trust."""

    def __init__(self, ca_path: Path, certificate: Certificate) -> None:
        self.ca_path = ca_path
        self._certificate = certificate

    @classmethod
    def open(cls, folder: Path) -> Self:
        """
        Use the authority that is kept in this folder; make the authority and the folder if missing.

        Only this user can read the folder. Processes that make the authority at the same time get
        the same authority.
        """
        ca_path, key_path = folder / "ca.pem", folder / "ca-key.pem"
        if not ca_path.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_once(key_path, _key_pem(ec.generate_private_key(ec.SECP256R1())), mode=0o600)
            # The key may be another process's: of a faster process, or of one that ended before it
            # wrote the certificate.
            made = _authority(key_path)
            _write_once(ca_path, made.public_bytes(serialization.Encoding.PEM), mode=0o644)
        return cls(ca_path, load(ca_path, key_path))

    def issue(self, names: Sequence[str] = LOCALHOST) -> Certificate:
        """Return a new certificate for these DNS names and addresses, signed by the authority."""
        ca = self._certificate.chain[0]
        signer = _elliptic(self._certificate.private_key, self.ca_path)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _for_server(_builder(_name(names[0]), ca.subject, key, LIFETIME), names)
        return Certificate((builder.sign(signer, hashes.SHA256()), ca), key, signer)


def _load_chain(path: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{path} has no PEM certificate") from error


def _load_key(path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except TypeError as error:
        raise CertificateError(
            f"{path}: the key is encrypted; save it without a password"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{path} has no PEM private key") from error


def _authority(key_path: Path) -> x509.Certificate:
    key = _elliptic(_load_key(key_path), key_path)
    name = _name("Runtara local authority")
    builder = _builder(name, name, key, AUTHORITY_LIFETIME).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return builder.sign(key, hashes.SHA256())


def _elliptic(key: PrivateKeyTypes, path: Path) -> ec.EllipticCurvePrivateKey:
    # The file has another kind of key if a user put another authority there.
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(
            f"{path}: the key of an authority takes an elliptic curve key; delete the folder to"
            " make a new authority"
        )
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    # Valid from a day ago, for clients whose clocks are behind.
    start = datetime.now(UTC) - timedelta(days=1)
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=start + lifetime,
    )


def _for_server(builder: x509.CertificateBuilder, names: Sequence[str]) -> x509.CertificateBuilder:
    return (
        builder.add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_once(path: Path, data: bytes, *, mode: int) -> None:
    """
    Write a whole file that has the given mode from its first moment.

    Does nothing if a file or a link of this name exists.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(part, flags, mode), "wb") as file:
        file.write(data)
    try:
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        part.unlink()

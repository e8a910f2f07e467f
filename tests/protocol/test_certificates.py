from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from runtara_protocol.quic.certificates import (
    Certificate,
    CertificateError,
    LocalAuthority,
    load,
    self_signed,
)


def _save(certificate: Certificate, folder: Path) -> tuple[Path, Path]:
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    pems = [one.public_bytes(serialization.Encoding.PEM) for one in certificate.chain]
    cert_path.write_bytes(b"".join(pems))
    key_path.write_bytes(_pem(certificate, serialization.NoEncryption()))
    return cert_path, key_path


def _pem(certificate: Certificate, encryption: serialization.KeySerializationEncryption) -> bytes:
    return certificate.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def test_a_chain_and_its_key_are_loaded(tmp_path: Path) -> None:
    """The server's own certificate comes first, those that vouch for it after it."""
    issued = LocalAuthority.open(tmp_path).issue(["localhost"])

    loaded = load(*_save(issued, tmp_path))

    assert loaded.chain == issued.chain
    assert len(loaded.chain) == 2


def test_a_self_signed_certificate_names_this_machine() -> None:
    """DNS:localhost and both loopback addresses."""
    names = self_signed().chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)

    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["127.0.0.1", "::1"]


def test_an_authority_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    """Opening the folder again gives the same authority; only its owner reads the key."""
    first = LocalAuthority.open(tmp_path / "new")
    made = first.ca_path.read_bytes()

    again = LocalAuthority.open(tmp_path / "new")

    assert again.ca_path.read_bytes() == made
    assert (tmp_path / "new" / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    issuer = x509.load_pem_x509_certificate(made)
    again.issue(["localhost"]).chain[0].verify_directly_issued_by(issuer)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says which of the two it is, and the system's reason."""
    cert_path, key_path = _save(self_signed(), tmp_path)

    with pytest.raises(CertificateError, match=r"gone\.pem: No such file"):
        load(tmp_path / "gone.pem", key_path)
    with pytest.raises(CertificateError, match=r"gone\.pem: No such file"):
        load(cert_path, tmp_path / "gone.pem")


def test_what_is_no_pem_is_named(tmp_path: Path) -> None:
    """A file of the wrong kind is said to be one."""
    cert_path, key_path = _save(self_signed(), tmp_path)
    other = tmp_path / "other.pem"
    other.write_text("nothing of the kind")

    with pytest.raises(CertificateError, match=r"other\.pem has no PEM certificate"):
        load(other, key_path)
    with pytest.raises(CertificateError, match=r"other\.pem has no PEM private key"):
        load(cert_path, other)


def test_another_certificates_key_is_refused(tmp_path: Path) -> None:
    """A key that doesn't fit would only fail at the first handshake."""
    cert_path, _ = _save(self_signed(), tmp_path)
    (tmp_path / "other").mkdir()
    _, key_path = _save(self_signed(), tmp_path / "other")

    with pytest.raises(CertificateError, match="is not the key"):
        load(cert_path, key_path)


def test_an_encrypted_key_is_refused(tmp_path: Path) -> None:
    """A server can't ask a person for the password."""
    certificate = self_signed()
    cert_path, key_path = _save(certificate, tmp_path)
    key_path.write_bytes(_pem(certificate, serialization.BestAvailableEncryption(b"secret")))

    with pytest.raises(CertificateError, match="is encrypted"):
        load(cert_path, key_path)


def test_the_folder_that_is_made_for_an_authority_is_its_owners_alone(tmp_path: Path) -> None:
    LocalAuthority.open(tmp_path / "new")

    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in (tmp_path / "new").iterdir()) == ["ca-key.pem", "ca.pem"]


def test_no_key_is_written_through_a_link(tmp_path: Path) -> None:
    """Another user with the right to write to the folder could have put the link there."""
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "ca-key.pem").symlink_to(elsewhere)

    with pytest.raises(CertificateError, match=r"ca-key\.pem"):
        LocalAuthority.open(tmp_path)

    assert not elsewhere.exists()


def test_an_authority_ended_before_it_wrote_its_certificate_is_made_whole(tmp_path: Path) -> None:
    ca_path = LocalAuthority.open(tmp_path).ca_path
    key = (tmp_path / "ca-key.pem").read_bytes()
    ca_path.unlink()

    again = LocalAuthority.open(tmp_path)

    assert (tmp_path / "ca-key.pem").read_bytes() == key
    issuer = x509.load_pem_x509_certificate(ca_path.read_bytes())
    again.issue().chain[0].verify_directly_issued_by(issuer)


def test_processes_that_make_an_authority_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(LocalAuthority.open, [tmp_path / "new"] * 8))

    issuer = x509.load_pem_x509_certificate((tmp_path / "new" / "ca.pem").read_bytes())
    for each in opened:
        each.issue().chain[0].verify_directly_issued_by(issuer)

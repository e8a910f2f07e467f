"""TLS, as the parameters of the URL ask for it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.postgres import PostgresServer, with_tls

from runtara_domain.error import DatabaseError
from runtara_persistence.postgres.persistence import PostgresPersistence
from runtara_protocol.quic.certificates import LocalAuthority

ELSEWHERE = "127.0.0.2"
"""The server listens there, too, but its certificate is for localhost."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return LocalAuthority.open(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def address(authority: LocalAuthority) -> Iterator[str]:
    """A server that takes TLS connections only; its certificate is for localhost."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listens = f"listen_addresses=127.0.0.1,{ELSEWHERE}"
    server = PostgresServer(listens, f"port={port}", "ssl=on", programs=with_tls())
    try:
        _write_certificate(authority, server.folder / "data")
        # The first line that fits counts: the connections of `pg_ctl -w` are by the socket.
        rules = "local all all trust\nhostssl all all 127.0.0.0/8 trust\n"
        (server.folder / "data" / "pg_hba.conf").write_text(rules)
        server.start()
        yield f"localhost:{port}"
    finally:
        server.remove()


def _write_certificate(authority: LocalAuthority, folder: Path) -> None:
    certificate = authority.issue()
    chain = b"".join(each.public_bytes(Encoding.PEM) for each in certificate.chain)
    key = certificate.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Only the owner of the folder may read the key.
    owner = folder.stat()
    for name, content in (("server.crt", chain), ("server.key", key)):
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        os.chown(path, owner.st_uid, owner.st_gid)


async def is_encrypted(url: str) -> bool:
    async with PostgresPersistence(url, migrates=True) as persistence:
        await persistence.check()
        connection = await asyncpg.connect(url)
        found = await connection.fetchval(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        )
        await connection.close()
    return bool(found)


async def test_a_server_is_trusted_without_a_check_if_asked_to(address: str) -> None:
    assert await is_encrypted(f"postgresql://postgres@{address}/postgres?sslmode=require")


async def test_a_server_shows_a_certificate_of_the_authority(
    address: str, authority: LocalAuthority
) -> None:
    parameters = f"sslmode=verify-full&sslrootcert={authority.ca_path}"

    assert await is_encrypted(f"postgresql://postgres@{address}/postgres?{parameters}")


async def test_a_server_that_someone_else_vouches_for_is_refused(
    address: str, tmp_path: Path
) -> None:
    stranger = LocalAuthority.open(tmp_path).ca_path
    parameters = f"sslmode=verify-full&sslrootcert={stranger}"

    with pytest.raises(DatabaseError, match="certificate verify failed"):
        await is_encrypted(f"postgresql://postgres@{address}/postgres?{parameters}")


async def test_a_certificate_for_another_name_is_refused_in_one_line(
    address: str, authority: LocalAuthority
) -> None:
    """A trusted authority is not enough: another of its hosts could pose as this one."""
    elsewhere = address.replace("localhost", ELSEWHERE)
    parameters = f"sslmode=verify-full&sslrootcert={authority.ca_path}"

    with pytest.raises(DatabaseError, match=f"not valid for '{ELSEWHERE}'") as refusal:
        await is_encrypted(f"postgresql://postgres@{elsewhere}/postgres?{parameters}")

    assert "name the host as its certificate does" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("sslmode", ["verify-ca", "require"])
async def test_the_name_counts_only_if_it_is_asked_for(
    address: str, authority: LocalAuthority, sslmode: str
) -> None:
    elsewhere = address.replace("localhost", ELSEWHERE)
    parameters = f"sslmode={sslmode}&sslrootcert={authority.ca_path}"

    assert await is_encrypted(f"postgresql://postgres@{elsewhere}/postgres?{parameters}")


async def test_of_several_hosts_each_is_verified(address: str, authority: LocalAuthority) -> None:
    """One that can't prove its name is passed over."""
    both = f"{address.replace('localhost', ELSEWHERE)},{address}"
    parameters = f"sslmode=verify-full&sslrootcert={authority.ca_path}"

    async with PostgresPersistence(
        f"postgresql://postgres@{both}/postgres?{parameters}", migrates=True
    ) as opened:
        await opened.check()


async def test_a_missing_file_is_reported(address: str) -> None:
    parameters = "sslmode=verify-full&sslrootcert=/nowhere/ca.pem"

    with pytest.raises(DatabaseError, match="a file that the URL names"):
        await is_encrypted(f"postgresql://postgres@{address}/postgres?{parameters}")


async def test_a_file_without_certificates_is_reported(address: str) -> None:
    parameters = f"sslmode=verify-full&sslrootcert={__file__}"

    with pytest.raises(DatabaseError, match="see whether sslrootcert"):
        await is_encrypted(f"postgresql://postgres@{address}/postgres?{parameters}")


async def test_a_server_that_wants_tls_is_not_reached_without(address: str) -> None:
    with pytest.raises(DatabaseError, match="no encryption"):
        await is_encrypted(f"postgresql://postgres@{address}/postgres?sslmode=disable")

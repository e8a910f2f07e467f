"""Which environment is asked, and times and states in words."""

import logging
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtara_cli import access, codes, errors, words
from runtara_cli.access import VARIABLE, Access
from runtara_cli.cli import runtara
from runtara_cli.dev_file import DevFile
from runtara_protocol.quic.certificates import LocalAuthority
from runtara_sdk.errors import ConnectionFailed, ServerNotTrusted

DEV = DevFile("127.0.0.1:1", "127.0.0.1:2", "/ca.pem", "dev", "sqlite:x", 1)


def test_the_nearest_dev_folder_is_found_unless_something_is_named(tmp_path: Path) -> None:
    """The address given is first, then the variables, then `.runtara/` here or above."""
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    (tmp_path / ".runtara").mkdir()
    DEV.write(tmp_path / ".runtara")

    found = Access("127.0.0.1:1", "/ca.pem", "dev", tmp_path)
    assert access.find(None, None, {}, below) == found
    assert access.find(None, None, {"RUNTARA_TENANT_ID": "t"}, below).tenant_id == "t"
    assert access.find("h:1", None, {"RUNTARA_TENANT_ID": "t"}, below) == Access("h:1", None, "t")
    assert access.find(None, None, {"RUNTARA_ENVIRONMENT_ADDR": "h:1"}, below) == Access()
    assert access.find(None, "sqlite:x", {}, below) == Access(database_url="sqlite:x")
    (tmp_path / "a/.runtara").mkdir()
    (tmp_path / "a/.runtara/dev.json").write_text("{")
    assert access.find(None, None, {}, below) == found


@pytest.mark.parametrize(
    ("address", "variable", "first", "then"),
    [
        (None, None, "RUNTARA_ENVIRONMENT_ADDR is not set",
         "its address is from {}/.runtara/dev.json; is `runtara dev` running there?"),
        (None, "127.0.0.1:9", "RUNTARA_ENVIRONMENT_ADDR is 127.0.0.1:9\n",
         "its address is from RUNTARA_ENVIRONMENT_ADDR; is the environment running"),
        ("127.0.0.1:9", "h:8", "given environment_addr 127.0.0.1:9, and {} is h:8\n",
         "its address is from --address; is the environment running"),
        ("127.0.0.1:9", "h", "given environment_addr 127.0.0.1:9, and {} is h\n",
         "its address is from --address; is the environment running"),
    ],
)  # fmt: skip
async def test_an_unreachable_environment_s_address_has_its_origin_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    address: str | None, variable: str | None, first: str, then: str,
) -> None:  # fmt: skip
    """The message blames the variable only if the address is the variable's."""
    (tmp_path / ".runtara").mkdir()
    ca_path = str(LocalAuthority.open(tmp_path).ca_path)
    DevFile("127.0.0.1:9", "", ca_path, "dev", "", 1).write(tmp_path / ".runtara")
    monkeypatch.setenv("RUNTARA_ENVIRONMENT_ADDR", variable or "")
    monkeypatch.setenv("RUNTARA_CONNECT_TIMEOUT_MS", "1")
    way = access.find(address, start=tmp_path)

    with pytest.raises(ConnectionFailed) as caught:
        async with way.client() as client:
            await client.health()
    said, code = errors.described(caught.value, way)

    assert first.format(VARIABLE) in said
    assert (then.format(tmp_path) in said, code) == (True, codes.UNREACHABLE)


def test_where_no_address_is_named_the_ways_to_name_one_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The default address was tried."""
    monkeypatch.delenv("RUNTARA_ENVIRONMENT_ADDR", raising=False)

    said, _ = errors.described(ConnectionFailed("gone"), Access())

    unread = "no .runtara/ that can be read is in this folder or above it, so that the default"
    assert unread in said
    assert "Or start one here, or name one by --address or RUNTARA_ENVIRONMENT_ADDR" in said


def test_only_a_command_silences_the_log_of_connections(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """`runtara dev` has a client as well, and serves others."""
    monkeypatch.setenv("RUNTARA_CONNECT_TIMEOUT_MS", "1")
    log = logging.getLogger("quic")
    request.addfinalizer(partial(log.setLevel, log.level))
    log.setLevel(logging.ERROR)

    Access("127.0.0.1:9").client()
    of_a_client = log.level
    result = CliRunner().invoke(runtara, ["list", "--address", "127.0.0.1:9"])

    assert (of_a_client, log.level) == (logging.ERROR, logging.CRITICAL)
    assert result.exit_code == codes.UNREACHABLE


def test_an_untrusted_environment_is_not_said_to_be_out_of_reach() -> None:
    """It has answered: only its address may be wrong."""
    said, code = errors.described(ServerNotTrusted("not trusted"), Access("127.0.0.1:1"))

    assert said.endswith("\nNext: its address is from --address; is it the right one?")
    assert code == codes.UNREACHABLE


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59, "59 s"),
        (60, "1 m"),
        (3_661, "1 h 1 m"),
        (7 * 86_400 - 60, "6 d 23 h"),
        (-5, "0.0 s"),
    ],
)
def test_durations_are_said_by_their_two_largest_units(seconds: float, said: str) -> None:
    """A person would write them like this."""
    assert words.span(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("Traceback\n  File x\nruntara.StepFailed: step 'charge' (a/charge#1) failed after 2",
         "failed in a/charge#1"),
        ("Traceback (most recent call last):\n  File x\nValueError: no\n",
         "failed: ValueError: no"),
        ("Traceback (most recent call last):\n  File x\n    cut", "failed"),
        ("crashed 5 times in a row", "failed: crashed 5 times in a row"),
    ],
)  # fmt: skip
def test_a_failure_is_said_in_a_line(error: str, said: str) -> None:
    """The line names the step, or the error."""
    assert words.failure(error) == said

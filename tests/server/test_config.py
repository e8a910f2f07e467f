from pathlib import Path

import pytest

from runtara_protocol.server.settings import ConfigurationError, load
from runtara_protocol.variables import KNOWN
from runtara_server.config import Settings
from runtara_server.dev import DevSettings

URL = "sqlite:core.db"

# The tables of core.md and protocol.md: variable, default, a good value and what it means.
TABLE = [
    ("RUNTARA_DB_POOL_SIZE", 10, "1", 1),
    ("RUNTARA_QUIC_PORT", 8001, "0", 0),
    ("RUNTARA_MAX_CONCURRENT_INSTANCES", 32, "1", 1),
    ("RUNTARA_QUIC_HOST", "0.0.0.0", "::1", "::1"),
    ("RUNTARA_TLS_CERT", None, None, None),
    ("RUNTARA_TLS_KEY", None, None, None),
    ("RUNTARA_SHUTDOWN_GRACE_MS", 10_000, "0", 0),
    ("RUNTARA_QUIC_MAX_INCOMING", 10_000, "1", 1),
    ("RUNTARA_QUIC_MAX_BI_STREAMS", 1000, "1", 1),
    ("RUNTARA_QUIC_MAX_UNI_STREAMS", 100, "0", 0),
    ("RUNTARA_QUIC_IDLE_TIMEOUT_MS", 120_000, "1", 1),
    ("RUNTARA_QUIC_KEEP_ALIVE_MS", 15_000, "0", 0),
    ("RUNTARA_QUIC_UDP_RECV_BUFFER", 2_097_152, "0", 0),
    ("RUNTARA_QUIC_UDP_SEND_BUFFER", 2_097_152, "0", 0),
    ("RUNTARA_QUIC_MAX_HANDLERS", 0, "7", 7),
    ("RUNTARA_MAX_RECEIVE_BYTES", 512 << 20, str(65 << 20), 65 << 20),
    ("RUNTARA_MAX_UNDELIVERED_BYTES", 512 << 20, str(65 << 20), 65 << 20),
]

BAD = [
    ("RUNTARA_DB_POOL_SIZE", ["0", "1001", "many"]),
    ("RUNTARA_QUIC_PORT", ["", "many", "-1", "65536", "1.5"]),
    ("RUNTARA_MAX_CONCURRENT_INSTANCES", ["0", "-1", "all", "9" * 5000]),
    ("RUNTARA_QUIC_HOST", ["", "a..b"]),
    ("RUNTARA_TLS_CERT", ["/no/such/file.pem", "/"]),
    ("RUNTARA_TLS_KEY", ["/no/such/file.pem", "/"]),
    ("RUNTARA_SHUTDOWN_GRACE_MS", ["-1", "10s", "86400001"]),
    ("RUNTARA_QUIC_MAX_INCOMING", ["0"]),
    ("RUNTARA_QUIC_MAX_BI_STREAMS", ["0", str(2**60 + 1)]),
    ("RUNTARA_QUIC_MAX_UNI_STREAMS", ["-1", str(2**60 + 1)]),
    ("RUNTARA_QUIC_IDLE_TIMEOUT_MS", ["0", "86400001"]),
    ("RUNTARA_QUIC_KEEP_ALIVE_MS", ["-1", "86400001"]),
    ("RUNTARA_QUIC_UDP_RECV_BUFFER", ["-1", str(2**30 + 1)]),
    ("RUNTARA_QUIC_UDP_SEND_BUFFER", ["-1", str(2**30 + 1)]),
    ("RUNTARA_QUIC_MAX_HANDLERS", ["-1"]),
    ("RUNTARA_MAX_RECEIVE_BYTES", ["0", "512M", str((65 << 20) - 1), str(2**50 + 1)]),
    ("RUNTARA_MAX_UNDELIVERED_BYTES", ["0", "512M", str((65 << 20) - 1), str(2**50 + 1)]),
    ("RUNTARA_DATABASE_URL", ["", "core.db", "mysql://x/y", "sqlite:", "sqlite:x?mode=ro"]),
]


def field_of(variable: str) -> str:
    return variable.removeprefix("RUNTARA_").lower()


def refusal() -> str:
    """Read settings that can't be used; give what is said of them."""
    with pytest.raises(ConfigurationError) as refused:
        load(Settings)
    return str(refused.value)


@pytest.fixture(autouse=True)
def url(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("RUNTARA_DATABASE_URL", URL)


def test_the_tables_are_complete() -> None:
    described = {field_of(row[0]) for row in TABLE}

    assert described | {"database_url"} == set(Settings.model_fields)
    assert {f"RUNTARA_{name.upper()}" for name in Settings.model_fields} < KNOWN
    assert {field_of(variable) for variable, _ in BAD} == set(Settings.model_fields)


@pytest.mark.parametrize(("variable", "default"), [row[:2] for row in TABLE])
def test_a_variable_that_is_not_set_has_its_default(variable: str, default: object) -> None:
    assert getattr(load(Settings), field_of(variable)) == default


@pytest.mark.parametrize(
    ("variable", "value", "meaning"), [(row[0], *row[2:]) for row in TABLE if row[2] is not None]
)
def test_a_variable_says_what_it_says(
    variables: pytest.MonkeyPatch, variable: str, value: str, meaning: object
) -> None:
    variables.setenv(variable, value)

    assert getattr(load(Settings), field_of(variable)) == meaning


@pytest.mark.parametrize(
    ("variable", "value"), [(variable, value) for variable, values in BAD for value in values]
)
def test_a_bad_value_is_one_line_naming_the_variable_and_what_it_takes(
    variables: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    variables.setenv(variable, value)

    line, *others = [line for line in refusal().splitlines() if variable in line]

    assert others == []
    assert line.startswith(variable)
    assert "takes" in line
    assert variable == "RUNTARA_DATABASE_URL" or repr(value) in line


def test_a_missing_database_url_is_said_to_be_missing(variables: pytest.MonkeyPatch) -> None:
    variables.delenv("RUNTARA_DATABASE_URL")

    assert refusal().startswith("RUNTARA_DATABASE_URL is not set: it takes postgres://")


def test_each_of_several_bad_values_has_its_line(variables: pytest.MonkeyPatch) -> None:
    variables.delenv("RUNTARA_DATABASE_URL")
    variables.setenv("RUNTARA_QUIC_PORT", "many")
    variables.setenv("RUNTARA_MAX_CONCURRENT_INSTANCES", "0")

    assert [line.split()[0] for line in refusal().splitlines()] == [
        "RUNTARA_DATABASE_URL",
        "RUNTARA_QUIC_PORT",
        "RUNTARA_MAX_CONCURRENT_INSTANCES",
    ]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "mysql", "sqlite+x"])
def test_what_is_said_of_a_url_does_not_show_its_password(
    variables: pytest.MonkeyPatch, scheme: str
) -> None:
    variables.setenv("RUNTARA_DATABASE_URL", f"{scheme}://user:Pa55word@host:no-port/db")

    assert "Pa55word" not in refusal()


def test_settings_are_read_from_an_env_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RUNTARA_QUIC_PORT=9001\nOTHER=ignored\n")

    assert load(Settings).quic_port == 9001


def test_the_environment_wins_over_the_env_file(
    variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("RUNTARA_QUIC_PORT=9001\n")
    variables.setenv("RUNTARA_QUIC_PORT", "9002")

    assert load(Settings).quic_port == 9002


def test_an_env_file_that_is_no_text_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"RUNTARA_QUIC_PORT=\xff\xfe\n")

    assert refusal().startswith(".env is not UTF-8")


def test_an_env_file_that_cannot_be_read_is_said_to_be_none(tmp_path: Path) -> None:
    """No user, root included, can read the first page of a process's memory."""
    (tmp_path / ".env").symlink_to("/proc/self/mem")

    assert refusal().startswith(".env can't be read")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Read settings; give what is warned of."""
    load(Settings)
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_misspelt_variable_is_warned_of_with_the_one_that_was_meant(
    variables: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be in the environment or in the .env file, and is no error."""
    variables.setenv("RUNTARA_QUIC_PROT", "9001")
    (tmp_path / ".env").write_text("RUNTARA_MAX_CONCURENT_INSTANCES=64\n")

    assert warnings(caplog) == [
        "RUNTARA_MAX_CONCURENT_INSTANCES is unknown and has no effect: did you mean"
        " RUNTARA_MAX_CONCURRENT_INSTANCES?",
        "RUNTARA_QUIC_PROT is unknown and has no effect: did you mean RUNTARA_QUIC_PORT?",
    ]


def test_a_misspelt_variable_is_named_where_another_is_missing(
    variables: pytest.MonkeyPatch,
) -> None:
    variables.delenv("RUNTARA_DATABASE_URL")
    variables.setenv("RUNTARA_DATABSE_URL", URL)

    assert refusal().splitlines()[1:] == [
        "RUNTARA_DATABSE_URL is unknown and has no effect: did you mean RUNTARA_DATABASE_URL?"
    ]


def test_variables_of_other_programs_are_left_alone(
    variables: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are those of clients, and those that resemble none of ours."""
    for name in ("TENANT_ID", "TLS_CA", "ENV_QUIC_PORT", "DATA_DIR", "LOG_LEVEL"):
        variables.setenv(f"RUNTARA_{name}", "x")

    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("RUNTARA_TLS_CERT", "RUNTARA_TLS_KEY"),
        ("RUNTARA_TLS_KEY", "RUNTARA_TLS_CERT"),
    ],
)
def test_a_certificate_and_its_key_come_together(
    variables: pytest.MonkeyPatch, tmp_path: Path, given: str, missing: str
) -> None:
    file = tmp_path / "some.pem"
    file.touch()
    variables.setenv(given, str(file))

    assert refusal() == (
        f"{missing} is not set: it takes a readable PEM file, together with {given}"
    )
    variables.setenv(missing, str(file))
    assert load(Settings).tls_cert == load(Settings).tls_key == file


def test_for_trying_things_there_are_other_defaults_and_what_is_set_still_wins(
    variables: pytest.MonkeyPatch,
) -> None:
    variables.delenv("RUNTARA_DATABASE_URL")
    bare = load(DevSettings)
    variables.setenv("RUNTARA_QUIC_HOST", "::1")

    assert (bare.database_url, bare.quic_host) == ("sqlite:.runtara/core.db", "127.0.0.1")
    assert load(DevSettings).quic_host == "::1"

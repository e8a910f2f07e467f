"""The settings: read from the environment, refused in one line each."""

import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from tests.sdk.log_watch import LogWatch

from runtara_protocol import variables
from runtara_protocol.quic.certificates import LocalAuthority
from runtara_protocol.variables import KNOWN
from runtara_sdk import Client, ConfigurationError, Settings
from runtara_sdk.client.address import Address

NAMES = [field.name for field in fields(Settings)]
ADDRESS = (
    "host:port, an IPv6 host in brackets, the port from 1 to 65535, or several with commas between"
)
ID = "1 to 1024 bytes of UTF-8 without NUL"
DAY = "86400000 (a day)"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The least that a client needs."""
    for name in NAMES:
        monkeypatch.delenv(f"RUNTARA_{name.upper()}", raising=False)
    monkeypatch.setenv("RUNTARA_INSTANCE_ID", "i-1")
    monkeypatch.setenv("RUNTARA_TENANT_ID", "t-1")
    return monkeypatch


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return LocalAuthority.open(tmp_path).ca_path


def test_the_defaults_are_those_of_a_server_on_this_machine() -> None:
    """Only the instance's id must be given."""
    assert asdict(Settings()) == {
        "instance_id": "i-1",
        "tenant_id": "t-1",
        "server_addr": "127.0.0.1:8001",
        "server_name": "localhost",
        "launch_id": None,
        "tls_ca": None,
        "skip_cert_verification": False,
        "connect_timeout_ms": 10_000,
        "request_timeout_ms": 30_000,
        "heartbeat_interval_ms": 30_000,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_addr", "core.example.org:9001"),
        ("server_addr", "a:8001,b:8001,[::1]:8001"),
        ("server_name", "core.example.org"),
        ("skip_cert_verification", True),
        ("connect_timeout_ms", 1),
        ("request_timeout_ms", 86_400_000),
        ("heartbeat_interval_ms", 0),
    ],
)
def test_each_value_is_read_from_its_variable(
    environment: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Its name in capitals."""
    environment.setenv(f"RUNTARA_{name.upper()}", str(value))

    assert getattr(Settings(), name) == value


def test_a_file_of_certificates_is_read_by_its_path(
    environment: pytest.MonkeyPatch, pem: Path
) -> None:
    """It must be there when the settings are read."""
    environment.setenv("RUNTARA_TLS_CA", str(pem))

    assert Settings().tls_ca == pem


def test_an_empty_variable_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    """Shells and compose files leave such variables."""
    environment.setenv("RUNTARA_TLS_CA", "")
    environment.setenv("RUNTARA_REQUEST_TIMEOUT_MS", "")

    assert Settings().tls_ca is None
    assert Settings().request_timeout_ms == 30_000


def test_what_is_given_goes_before_the_environment() -> None:
    """Tests need this, and programs with settings of their own."""
    assert Settings(instance_id="other").instance_id == "other"


@pytest.mark.parametrize(
    ("name", "got", "takes"),
    [
        ("TENANT_ID", "\udcff", ID),
        ("SERVER_ADDR", "localhost", ADDRESS),
        ("SERVER_ADDR", "localhost:0", ADDRESS),
        ("SERVER_ADDR", "localhost:65536", ADDRESS),
        ("SERVER_ADDR", "localhost:²", ADDRESS),
        ("SERVER_ADDR", ":8001", ADDRESS),
        ("SERVER_ADDR", "::1:8001", ADDRESS),
        ("SERVER_ADDR", "[localhost]:8001", ADDRESS),
        ("SERVER_ADDR", "https://core:8001", ADDRESS),
        ("SERVER_ADDR", "a:8001,", ADDRESS),
        ("SERVER_ADDR", "a:8001;b:8001", ADDRESS),
        ("TLS_CA", "/nowhere/ca.pem", "a readable PEM file holding the certificates to trust"),
        ("TLS_CA", "/dev/null", "a readable PEM file holding the certificates to trust"),
        ("SKIP_CERT_VERIFICATION", "maybe", "true or false"),
        ("CONNECT_TIMEOUT_MS", "0", f"milliseconds, 1 to {DAY}"),
        ("REQUEST_TIMEOUT_MS", "soon", f"milliseconds, 1 to {DAY}"),
        ("HEARTBEAT_INTERVAL_MS", "-1", f"milliseconds, 0 (off) to {DAY}"),
    ],
)
def test_a_bad_value_is_one_line(
    environment: pytest.MonkeyPatch, name: str, got: str, takes: str
) -> None:
    """The variable, what it takes, what it got."""
    environment.setenv(f"RUNTARA_{name}", got)

    with pytest.raises(ConfigurationError) as raised:
        Client()

    assert str(raised.value) == f"RUNTARA_{name}: takes {takes}, got {got!r}"


def test_a_file_that_only_looks_like_a_certificate_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The refusal comes before a connection: OpenSSL would fail in the middle of a handshake."""
    cut = tmp_path / "cut.pem"
    cut.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    environment.setenv("RUNTARA_TLS_CA", str(cut))

    with pytest.raises(ConfigurationError, match="RUNTARA_TLS_CA: takes a readable PEM file"):
        Settings()


def test_a_long_value_is_cut(environment: pytest.MonkeyPatch) -> None:
    """The error has its length instead."""
    environment.setenv("RUNTARA_INSTANCE_ID", "é" * 513)

    with pytest.raises(ConfigurationError) as raised:
        Settings()

    assert str(raised.value) == (f"RUNTARA_INSTANCE_ID: takes {ID}, got '{'é' * 79}… of 1026 bytes")


def test_all_that_is_wrong_is_reported_together(environment: pytest.MonkeyPatch) -> None:
    """A line each, what is missing among them."""
    environment.delenv("RUNTARA_INSTANCE_ID")
    environment.delenv("RUNTARA_TENANT_ID")
    environment.setenv("RUNTARA_SERVER_ADDR", "?")

    with pytest.raises(ConfigurationError) as raised:
        Settings()

    assert str(raised.value).splitlines() == [
        f"RUNTARA_INSTANCE_ID: takes {ID}, got nothing",
        f"RUNTARA_TENANT_ID: takes {ID}, got nothing",
        f"RUNTARA_SERVER_ADDR: takes {ADDRESS}, got '?'",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SEVER_ADDR", "SERVER_ADDR"),
        ("SERVER_ADDRESS", "SERVER_ADDR"),
        ("TENANT", "TENANT_ID"),
        ("INSTANCEID", "INSTANCE_ID"),
        ("SKIP_CERT_VERIFY", "SKIP_CERT_VERIFICATION"),
        ("request_timeout", "REQUEST_TIMEOUT_MS"),
        ("MAX_CONCURRENT_INSTANCE", "MAX_CONCURRENT_INSTANCES"),
    ],
)
def test_a_misspelt_variable_is_warned_of(
    environment: pytest.MonkeyPatch, log: LogWatch, name: str, meant: str
) -> None:
    """The line names the intended variable, also one of the server's."""
    environment.setenv(f"RUNTARA_{name}", "x")
    Settings()

    assert log.lines == [
        f"RUNTARA_{name.upper()} is unknown and has no effect: did you mean RUNTARA_{meant}?"
    ]


def test_variables_that_others_read_are_left_alone(
    environment: pytest.MonkeyPatch, log: LogWatch
) -> None:
    """They are the server's, and those that resemble none."""
    for name in ("TLS_CERT", "DATABASE_URL", "ENV_TENANT_ID", "DATA_DIR", "LOG_LEVEL", ""):
        environment.setenv(f"RUNTARA_{name}", "x")
    Settings()

    assert log.lines == []


def test_variables_of_a_launch_are_compared_with_no_names(
    environment: pytest.MonkeyPatch,
) -> None:
    """An environment sets them for each process, and the comparison takes a millisecond."""
    compared: list[str] = []

    def compare(name: str, *_: object) -> list[str]:
        compared.append(name)
        return []

    environment.setattr(variables, "get_close_matches", compare)
    for name in ("LAUNCH_ID", "WORKSPACE_DIR", "CHECKPOINT_ID", "CHECKPOINT"):
        environment.setenv(f"RUNTARA_{name}", "x")
    Settings()

    assert compared == ["CHECKPOINT"]


def test_settings_without_heartbeats_differ_in_nothing_else(
    environment: pytest.MonkeyPatch,
) -> None:
    """The variables are not read once more."""
    settings = Settings(connect_timeout_ms=7)
    environment.setenv("RUNTARA_REQUEST_TIMEOUT_MS", "no number")

    silent = settings.without_heartbeats()

    assert (silent.heartbeat_interval_ms, settings.heartbeat_interval_ms) == (0, 30_000)
    assert vars(silent) == {**vars(settings), "heartbeat_interval_ms": 0}


def test_a_misspelt_variable_is_named_where_another_is_missing(
    environment: pytest.MonkeyPatch,
) -> None:
    """It is why."""
    environment.delenv("RUNTARA_INSTANCE_ID")
    environment.setenv("RUNTARA_INSTNCE_ID", "i-1")

    with pytest.raises(ConfigurationError, match="did you mean RUNTARA_INSTANCE_ID"):
        Settings()


def test_every_setting_is_a_known_variable() -> None:
    """None of them is taken for a misspelling."""
    assert {f"RUNTARA_{name.upper()}" for name in NAMES} < KNOWN


def test_an_id_holds_no_nul_and_is_not_empty() -> None:
    """No database keeps the one, and no instance is called the other."""
    with pytest.raises(ConfigurationError, match=r"INSTANCE_ID.*\n.*TENANT_ID"):
        Settings(instance_id="a\0b", tenant_id="")


def test_a_setting_that_does_not_exist_is_refused() -> None:
    """A slip of the pen would otherwise leave a default in place."""
    with pytest.raises(TypeError, match="timeout"):
        Settings(instance_id="i", tenant_id="t", timeout=3)  # type: ignore[call-arg]  # The slip.


def test_a_lower_case_variable_is_read_like_any_other(environment: pytest.MonkeyPatch) -> None:
    """Programs that set variables of containers sometimes spell them like that."""
    environment.setenv("runtara_server_name", "core.example.org")

    assert Settings().server_name == "core.example.org"


def test_reading_the_settings_imports_no_validation_library() -> None:
    """It would take a third of a workflow process's start."""
    program = (
        "import sys, runtara_sdk.client.settings;"
        "print([name for name in sys.modules if 'pydantic' in name])"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert output.stdout == b"[]\n"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8001", "127.0.0.1", 8001),
        ("localhost:1", "localhost", 1),
        ("core.example.org:65535", "core.example.org", 65535),
        ("[::1]:8001", "::1", 8001),
    ],
)
def test_an_address_is_taken_apart_and_put_together(text: str, host: str, port: int) -> None:
    """An IPv6 host loses its brackets and gets them back."""
    address = Address.parse(text)

    assert (address.host, address.port) == (host, port)
    assert str(address) == text

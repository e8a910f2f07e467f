"""The command: its lines, its files, its exit codes, against servers that keep or break a rule."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from aioquic.quic.connection import QuicConnection
from tests.conformance.fake_server import Answer, serving

from runtara_conformance import __main__, database, frame, protobuf, report
from runtara_conformance.database import (
    DatabaseUrlError,
    PostgresDatabase,
    SqliteDatabase,
    open_database,
)
from runtara_conformance.expect import BrokenError
from runtara_conformance.messages import GetInstanceStatusResponse, RpcError
from runtara_conformance.rule import RULES, Check, Pace, Rule, Tier
from runtara_conformance.runner import Outcome, Verdict, run_rule, run_rules
from runtara_conformance.subject import Server


def responds(number: int, payload: bytes) -> Answer:
    """Answer whatever comes by this one response."""
    data = frame.encode(protobuf.encode([(number, payload)]), frame.FrameType.RESPONSE)

    def answer(quic: QuicConnection, stream: int, brought: bytes) -> None:
        quic.send_stream_data(stream, data, end_stream=True)

    return answer


EMPTY_REQUEST = responds(15, RpcError("EMPTY_REQUEST", "Nothing in it").encode())


def ends_empty(quic: QuicConnection, stream: int, brought: bytes) -> None:
    """Answer whatever comes by an empty end."""
    quic.send_stream_data(stream, b"", end_stream=True)


async def keeps(server: Server) -> None:
    """Expect nothing."""


async def breaks(server: Server) -> None:
    """Expect what never comes."""
    raise BrokenError("one <thing>", "another & more")


async def fails(server: Server) -> None:
    """Meet what no rule expects."""
    raise ConnectionError("gone")


def made(check: Check, *, name: str = "", database: bool = False, pace: Pace = Pace.QUICK) -> Rule:
    """Make a rule that isn't registered."""
    return Rule("tests", name or check.__name__, "a sentence", Tier.SLICE, database, pace, check)


NOBODY = Server("127.0.0.1", 1)
PASSED = Outcome(made(keeps), Verdict.PASS, 0.25)
FAILED = Outcome(made(breaks), Verdict.FAIL, 0.5, "one <thing>", "another & more")
NOT_RUN = Outcome(made(keeps, name="needy"), Verdict.NOT_RUN, came="needs --database-url")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([PASSED], 0),
        ([PASSED, FAILED], 1),
        ([PASSED, FAILED, NOT_RUN], 1),
        ([PASSED, NOT_RUN], 3),
    ],
)
def test_the_exit_code_says_what_came_out(outcomes: list[Outcome], code: int) -> None:
    assert report.exit_code(outcomes) == code


async def test_a_broken_rule_says_what_was_expected_and_what_came() -> None:
    outcome = await run_rule(made(breaks), NOBODY)

    assert outcome.verdict is Verdict.FAIL
    assert report.line(outcome).splitlines() == [
        "FAIL     tests/breaks  a sentence",
        "         expected  one <thing>",
        "         came      another & more",
    ]


async def test_any_error_is_the_failure_of_its_rule_alone() -> None:
    told: list[str] = []
    rules = [made(fails), made(keeps), made(breaks, pace=Pace.HEAVY), made(keeps, name="last")]
    outcomes = await run_rules(rules, NOBODY, lambda each: told.append(each.rule.name))

    verdicts = {outcome.rule.name: outcome.verdict for outcome in outcomes}
    assert verdicts == {
        "fails": Verdict.FAIL,
        "keeps": Verdict.PASS,
        "breaks": Verdict.FAIL,
        "last": Verdict.PASS,
    }
    assert sorted(told) == sorted(verdicts)


async def test_without_a_database_its_rules_are_not_run() -> None:
    outcome = await run_rule(made(fails, database=True), NOBODY)

    assert outcome.verdict is Verdict.NOT_RUN
    assert report.line(outcome).endswith("(needs --database-url)")


def test_junit_has_a_case_a_rule() -> None:
    suite = ElementTree.fromstring(report.as_junit([PASSED, FAILED, NOT_RUN]))

    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = suite.find("testcase[@name='breaks']/failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("one <thing>", "another & more")


def test_json_has_an_object_a_rule() -> None:
    passed, failed = json.loads(report.as_json([PASSED, FAILED]))

    assert (passed["rule"], passed["verdict"]) == ("tests/keeps", "PASS")
    assert (failed["verdict"], failed["expected"]) == ("FAIL", "one <thing>")


@asynccontextmanager
async def judged(answer: Answer, name: str) -> AsyncIterator[Outcome]:
    """Run one of the kit's own rules against a fake."""
    (rule,) = [rule for rule in RULES if str(rule) == name]
    async with serving(answer) as port:
        yield await run_rule(rule, Server("127.0.0.1", port))


async def test_a_rule_of_the_kit_passes_a_server_that_keeps_it() -> None:
    async with judged(EMPTY_REQUEST, "requests/an_empty_request_is_refused") as outcome:
        assert outcome.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        (ends_empty, "EmptyEnd()"),
        (responds(15, RpcError("INTERNAL_ERROR", "Oh no").encode()), "INTERNAL_ERROR"),
        (responds(7, GetInstanceStatusResponse("i").encode()), "GetInstanceStatusResponse"),
        (responds(900, b""), "NotProtobufError"),
    ],
)
async def test_a_rule_of_the_kit_fails_a_server_that_breaks_it(answer: Answer, came: str) -> None:
    async with judged(answer, "requests/an_empty_request_is_refused") as outcome:
        assert outcome.verdict is Verdict.FAIL
        assert came in outcome.came


async def test_no_rule_is_kept_by_a_server_that_says_nothing() -> None:
    rules = [rule for rule in RULES if rule.pace is Pace.QUICK and not rule.database]
    async with serving(ends_empty) as port:
        outcomes = await run_rules(rules, Server("127.0.0.1", port), lambda outcome: None)

    kept = [str(outcome.rule) for outcome in outcomes if outcome.verdict is Verdict.PASS]
    # It asks for nothing but a handshake.
    assert kept == ["transport/a_client_without_alpn_is_accepted"]


def test_the_command_lists_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--list", "--tier", "slice", "--rule", "checkpoints/"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert len(lines) == len([r for r in RULES if r.noun == "checkpoints" and r.tier is Tier.SLICE])
    assert all("[slice]" in said for said in lines)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nowhere"],
        ["127.0.0.1:http"],
        ["127.0.0.1:1", "--rule", "no such rule"],
        ["127.0.0.1:1", "--database-url", "mysql://db"],
        ["127.0.0.1:1", "--database-url", "sqlite:/no/such/file.db"],
    ],
)
def test_wrong_usage_is_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        __main__.main(arguments)

    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("selected", "code", "verdict"),
    [
        ("requests/an_empty_request", 0, "PASS"),
        ("requests/unknown_fields_of_the_request", 1, "FAIL"),
        ("stored/a_heartbeat_adds_no_row", 3, "NOT RUN"),
    ],
)
async def test_the_command_prints_and_writes_the_outcome(
    selected: str, code: int, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", f"{tmp_path / 'out.json'}", "--junit", f"{tmp_path / 'out.xml'}"]
    async with serving(EMPTY_REQUEST) as port:
        arguments = [f"127.0.0.1:{port}", "--rule", selected, *files]
        assert await asyncio.to_thread(__main__.main, arguments) == code

    assert capsys.readouterr().out.startswith(f"{verdict:<7}  {selected}")
    (written,) = json.loads((tmp_path / "out.json").read_text())
    assert written["verdict"] == verdict
    assert ElementTree.parse(tmp_path / "out.xml").getroot().get("tests") == "1"


def test_a_server_out_of_reach_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "REACHED_WITHIN", 0.2)

    assert __main__.main(["127.0.0.1:9"]) == 1
    assert capsys.readouterr().out == "no server answers at 127.0.0.1:9\n"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_urls_are_spelled_as_the_servers(scheme: str) -> None:
    assert isinstance(open_database(f"{scheme}://localhost/core"), PostgresDatabase)


def test_without_asyncpg_postgresql_is_refused_in_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "find_spec", lambda name: None)

    with pytest.raises(DatabaseUrlError, match=r"pip install 'runtara-conformance\[postgres\]'"):
        open_database("postgres://localhost/core")


@pytest.mark.parametrize("prefix", ["sqlite:", "sqlite://"])
async def test_sqlite_urls_are_spelled_as_the_servers(prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    path.touch()

    assert isinstance(open_database(f"{prefix}{path}?mode=rwc"), SqliteDatabase)


def test_every_rule_has_a_name_of_its_own() -> None:
    assert len({str(rule) for rule in RULES}) == len(RULES)

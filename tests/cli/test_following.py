"""What `--follow` shows of a result that the instance's process has printed already."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from runtara_cli import codes, following
from runtara_cli.access import Access
from runtara_cli.output import Output
from runtara_cli.session import Session
from runtara_management_sdk import Instance, Status


@dataclass
class Instances:
    """The instance has ended."""

    output: bytes

    async def wait(self, instance_id: str, within: object) -> Instance:
        now = datetime(2026, 3, 1, tzinfo=UTC)
        return Instance(
            instance_id=instance_id,
            tenant_id="t",
            status=Status.COMPLETED,
            created_at=now,
            output=self.output,
        )


@dataclass
class Client:
    instances: Instances


@pytest.mark.parametrize(
    ("is_terminal", "shown", "output", "printed"),
    [
        (True, b'charging\n["a"]\n', b'["a"]', ""),
        (True, b'["a"]', b'["a"]', ""),
        (True, b"charging\n", b'["a"]', '["a"]\n'),
        (True, b"", b"", "null\n"),
        (True, b'not ["a"]\n', b'["a"]', '["a"]\n'),
        (False, b'["a"]\n', b'["a"]', '["a"]\n'),
    ],
)
async def test_a_result_is_on_a_terminal_once(
    is_terminal: bool,
    shown: bytes,
    output: bytes,
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A pipe gets it always, because it does not get the output of processes."""
    monkeypatch.setattr(following, "is_terminal", lambda stream: True)
    client = cast("Any", Client(Instances(output)))
    session = Session(client, Access(), Output(False, is_terminal))

    assert await following.end(session, "i", shown=shown) == codes.DONE
    assert capsys.readouterr().out == printed

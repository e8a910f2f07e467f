"""The rehearsal before a fork: it does a run's work, and harms no image where it can't."""

import asyncio
import logging
import socket
import subprocess
import sys
from typing import Any, NoReturn, Self

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from tests.sdk.workflow.launches import PATIENCE

from runtara_sdk.workflow.process import rehearsal

IMAGE = """
import asyncio
from runtara_sdk.workflow.process import rehearsal
rehearsal.rehearse()
asyncio.get_event_loop().close()
"""


async def test_a_rehearsal_comes_to_its_end() -> None:
    """Its errors are passed over: that it never works would not be seen."""
    async with asyncio.timeout(PATIENCE):
        await rehearsal._rehearsed()


def test_an_import_may_ask_for_the_event_loop_afterwards() -> None:
    """nest_asyncio does this."""
    command = [sys.executable, "-c", IMAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "error",
    [RuntimeError("can't start new thread"), MemoryError(), UnsupportedAlgorithm("no X25519")],
    ids=repr,
)
def test_what_fails_a_rehearsal_fails_no_image(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> NoReturn:
        raise error

    monkeypatch.setattr(rehearsal, "self_signed", fail)
    level = logging.root.manager.disable

    rehearsal.rehearse()

    assert logging.root.manager.disable == level


class Silent:
    """An address of the loopback at which nothing arrives."""

    def __init__(self, *_: object) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def __aenter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        self.address: Any = self._socket.getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()


@pytest.mark.timeout(PATIENCE)
def test_a_loopback_that_passes_nothing_holds_no_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rehearsal has a limit of its own, shorter than a run's patience with its core."""
    monkeypatch.setattr(rehearsal, "Listener", Silent)
    monkeypatch.setattr(rehearsal, "_LIMIT", 0.2)

    rehearsal.rehearse()

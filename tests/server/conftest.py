"""Settings of no other origin than the test."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtara_server.config import Settings


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The environment without anything of ours, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("RUNTARA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def settings(variables: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a server on this machine, each may be given otherwise."""

    def made(**changes: object) -> Settings:
        values: dict[str, object] = {
            "database_url": f"sqlite:{tmp_path}/core.db",
            "quic_host": "127.0.0.1",
            "quic_port": 0,
        }
        return Settings.model_validate(values | changes)

    return made

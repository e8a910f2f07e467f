"""An adapter by URL, and what the package shows."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.states import TENANT
from tests.support.clock import START

import runtara_persistence
from runtara_domain.error import InvalidValue
from runtara_domain.model import Caller, CheckpointWrite, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_persistence import backend, connect


@pytest.mark.parametrize("spelling", ["sqlite:{}", "sqlite://{}", "sqlite:{}?mode=rwc"])
async def test_a_missing_file_and_its_folder_are_created_on_opening(
    tmp_path: Path, spelling: str
) -> None:
    """Nothing is created before: the returned adapter is unopened."""
    path = tmp_path / "new" / "x.db"

    persistence = connect(spelling.format(path))

    assert not path.parent.exists()
    async with persistence:
        await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)
    assert path.exists()


async def test_a_relative_path_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slashes belong to the scheme, a third to the path."""
    monkeypatch.chdir(tmp_path)

    async with connect("sqlite://x.db"):
        pass

    assert (tmp_path / "x.db").exists()


async def test_a_database_in_memory_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works like any other, shares nothing with another, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    write = CheckpointWrite("c", b"1")

    async with connect("sqlite::memory:") as one, connect("sqlite::memory:") as other:
        await one.instances.register(Registration("i", TENANT), when=OPEN, at=START)
        saved = await one.checkpoints.save(Caller("i"), write, when=WORKING, at=START)
        found = await one.checkpoints.save(Caller("i"), write, when=WORKING, at=START)
        missing = await other.instances.get("i")

    assert (saved.kept, found.kept, missing) == (None, b"1", None)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("url", ["sqlite:x.db", "sqlite://x.db", "sqlite::memory:"])
def test_the_url_names_the_backend(url: str) -> None:
    """A container can choose by it before anything is built."""
    assert backend(url) == "sqlite"


@pytest.mark.parametrize("ask", [connect, backend])
@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("", "without a scheme"),
        ("x.db", "without a scheme"),
        ("mysql://host/db", "'mysql'"),
        ("sqlite:", "no path"),
        ("sqlite:x.db?mode=ro", "mode=ro"),
        ("sqlite:x.db?cache=shared", "'cache'"),
        ("postgres:user:secret@host/db", "got no //"),
        ("postgresql://user:secret#@host/db", "got a #"),
        ("postgresql://user:secret@host:port/db", "a port other than 1 to 65535"),
        ("postgresql://user:secret@host/db?sslmode", "something other than name=value"),
    ],
)
def test_any_other_url_is_refused_in_one_clear_line(
    ask: Callable[[str], object], url: str, names: str
) -> None:
    """Naming what it got and what it takes, and never the password in it."""
    with pytest.raises(InvalidValue, match="takes sqlite:PATH") as refusal:
        ask(url)

    message = str(refusal.value)
    assert names in message
    assert "secret" not in message
    assert "\n" not in message


def test_the_public_face_holds_what_it_lists() -> None:
    """Each name once, and there."""
    names = runtara_persistence.__all__

    assert len(names) == len(set(names))
    assert all(hasattr(runtara_persistence, name) for name in names)

"""Deaths of a process before anything of its run is recorded."""

from pathlib import Path

from tests.environment.real.fleet import Fleet
from tests.environment.real.flows import notes

from runtara_domain.status import State

DYING = """
import os
import signal
from runtara_sdk import step, workflow

def write(folder: str, text: str) -> None:
    with open(f"{folder}/notes", "a") as notes:
        notes.write(text + "\\n")

@step
async def note(folder: str, text: str) -> str:
    write(folder, text)
    return text

@step
async def die_once(folder: str) -> None:
    is_first = not os.path.exists(f"{folder}/notes")
    write(folder, "dies" if is_first else "lives")
    if is_first:
        os.kill(os.getpid(), signal.SIGKILL)

@workflow
async def run(folder: str, kind: str) -> str:
    await die_once(folder)
    return await note(folder, kind)
"""


async def test_a_process_dies_between_its_registration_and_its_first_record(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The next one begins the instance with the same input, and its records have their start."""
    await fleet.environment("a").start()
    await fleet.start(await fleet.image(DYING), "i", {"folder": str(tmp_path), "kind": "kind"})

    ended = await fleet.rests("i")

    first, second = await fleet.launches("i")
    assert (first.cause, first.run, first.verdict) == ("killed", 1, "crash")
    assert (second.cause, second.run) == ("exited", 2)
    assert (ended.state, ended.output) == (State.COMPLETED, b'"kind"')
    assert notes(tmp_path) == ["dies", "lives", "kind"]
    page = await fleet.persistence.checkpoints.page("i")
    assert [entry.checkpoint_id for entry in page.entries] == ["~workflow", "die_once#1", "note#1"]

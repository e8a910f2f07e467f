"""What the sequences run: a workflow, and a program that speaks the protocol by itself."""

from pathlib import Path

from tests.environment.real.fleet import Fleet

FLOW = """
import os
import time
from runtara_sdk import child, promise, step, workflow

@step
async def note(folder: str, text: str) -> str:
    with open(f"{folder}/notes", "a") as notes:
        notes.write(text + "\\n")
    return text

@workflow
async def run(folder: str, kind: str) -> str:
    await note(folder, "first")
    while kind == "wait" and not os.path.exists(f"{folder}/go"):
        time.sleep(0.05)
    await note(folder, "second")
    return kind

@workflow
async def waits() -> int:
    return await promise("go", int)

@workflow
async def parent(child_id: str) -> int:
    return await child(waits.bind(), id=child_id)
"""
"""`run` notes its steps; of the kind `wait` it stays between them, deaf, until the file `go`."""

PROGRAM = """
import asyncio, os, signal, sys
from runtara_sdk import Client

def note(text):
    with open("{folder}/notes", "a") as notes:
        notes.write(text + "\\n")

def life():
    with open("{folder}/notes") as notes:
        return len(notes.readlines())

async def main():
    async with Client() as client:
        await client.register()
        note("begun")
        leaves = {detach} and life() == 1
        await client.sleep({seconds}, "nap", detach=leaves)
        if leaves:
            sys.exit(75)
        note("woken")
        await client.completed(b"1")

if {detach} and os.path.exists("{folder}/notes") and life() == 1:
    note("died")
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
"""Sleeps once. With `detach` it leaves for that, and its second process dies unregistered."""

BOUNDED = """
read word < {folder}/$RUNTARA_INSTANCE_ID
printf '{{"status": "completed"}}' > output.json
"""
"""Of a shell: waits for a line in a pipe of its instance's name."""


async def begun(fleet: Fleet, instance_id: str = "i") -> None:
    """Wait until the first step of an instance is recorded."""

    async def is_recorded() -> bool:
        return (await fleet.instance(instance_id)).checkpoint_id is not None

    await fleet.until(is_recorded)


def notes(folder: Path) -> list[str]:
    """Read what was noted, a word a line."""
    return (folder / "notes").read_text().splitlines()


def is_stopped(pid: int) -> bool:
    """Tell whether a process stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

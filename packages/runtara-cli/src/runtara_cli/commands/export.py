"""`runtara export`."""

import os
from pathlib import Path

import click

from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("export", short_help="Write an instance with its history to a file.")
@click.argument("instance_id", metavar="ID")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--copy", "as_copy", is_flag=True, help="Export the instance as it is; it also goes on here."
)
async def command(session: Session, instance_id: str, file: Path, as_copy: bool) -> None:
    """
    Write an instance to FILE, for `runtara import` at another database.

    FILE has the input, checkpoints, custom signals, events, and what the instance waits for. An
    open instance must be paused first (`runtara pause ID`), without an open process, parent or
    child. It goes on where it is imported and resumed. The instance that stays here is paused:
    delete it with `runtara rm --exported ID`, which runs none of its code. To go on here after all,
    use `runtara resume ID`, and never resume the other one. With --copy the instance is exported as
    it is, and goes on in both places. FILE has input, results and env unencrypted: only its owner
    may read it.
    """
    _check_free(file)
    data = await session.client.instances.export(instance_id, as_copy=as_copy)
    _write(file, data)
    session.out.result({"file": str(file), "bytes": len(data)}, lambda: str(file))
    left = await session.client.instances.get(instance_id)
    if not (as_copy or left is None or left.status.is_final):
        session.out.note(
            f"{instance_id} is left here, paused: `runtara rm --exported {instance_id}` deletes it"
            f" once it is imported, `runtara resume {instance_id}` keeps it here instead"
        )


def _check_free(file: Path) -> None:
    if file.exists():
        raise click.UsageError(f"FILE: {file} exists already: name another")


def _write(file: Path, data: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as written:
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        # Unlike a rename, it takes no other file's place.
        os.link(temporary, file)
    except OSError as error:
        raise click.UsageError(f"FILE: {file} can't be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)

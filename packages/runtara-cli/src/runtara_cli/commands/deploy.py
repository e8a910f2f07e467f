"""`runtara deploy`."""

import json
import sys
from collections.abc import Callable

import click

from runtara_cli import codes, deploying, options, packing, words
from runtara_cli.command import command as made
from runtara_cli.output import is_terminal
from runtara_cli.session import Session
from runtara_domain.record import record


@record
class Deployed:
    """A workflow's image; created: False if its newest version was just so."""

    name: str
    image_id: str
    version: int | None
    created: bool
    target: str


@made("deploy", short_help="Make an image of a folder, file, module or wheel of workflows.")
@click.argument("source", metavar="SOURCE")
@options.tenant
@click.option(
    "--name", help="The image's name, if SOURCE has one workflow or --workflow names one."
)
@click.option("--workflow", "only", metavar="NAME", help="Only this workflow of SOURCE.")
@click.option("--python", metavar="PATH", help="The interpreter that runs it in the environment.")
@click.option("--metadata", type=options.Json(), help="More metadata, as '{\"memory_mb\": 256}'.")
async def command(
    session: Session,
    source: str,
    tenant: str | None,
    name: str | None,
    only: str | None,
    python: str | None,
    metadata: bytes | None,
) -> int:
    """
    Make a new version of an image for each workflow of SOURCE, and print it.

    SOURCE is a .py file with the modules that it imports from its folder; a whole folder, or its
    src; a module; or a wheel. Dependencies are not packed: the workflows use those of the
    environment's interpreter, or of --python. The command lists dependencies of SOURCE that its own
    interpreter, or --python, lacks. The same code makes no new version.
    """
    tenant_id = session.tenant(tenant)
    try:
        packed = packing.pack(source, python or sys.executable)
    except packing.NotPackable as error:
        session.out.note(f"Error: {error}")
        return codes.USAGE
    for lacking in packed.lacking:
        session.out.note(
            f"Warning: {lacking} is asked for, and {python or sys.executable} lacks it"
        )
    chosen = [one for one in packed.workflows if only in (None, one.name)]
    _require_meant(packed, chosen, name)
    more = _object(metadata) | ({"python": python} if python else {})
    for workflow in chosen:
        image = await deploying.deploy(
            session.client,
            tenant_id,
            packed,
            workflow,
            name=name,
            metadata=more,
            on_progress=_progress(session, workflow.name),
        )
        deployed = Deployed(
            name or workflow.name, image.image_id, image.version, image.created, workflow.target
        )
        _tell(session, deployed)
    return codes.DONE


def _require_meant(
    packed: packing.Packed, chosen: list[packing.Workflow], name: str | None
) -> None:
    if not chosen:
        names = ", ".join(one.name for one in packed.workflows)
        raise click.UsageError(f"--workflow: SOURCE has {names}")
    if name is not None and len(chosen) > 1:
        names = ", ".join(one.name for one in chosen)
        raise click.UsageError(f"--name: choose one workflow by --workflow: {names}")


def _object(metadata: bytes | None) -> dict[str, object]:
    found = json.loads(metadata or b"{}")
    if not isinstance(found, dict):
        raise click.UsageError("--metadata takes a JSON object, as '{\"memory_mb\": 256}'")
    return found


def _tell(session: Session, deployed: Deployed) -> None:
    said = "" if deployed.created else " (as it was)"
    session.out.result(
        deployed, lambda: f"{deployed.name} version {deployed.version}{said} {deployed.image_id}"
    )


def _progress(session: Session, name: str) -> Callable[[int, int], None]:
    """Show how much is sent, where that takes a while and a person looks."""

    def show(sent: int, size: int) -> None:
        if is_terminal(sys.stderr) and size > 1 << 20:
            end = "\n" if sent == size else ""
            told = f"\r{name}: {words.size(sent)} of {words.size(size)}{end}"
            click.echo(told, err=True, nl=False)

    return show

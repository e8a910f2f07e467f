"""The command `runtara-ctl`: verbs, arguments and output of the original's."""

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from runtara_cli import access, options

if TYPE_CHECKING:
    from runtara_management_sdk import ManagementClient

_TENANT = click.option("--tenant", required=True)


class _Refused(Exception):
    """The requested object does not exist; the message names it."""


@click.group("runtara-ctl", context_settings={"help_option_names": ["-h", "--help"]})
def runtara_ctl() -> None:
    """
    Speak to an environment at RUNTARA_ENVIRONMENT_ADDR, as the original's command does.

    Prints JSON, or an id. Exits with 0, or with 1 and an error.
    """


def main() -> NoReturn:
    """Run the command; every error is exit code 1."""
    try:
        code = runtara_ctl.main(prog_name="runtara-ctl", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.Abort:
        sys.exit(1)
    sys.exit(1 if code else 0)


@runtara_ctl.command("health")
def health() -> None:
    """Return whether the environment is well."""
    _print(lambda client: client.health())


@runtara_ctl.command("register")
@click.option("--binary", type=click.Path(dir_okay=False, path_type=Path), required=True)
@_TENANT
@click.option("--name", required=True)
@click.option("--description")
def register(binary: Path, tenant: str, name: str, description: str | None) -> None:
    """Register an executable as an OCI image, and print the image's id."""

    async def registered(client: "ManagementClient") -> str:
        from runtara_management_sdk import Runner

        image = await client.images.register(
            tenant, name, binary, Runner.OCI, description=description
        )
        return image.image_id

    _print(registered)


@runtara_ctl.command("list-images")
@click.option("--tenant")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_images(tenant: str | None, limit: int) -> None:
    """List images."""

    async def listed(client: "ManagementClient") -> object:
        return await _first(client.images.list(tenant), limit)

    _print(listed)


@runtara_ctl.command("get-image")
@click.argument("image")
@click.argument("tenant")
def get_image(image: str, tenant: str) -> None:
    """Show an image."""

    async def found(client: "ManagementClient") -> object:
        one = await client.images.get(image, tenant)
        if one is None:
            raise _Refused(f"Image {image!r} not found")
        return one

    _print(found)


@runtara_ctl.command("delete-image")
@click.argument("image")
@click.argument("tenant")
def delete_image(image: str, tenant: str) -> None:
    """Delete an image."""
    _do(lambda client: client.images.delete(image, tenant))


@runtara_ctl.command("start")
@click.option("--image", required=True)
@_TENANT
@click.option("--input", "given", type=options.Json())
@click.option("--instance-id")
@click.option("--timeout", type=click.IntRange(0), help="Seconds.")
def start(
    image: str, tenant: str, given: bytes | None, instance_id: str | None, timeout: int | None
) -> None:
    """Start an instance, and print its id."""

    async def started(client: "ManagementClient") -> str:
        one = await client.instances.start(
            tenant,
            image_id=image,
            input=given or b"",
            instance_id=instance_id,
            launch_timeout=None if timeout is None else timedelta(seconds=timeout),
        )
        return one.instance_id

    _print(started)


@runtara_ctl.command("status")
@click.argument("instance_id")
def status(instance_id: str) -> None:
    """Show an instance."""

    async def found(client: "ManagementClient") -> object:
        one = await client.instances.get(instance_id)
        if one is None:
            raise _Refused(f"Instance {instance_id!r} not found")
        return one

    _print(found)


@runtara_ctl.command("wait")
@click.argument("instance_id")
@click.option(
    "--poll", type=click.IntRange(1), help="Accepted and ignored: the environment reports the end."
)
def wait(instance_id: str, poll: int | None) -> None:
    """Wait for an instance's end, and show it."""
    _print(lambda client: client.instances.wait(instance_id))


@runtara_ctl.command("list-instances")
@click.option("--tenant")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_instances(tenant: str | None, limit: int) -> None:
    """List instances."""

    async def listed(client: "ManagementClient") -> object:
        from runtara_management_sdk import InstanceFilter

        return await _first(client.instances.list(InstanceFilter(tenant_id=tenant)), limit)

    _print(listed)


@runtara_ctl.command("stop")
@click.argument("instance_id")
def stop(instance_id: str) -> None:
    """End an instance, with five seconds to clean up."""
    _do(lambda client: client.instances.stop(instance_id))


@runtara_ctl.command("cancel")
@click.argument("instance_id")
def cancel(instance_id: str) -> None:
    """Ask an instance to clean up and end."""
    _do(lambda client: client.instances.cancel(instance_id))


@runtara_ctl.command("pause")
@click.argument("instance_id")
def pause(instance_id: str) -> None:
    """Ask an instance to suspend until it is resumed."""
    _do(lambda client: client.instances.pause(instance_id))


@runtara_ctl.command("resume")
@click.argument("instance_id")
def resume(instance_id: str) -> None:
    """Let an instance go on."""
    _do(lambda client: client.instances.resume(instance_id))


def _do(work: Callable[["ManagementClient"], Awaitable[None]]) -> None:
    async def done(client: "ManagementClient") -> object:
        await work(client)
        return {"success": True}

    _print(done)


def _print(work: Callable[["ManagementClient"], Awaitable[object]]) -> None:
    # Only now: --help needs none of it.
    import asyncio

    from runtara_cli import wire_names
    from runtara_sdk.errors import RuntaraError

    async def connected() -> object:
        async with access.find(None).client() as client:
            return await work(client)

    access.silence_connections()
    try:
        result = asyncio.run(connected())
    except (RuntaraError, _Refused, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        raise click.exceptions.Exit(1) from error
    except KeyboardInterrupt as end:
        raise click.Abort from end
    text = json.dumps(wire_names.document(result), ensure_ascii=False, indent=2)
    click.echo(result if isinstance(result, str) else text)


async def _first(found: Any, limit: int) -> list[Any]:
    taken = []
    async for one in found:
        taken.append(one)
        if len(taken) == limit:
            break
    return taken

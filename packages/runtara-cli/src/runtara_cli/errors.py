"""Describes errors of the client in a line with the next step, and gives the exit code."""

import os

from runtara_cli import codes
from runtara_cli.access import FOLDER, VARIABLE, Access
from runtara_cli.dev_file import FILE
from runtara_management_sdk import ImageInUse, ImageNotFound, NotFound
from runtara_sdk.errors import (
    ConfigurationError,
    ConnectionFailed,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidInstanceState,
    RequestNotKnown,
    RuntaraError,
    ServerError,
    ServerNotTrusted,
)

_NEXT: dict[type[RuntaraError], str] = {
    InstanceNotFound: "`runtara list` lists the instances",
    ImageNotFound: "`runtara images` lists the images",
    ImageInUse: "`runtara list --image NAME` lists them",
    InstanceAlreadyExists: "leave out the id to get a new one, or choose another",
    InvalidInstanceState: "`runtara explain ID` says what can be done",
    RequestNotKnown: "the environment is older than this command: update it",
}
# By words of the message, where those of its class don't help.
_INSTEAD = {
    "there is nothing to retry": "`runtara fork ID --before CHECKPOINT` makes a copy that goes on"
    " from there; `runtara show ID` lists the checkpoints",
}
# By the word that the message begins with, as "Schedule 'nightly' not found".
_SHOWN_BY = {
    "Environment": "`runtara environments` lists the environments",
    "Launch": "`runtara show ID` lists the launches of an instance",
    "Queue": "`runtara queues` lists the queues",
    "Schedule": "`runtara schedules list` lists the schedules",
}


def described(error: RuntaraError, way: Access) -> tuple[str, int]:
    """Return the text of an error with the next step, and the exit code."""
    if isinstance(error, ConfigurationError):
        return f"Error: {error}", codes.USAGE
    if isinstance(error, ConnectionFailed | ServerNotTrusted) or not isinstance(error, ServerError):
        return f"Error: {error}\nNext: {_reached_by(error, way)}", codes.UNREACHABLE
    hint = next((text for kind, text in _NEXT.items() if isinstance(error, kind)), "")
    if isinstance(error, NotFound):
        hint = _SHOWN_BY.get(str(error).partition(" ")[0], hint)
    hint = next((text for words, text in _INSTEAD.items() if words in str(error)), hint)
    return f"Error: {error}" + (f"\nNext: {hint}" if hint else ""), codes.REFUSED


def _reached_by(error: RuntaraError, way: Access) -> str:
    if way.database_url is not None:
        return "is the database there, and may you read it?"
    if way.dev_folder is not None:
        return (
            f"its address is from {way.dev_folder / FOLDER / FILE}; is `runtara dev` running"
            " there? Start it again, and it goes on where it was."
        )
    if way.environment_addr is not None or os.environ.get(VARIABLE):
        origin = VARIABLE if way.environment_addr is None else "--address"
        asked = "is it the right one?"
        if not isinstance(error, ServerNotTrusted):
            asked = "is the environment running there, and reachable by UDP?"
        return f"its address is from {origin}; {asked}"
    return (
        f"go to the folder of a `runtara dev`: no {FOLDER}/ that can be read is in this folder or"
        " above it, so that the default address was asked. Or start one here, or name one by"
        f" --address or {VARIABLE}."
    )

"""How commands delete instances that have ended."""

from runtara_cli import options
from runtara_cli.bulk import Planned, Verb
from runtara_cli.session import Session

_HELP = (
    "what a parent or child keeps can go when that has ended: `runtara cancel` or `runtara stop`"
    " ends it; then give the same command again. A child goes with its parent"
)


def verb(session: Session, name: str, *, is_named: bool, also_suspended: bool = False) -> Verb:
    """
    Return the verb of a command.

    is_named: whether instances are named by their ids, so that a missing one is an error.
    """
    from runtara_sdk.errors import InstanceNotFound

    async def delete(one: Planned) -> int:
        try:
            return await session.client.instances.delete(
                one.instance_id,
                ended_at=one.ended_at,
                also_suspended=also_suspended,
                finished_before=one.before,
            )
        except InstanceNotFound:
            # Of many that are chosen, one may have gone with its parent.
            if is_named:
                raise
            return 0

    return Verb(
        name, options.FINAL, delete, also=" with all their children", checks=True, help=_HELP
    )

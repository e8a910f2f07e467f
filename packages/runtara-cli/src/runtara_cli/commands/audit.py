"""`runtara audit`."""

from typing import TYPE_CHECKING, cast

from runtara_cli import codes
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_cli.auditing.database import Finding


@made("audit", short_help="Find instances that nothing will move, and rows that contradict.")
async def command(session: Session) -> int:
    """
    Find open instances that nothing will move; the exit code is 1 if there is any.

    With --database-url the command also finds rows that contradict each other, impossible times,
    and rows whose instance is gone. It changes nothing: a role with the right to read is enough.
    """
    found = await _found(session)

    def cells(record: object) -> list[Cell]:
        one = cast("Finding", record)
        shown = ", ".join(one.ids[:3]) + (", …" if one.count > 3 else "")
        return [(one.check, "red"), str(one.count), one.problem, shown, one.remedy]

    headings = ("CHECK", "ROWS", "PROBLEM", "IDS", "REMEDY")
    session.out.table(headings, found, cells, empty="Nothing was found.")
    return codes.UNSUCCESSFUL if found else codes.DONE


async def _found(session: Session) -> "list[Finding]":
    if session.access.database_url is None:
        from runtara_cli.auditing import environment

        return await environment.audit(session.client, session.now)
    from runtara_cli.auditing import database

    return await database.audit(session.access.database_url, session.now)

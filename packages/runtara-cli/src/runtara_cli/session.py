"""The context of a command: the client of an environment, and the output."""

from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runtara_cli.access import Access
from runtara_cli.output import Output
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_management_sdk import ManagementClient


@record
class Session:
    """One command's connection; now: when the command began."""

    client: "ManagementClient"
    access: Access
    out: Output
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def tenant(self, given: str | None) -> str:
        """Return the named tenant; raises UsageError if no option or variable names one."""
        named = given or self.access.tenant_id
        if named is None:
            raise click.UsageError(
                "name the tenant by --tenant NAME or RUNTARA_TENANT_ID; only folders of `runtara"
                " dev` have a default tenant, and no .runtara/ that can be read is in this folder"
                " or above it"
            )
        return named

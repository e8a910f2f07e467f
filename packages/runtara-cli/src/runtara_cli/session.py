"""What a command works with: the client of an environment, and where results go."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runtara_cli.access import Access
from runtara_cli.output import Output

if TYPE_CHECKING:
    from runtara_management_sdk import ManagementClient


@dataclass(frozen=True, slots=True)
class Session:
    """One command's connection; now: when the command began."""

    client: "ManagementClient"
    access: Access
    out: Output
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def tenant(self, given: str | None) -> str:
        """Give the tenant that is meant; raises UsageError if none is named anywhere."""
        named = given or self.access.tenant_id
        if named is None:
            raise click.UsageError(
                "name the tenant: --tenant NAME, or set RUNTARA_TENANT_ID; only in a folder of"
                " `runtara dev` none needs to be named, and no .runtara/ is in this one or above it"
            )
        return named

"""The steps on instances that are the same for both databases."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runtara_persistence.transactions.transaction import Transacting, transact

if TYPE_CHECKING:
    from runtara_domain.model import Reopened, Reopening
    from runtara_domain.status import Condition
    from runtara_persistence.transactions.transaction import Transaction


class InstanceTransactions(Transacting):
    """A part of `runtara_domain.ports.instances.Instances`."""

    @transact("reopen an instance")
    def reopen(self, asked: Reopening, *, when: Condition, at: datetime) -> Transaction[Reopened]:
        from runtara_persistence.transactions import reopening

        return reopening.reopen(asked, when, at)

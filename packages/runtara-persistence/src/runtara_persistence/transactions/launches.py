"""The steps on instances that belong to launches, and are the same for both databases."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runtara_persistence.transactions.transaction import Transacting, transact

if TYPE_CHECKING:
    from runtara_domain.model.interventions import Fork, Forked
    from runtara_persistence.transactions.transaction import Transaction


class LaunchTransactions(Transacting):
    """
    A part of `runtara_domain.ports.launches.Launches`.

    A step's module is imported when the step is used: listing instances, for one, needs none.
    """

    @transact("fork an instance")
    def fork(self, fork: Fork, *, at: datetime) -> Transaction[Forked]:
        from runtara_persistence.transactions import forking

        return forking.fork(fork, at)

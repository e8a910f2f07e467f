"""What the core needs stored about signals."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from runtara_domain.model import (
    Acknowledged,
    Caller,
    CustomSignal,
    Delivered,
    Pending,
    Signal,
)
from runtara_domain.status import Condition, SignalType


class Signals(Protocol):
    """
    Signals: at most one pending an instance, and one custom signal for each of its checkpoints.

    Rows that other programs put in count as sent.
    """

    async def pending(self, caller: Caller, checkpoint_ids: Collection[str] = ()) -> Pending:
        """
        Read what waits to be acknowledged, and what was sent for the checkpoints that are named.

        Of those the ones sent first, at least one, as many as have `values.MAX_POLLED_BYTES`
        together. Nothing for an instance that is unknown, finished, or has a newer run than the
        caller's.
        """
        ...

    async def acknowledge(
        self, caller: Caller, acknowledged: SignalType, *, at: datetime
    ) -> Acknowledged:
        """
        Take the pending signal as acknowledged, if it is of this type and the caller not
        superseded.

        The instance goes where `status.acknowledge` leads; where that is nowhere, nothing is done.
        A move to CANCELLED sets `finished_at`; every move clears `sleep_until` and the wake claim.
        `last_activity_at` moves unless nothing is done.
        """
        ...

    async def send(
        self, instance_id: str, signal: Signal, *, when: Condition, at: datetime
    ) -> Delivered:
        """
        Put in a signal for an instance in one of these states.

        It takes the place of what is pending if `status.replaces` says so. A cancel for a PENDING
        instance ends it at once: CANCELLED, `finished_at`, the signal acknowledged. A cancel or
        resume makes a blocked instance due, even where a cancel is pending and stands.
        """
        ...

    async def send_custom(
        self, instance_id: str, signal: CustomSignal, *, when: Condition, at: datetime
    ) -> Delivered:
        """
        Put in a custom signal for an instance in one of these states; the first one stands.

        With one that stands an instance asleep is due, also a claimed one: `sleep_until` becomes
        `at`, unless it is earlier. The deadlines of its checkpoints stay; nothing else is moved.
        """
        ...

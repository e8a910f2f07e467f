"""The port to stored signals."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtara_domain.model import Acknowledged, Caller, CustomSignal, Delivered, Pending, Signal
    from runtara_domain.status import Condition, SignalType


class Signals(Protocol):
    """
    Signals: an instance has at most one pending, and one custom signal for each checkpoint id.

    Rows that other programs insert count as sent.
    """

    async def pending(self, caller: Caller, checkpoint_ids: Collection[str] = ()) -> Pending:
        """
        Read the pending signal, and the custom signals sent for the named checkpoint ids.

        The earliest custom signals come first: at least one, and as many as have
        `values.MAX_POLLED_BYTES` together. An instance that is unknown, finished, or in a newer run
        than the caller's gets no signals.
        """
        ...

    async def acknowledge(
        self, caller: Caller, acknowledged: SignalType, *, at: datetime
    ) -> Acknowledged:
        """
        Acknowledge the pending signal, if it has this type and the caller is not superseded.

        The instance moves to the state that `status.acknowledge` gives; if it gives none, nothing
        is done. A move to CANCELLED sets `finished_at`; every move clears `sleep_until` and the
        wake claim. `last_activity_at` moves unless nothing is done.
        """
        ...

    async def send(
        self, instance_id: str, signal: Signal, *, when: Condition, at: datetime
    ) -> Delivered:
        """
        Store a signal for an instance in one of these states.

        It replaces the pending signal if `status.replaces` allows that. A cancel ends a PENDING
        instance at once: it becomes CANCELLED with `finished_at`, and the signal is acknowledged. A
        cancel or resume makes a blocked instance due, even if a pending cancel stands.
        """
        ...

    async def send_custom(
        self, instance_id: str, signal: CustomSignal, *, when: Condition, at: datetime
    ) -> Delivered:
        """
        Store a custom signal for an instance in one of these states; the first one stands.

        A new custom signal makes an instance asleep due, also a claimed one: `sleep_until` becomes
        `at`, unless it is earlier. The deadlines of its checkpoints stay; nothing else is moved.
        """
        ...

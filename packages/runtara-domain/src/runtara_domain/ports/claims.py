"""The port to stored claims on the right to wake instances."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtara_domain.model import Caller, Claim, Claimed, RunState, Woken
    from runtara_domain.status import Condition


class Claims(Protocol):
    """Claims, at most one for each instance, and waking instances."""

    async def claim_due(self, claim: Claim, *, limit: int, at: datetime) -> list[Claimed]:
        """
        Claim due instances that have no valid claim.

        An instance is due if it is asleep and `sleep_until` has passed, or if it is SUSPENDED with
        an unacknowledged cancel or resume. For a blocked instance only signals count that were sent
        after it blocked. The longest waiting come first, counted from the moment they became due
        or, if that is later, from the end of their last claim: so an instance that can't be
        launched goes to the back. Of concurrent callers each instance goes to one.
        """
        ...

    async def next_due(self, *, at: datetime) -> datetime | None:
        """
        Return the earliest moment from `at` on at which `claim_due` may give an instance.

        Returns `at` if one is due now, and None if none will be due without a signal. A later
        sleep, a released claim or a signal may make the moment earlier.
        """
        ...

    async def renew(
        self, claim: Claim, sleepers: Mapping[Caller, datetime | None], *, at: datetime
    ) -> Mapping[str, RunState]:
        """
        Claim the instances of sleepers, or renew these claims, in one statement.

        Returns the states of the instances. Only instances that are asleep and admit their sleeper
        are claimed. An instance with another owner's valid claim is not claimed. Nor is one with
        the valid claim of another holder of the same owner, unless less than half of this claim's
        time is left of it: then that holder has missed its renewals. If no other owner has a valid
        claim, `sleep_until` becomes at most the moment given with the sleeper, if there is one. The
        step waits for no lock: unknown instances, and instances locked by another step, are left
        unchanged and missing from the result.
        """
        ...

    async def release(self, token: str, instance_ids: Collection[str], *, at: datetime) -> set[str]:
        """
        Release the claims of this token on these instances; other claims are left unchanged.

        A released instance has no holder, even if the clock is set back later; `claim_due` counts
        its wait from `at`. The step waits for no lock: it returns the ids of the instances that
        another step had locked, whose claims stay.
        """
        ...

    async def wake(self, caller: Caller, *, token: str, when: Condition, at: datetime) -> Woken:
        """
        Move an instance from sleep to RUNNING, if it admits the caller.

        Nothing is done while another owner has a valid claim; expired claims don't count.
        `sleep_until` and the claim are cleared, and `last_activity_at` moves.
        """
        ...

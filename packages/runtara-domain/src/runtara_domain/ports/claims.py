"""What the core needs stored about claims on the right to wake instances."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from runtara_domain.model import Caller, Claim, Claimed, RunState, Woken
from runtara_domain.status import Condition


class Claims(Protocol):
    """Claims: at most one an instance, and waking what they are for."""

    async def claim_due(self, claim: Claim, *, limit: int, at: datetime) -> list[Claimed]:
        """
        Claim instances that are due and under no claim that is still running.

        Due: asleep with `sleep_until` passed, or SUSPENDED with an unacknowledged cancel or resume;
        a blocked one only with a signal that was sent since it blocked.
        First come those that wait longest, counted from when they became due or, if that is later,
        from the end of their last claim: so one that can't be launched goes to the back. Of
        concurrent callers each instance goes to one.
        """
        ...

    async def next_due(self, *, at: datetime) -> datetime | None:
        """
        Return the earliest moment from `at` on at which `claim_due` may give an instance.

        `at` itself if one is due now, None if nothing is going to be by itself. A sleep that
        begins later, a claim that is given back or a signal may make it earlier.
        """
        ...

    async def renew(
        self, claim: Claim, sleepers: Mapping[Caller, datetime | None], *, at: datetime
    ) -> Mapping[str, RunState]:
        """
        Claim what sleepers hold, or go on claiming it, in one statement; tells how all stand.

        Of instances that are asleep and admit their sleeper. Not claimed is where another owner's
        claim runs, nor where another holder's of the same owner does, unless less is left of it
        than half the time of this one: then that holder has missed its renewals. Where no other
        owner's runs, `sleep_until` becomes no later than the moment given with the sleeper, if one
        is. Waits for no lock: unknown instances, and those held by another
        step just now, are left as they were and missing from the answer.
        """
        ...

    async def release(self, token: str, instance_ids: Collection[str], *, at: datetime) -> set[str]:
        """
        Give back claims of this token; others are left alone.

        What is given back has no holder from now on, though the clock be set back; `claim_due`
        counts from `at`, as if the claim had ended then.
        Waits for no lock: tells the instances whose claim is left, because another step held them
        just now.
        """
        ...

    async def wake(self, caller: Caller, *, token: str, when: Condition, at: datetime) -> Woken:
        """
        Move an instance from sleep to RUNNING, if it admits the caller.

        Not while another owner's claim runs; one that has expired doesn't count. `sleep_until` and
        the claim are cleared, `last_activity_at` moves.
        """
        ...

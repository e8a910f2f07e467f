"""What a launcher knows of launchable instances, from its own claims and those of workers."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from runtara_domain.model.environments import Renewal
from runtara_domain.model.launches import Claims

_LEFT = timedelta(milliseconds=100)
"""How long a launcher waits for the claim of a worker, which may show that it need not claim."""
_NEXT = timedelta(milliseconds=50)
"""Within this time after the answer to a worker's claim its next claim is expected."""


@dataclass(slots=True)
class Known:
    """
    The launcher's knowledge of launchable instances.

    is_wanted: instances may have become launchable since the last claim. next_at: when the next
    instance becomes launchable: the earliest moment that an answer has given since the launcher's
    last claim was sent. again_at: when the same claim may give more, as the last claim returned it.
    left_until: instances may have become launchable, and workers claim them now; from this moment
    the launcher claims, too. is_waiting: the last claim gave as many instances as it asked for, so
    that more may be launchable. is_held_back: a limit kept a claim, of the launcher or of a worker,
    from giving more. answered_at: when the last claim of a worker was answered, by `Clock.uptime`.
    is_offering: a start that is under way may claim an instance.
    """

    is_wanted: bool = True
    is_waiting: bool = True
    is_draining: bool = False
    is_offering: bool = False
    is_held_back: bool = False
    next_at: datetime | None = None
    again_at: datetime | None = None
    left_until: datetime | None = None
    answered_at: timedelta | None = None

    def moments(self) -> list[datetime]:
        """Return the moments of the next claims."""
        found = (self.next_at, self.again_at, self.left_until)
        return [moment for moment in found if moment is not None]

    def is_due(self, now: datetime) -> bool:
        """Return whether one of the moments has come."""
        return any(moment <= now for moment in self.moments())

    def is_worker_back(self, uptime: timedelta) -> bool:
        """Return whether a worker without a waiting claim is expected to claim again at once."""
        return self.answered_at is not None and uptime - self.answered_at < _NEXT

    def leave(self, now: datetime) -> None:
        """Wait for the claims of workers before the launcher claims."""
        if self.left_until is None:
            self.left_until = now + _LEFT

    def begin(self) -> None:
        """Note that a claim of the launcher is sent."""
        self.is_wanted = False
        self.next_at = self.again_at = self.left_until = None

    def note(self, claims: Claims, limit: int) -> None:
        """Note the answer to a claim of the launcher."""
        self._note_next(claims.next_at)
        self.again_at = claims.again_at
        self.is_held_back |= claims.is_held_back
        self.is_waiting = len(claims.assignments) == limit
        # A change during the claim has set `is_wanted`, and may have come too late for the claim.
        self.is_wanted |= self.is_waiting

    def note_of_worker(
        self, claims: Claims, limit: int, uptime: timedelta, now: datetime, *, is_newest: bool
    ) -> None:
        """
        Note the answer to a worker's claim of at most this many instances, at this time.

        is_newest: whether nothing became launchable since it was sent. If something did, the next
        claim of the worker is waited for anew, because this one shows all that came before it.
        """
        self.answered_at = uptime
        self._note_next(claims.next_at)
        self.is_held_back |= claims.is_held_back
        if claims.has_others or claims.is_draining or not claims.has_lease:
            self.is_wanted = True
        elif len(claims.assignments) < limit:
            # A claim that gave as many as it asked for does not give the next moment.
            self.left_until = None if is_newest else now + _LEFT

    def note_renewal(self, renewal: Renewal) -> None:
        """Note the next moment that a renewal of the lease returned; a drain has none."""
        if renewal.is_draining:
            self.next_at = None
        else:
            self._note_next(renewal.next_launchable_at)

    def _note_next(self, moment: datetime | None) -> None:
        """Keep the earlier moment: answers come in any order, and an older one may lack it."""
        if moment is not None and (self.next_at is None or moment < self.next_at):
            self.next_at = moment

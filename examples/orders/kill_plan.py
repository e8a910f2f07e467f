"""The plan of kills: by seed, spread over the import, at the critical moments."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from payment_service import Fate


class Moment(StrEnum):
    """Where the work on an order is when something is killed."""

    ASKED = "asked, not charged"
    CHARGED = "charged, no answer"
    SAVED = "saved"


class Victim(StrEnum):
    """The process that is killed."""

    IMPORT = "the import"
    SERVER = "the server"
    BOTH = "the import and the server"


class TooManyKills(ValueError):
    """There is no room for them between so few orders."""


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL for the victim as soon as the work on this order has reached the moment."""

    order_id: str
    moment: Moment
    victim: Victim


KINDS = (
    (Victim.IMPORT, Moment.CHARGED),
    (Victim.SERVER, Moment.SAVED),
    (Victim.BOTH, Moment.CHARGED),
    (Victim.IMPORT, Moment.SAVED),
    (Victim.IMPORT, Moment.ASKED),
    (Victim.SERVER, Moment.CHARGED),
    (Victim.BOTH, Moment.SAVED),
)
ORDERS_A_KILL = 4


def plan_kills(order_ids: Sequence[str], kills: int, seed: int) -> list[Kill]:
    """Plan so many kills, one in each equal part of the orders; raises TooManyKills."""
    if kills * ORDERS_A_KILL > len(order_ids):
        raise TooManyKills(f"{kills} kills need {kills * ORDERS_A_KILL} orders or more")
    rng = random.Random(seed)
    kinds: list[tuple[Victim, Moment]] = []
    while len(kinds) < kills:
        kinds += rng.sample(KINDS, len(KINDS))
    plan = []
    for number, (victim, moment) in enumerate(kinds[:kills]):
        begin, end = (n * len(order_ids) // kills for n in (number, number + 1))
        # In the first half of its part: the import may get on a little before it is dead, and must
        # neither reach the next kill nor its end.
        place = rng.randrange(begin, begin + (end - begin) // 2)
        plan.append(Kill(order_ids[place], moment, victim))
    return plan


def plan_faults(plan: Sequence[Kill], order_ids: Sequence[str]) -> dict[str, Fate]:
    """Say which orders the payment service must keep waiting, so that each moment can be met."""
    following = dict(pairwise(order_ids))
    faults = {}
    for kill in plan:
        match kill.moment:
            case Moment.ASKED:
                faults[kill.order_id] = Fate.LATE
            case Moment.CHARGED:
                faults[kill.order_id] = Fate.MUTE
            case Moment.SAVED:
                faults[following[kill.order_id]] = Fate.LATE
    return faults

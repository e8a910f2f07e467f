"""Schedules as code declares them: objects of JSON, in an image's metadata or from a worker."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from runtara_domain.error import InvalidValue
from runtara_domain.model.schedules import (
    DEFAULT_CATCH_UP,
    LocalTimeRule,
    Overlap,
    Schedule,
    Timing,
)
from runtara_schedules.calendar import CronCalendar

_TEXTS = ("cron", "time_zone", "overlap", "missing", "duplicate")
_SPANS = ("catch_up_s", "jitter_s")
_TAKES = (
    f'takes an object such as {{"cron": "30 2 * * *"}}, with texts ({", ".join(_TEXTS)}) and'
    f" numbers ({', '.join(_SPANS)})"
)


def problem(found: object) -> str | None:
    """Return the error of a declaration, with what it takes; None if it has none."""
    if not isinstance(found, Mapping) or not isinstance(found.get("cron"), str):
        return f"{_TAKES}, got {found!r:.80}"
    for name, value in found.items():
        is_text = name in _TEXTS and isinstance(value, str)
        is_span = name in _SPANS and isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_text or is_span):
            return f"{_TAKES}, got {name}: {value!r:.80}"
    try:
        CronCalendar().check(schedule(found, "any", "any").timing)
    except (InvalidValue, ValueError, OverflowError) as error:
        return str(error)
    return None


def schedule(found: Mapping[str, Any], tenant_id: str, workflow: str) -> Schedule:
    """Return a workflow's schedule, of the same name, from a declaration without a problem."""
    catch_up = found.get("catch_up_s")
    return Schedule(
        tenant_id=tenant_id,
        name=workflow,
        workflow=workflow,
        timing=Timing(
            found["cron"],
            found.get("time_zone", "UTC"),
            LocalTimeRule(found.get("missing", LocalTimeRule.AS_CRON)),
            LocalTimeRule(found.get("duplicate", LocalTimeRule.AS_CRON)),
        ),
        overlap=Overlap(found.get("overlap", Overlap.SKIP)),
        catch_up=DEFAULT_CATCH_UP if catch_up is None else timedelta(seconds=catch_up),
        jitter=timedelta(seconds=found.get("jitter_s", 0)),
    )

"""When schedules tick: cron expressions in the time zones of the world."""

from runtara_schedules.calendar import CronCalendar

__all__ = ["CronCalendar"]

"""Moments as SQLite keeps them: text in UTC with milliseconds, which sorts as time."""

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DDTHH:MM:SS.mmmZ`; what is below a millisecond is cut."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def from_text(text: str) -> datetime:
    """Read any ISO 8601 moment, for other programs write here too; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def from_optional(text: str | None) -> datetime | None:
    """Read a moment from a column that may hold none."""
    return None if text is None else from_text(text)

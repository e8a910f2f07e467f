"""Rates a second, by column, round by round."""

import statistics


class Rates(dict[str, list[float]]):
    """What each round reached in each column."""

    def add(self, column: str, rate: float) -> None:
        """Take down a round's rate."""
        self.setdefault(column, []).append(rate)

    def median(self, column: str) -> float:
        """Return the middle one of a column."""
        return statistics.median(self[column])

    def ratio(self, column: str, other: str) -> str:
        """Compare a column with another, round by round: the median and the spread."""
        pairs = zip(self[column], self[other], strict=True)
        ratios = sorted(one / beside for one, beside in pairs)
        return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"

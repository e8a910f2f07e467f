"""The signals of the instance: cancelled and pausing, from any answer of the core."""

from collections.abc import Callable

from runtara_sdk.client.records import SignalType


class Signals:
    """Whether the instance is cancelled, for good, or must pause; a change calls callbacks."""

    def __init__(
        self,
        on_cancel: Callable[[], None],
        on_pause: Callable[[], None],
        on_resume: Callable[[], None],
    ) -> None:
        self.is_cancelled = False
        self.is_pausing = False
        self._on_cancel, self._on_pause, self._on_resume = on_cancel, on_pause, on_resume

    def receive(self, signal: SignalType) -> None:
        """Note a signal; the instance obeys it when a durable call allows."""
        if signal is SignalType.PAUSE:
            self.is_pausing = not self.is_cancelled
            self._on_pause()
            return
        self.is_pausing = False
        if signal is SignalType.CANCEL and not self.is_cancelled:
            self.is_cancelled = True
            self._on_cancel()
        self._on_resume()

    def drop_pause(self) -> None:
        """Go on: another signal has taken the place of the pause, and comes with an answer."""
        self.is_pausing = False
        self._on_resume()

"""How a command of the management client ends."""


class Ended(SystemExit):
    """The command has ended, and has closed all that it opened."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

"""The exit codes of `runtara`."""

DONE = 0
UNSUCCESSFUL = 1
"""An instance that was waited for has failed or was cancelled, or a check found something."""
USAGE = 2
"""Arguments or settings that can't be used; nothing was asked of an environment."""
REFUSED = 3
"""The environment refused: no such instance or image, a state that doesn't allow it."""
UNREACHABLE = 4
"""No environment answered; whether a change was made may be unknown, and the message says so."""
TIMED_OUT = 5
"""The time for waiting is over, and the instance is still open."""

EPILOG = (
    "Exit codes: 0 done; 1 an instance that was waited for did not complete, or a check found"
    " something; 2 usage; 3 refused by the environment; 4 no environment answers; 5 time is over;"
    " 130 interrupted."
)

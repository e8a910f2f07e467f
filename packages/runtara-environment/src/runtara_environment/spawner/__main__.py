"""`python -m runtara_environment.spawner SOCKET`: serve on this Unix socket."""

import argparse
import logging
import os
import signal
import socket
import sys

from runtara_environment.spawner.machine import allow_open_files, become_subreaper
from runtara_environment.spawner.service import Spawner


def main(arguments: list[str]) -> int:
    """Serve until the spawner has been unused for long; return 1 if the socket can't be made."""
    parser = argparse.ArgumentParser(prog="runtara-spawner", description=__doc__)
    parser.add_argument("socket", help="path of the Unix socket to listen on")
    parser.add_argument("--idle-s", type=float, default=600, help="how long it stays unused")
    parser.add_argument("--max-warm", type=int, default=8, help="warm interpreters at once")
    parser.add_argument(
        "--prepared", type=int, default=2, help="processes that each keeps ready for launches"
    )
    parser.add_argument(
        "--detach", action="store_true", help="return once it listens, and serve in the background"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    # Ctrl-C and hang-ups are for the environment. They get an empty handler, because launched
    # processes would inherit SIG_IGN.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            usual = os.umask(0o077)
            listener.bind(options.socket)
            os.umask(usual)
        except OSError as error:
            print(f"can't listen on the socket {options.socket}: {error}", file=sys.stderr)
            return 1
        listener.listen()
        if options.detach and os.fork() != 0:
            # The forked process has the socket's name, too, and removes it at its end.
            os._exit(0)
        become_subreaper()
        allow_open_files()
        try:
            Spawner(
                listener,
                idle_s=options.idle_s,
                max_warm=options.max_warm,
                prepared=options.prepared,
            ).serve()
        finally:
            os.unlink(options.socket)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

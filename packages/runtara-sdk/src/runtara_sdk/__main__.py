"""`python -m runtara_sdk`: see `--help`."""

import sys

from runtara_sdk.workflow.process.command import main

if __name__ == "__main__":
    main(sys.argv[1:])

"""The command `python -m runtara_migrations URL`; exits 0 when done, 1 on failure, 2 on misuse."""

import argparse
import asyncio
import sys

from runtara_migrations.ledger import MigrationError
from runtara_migrations.location import InvalidLocation
from runtara_migrations.migrate import migrate


def main() -> int:
    """Migrate the database named on the command line, and print the applied migrations."""
    parser = argparse.ArgumentParser(
        prog="python -m runtara_migrations",
        description="Bring the schema of a Runtara database up to date.",
    )
    parser.add_argument(
        "url",
        metavar="URL",
        help="for example sqlite:///var/lib/runtara.db, or postgresql://user@host/database",
    )
    url: str = parser.parse_args().url
    try:
        applied = asyncio.run(migrate(url))
    except InvalidLocation as error:
        parser.error(str(error))
    except MigrationError as error:
        sys.stderr.write(f"not migrated: {error}\n")
        return 1
    sys.stdout.writelines(f"applied {name}\n" for name in applied)
    sys.stdout.write("up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

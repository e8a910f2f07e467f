"""`runtara migrate`."""

from runtara_cli.passing import passing

command = passing(
    "migrate", "runtara_migrations", short_help="Bring the schema of a database up to date."
)

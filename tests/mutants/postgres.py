"""What could go wrong on PostgreSQL alone."""

from tests.mutants.mutant import Mutant

POSTGRES = (
    Mutant(
        "An ending locks the child before its parent.",
        "runtara_persistence/postgres/sql/fragments.sql",
        "found_parent_first",
        "WHERE instance_id = $1 AND (SELECT count(*) FROM parent) >= 0",
        "WHERE instance_id = $1",
        (
            "tests/persistence/test_postgres_families.py::test_the_parent_is_locked_before_the_child",
        ),
    ),
    Mutant(
        "A batch locks its instances by their ids, children before parents.",
        "runtara_persistence/postgres/sql/events.sql",
        "record_all.lock",
        "ORDER BY ordered.generation, ordered.instance_id",
        "ORDER BY ordered.instance_id",
        (
            "tests/persistence/test_postgres_families.py::test_the_parent_is_locked_before_the_child",
        ),
    ),
    Mutant(
        "The end of a lost run closes the launch that took over.",
        "runtara_persistence/postgres/sql/events.sql",
        "end",
        "launch_id IS NOT NULL AND run_epoch > coalesce(ended_run, 0) AS has_open_launch",
        "launch_id IS NOT NULL AS has_open_launch",
        (
            "tests/contract/test_launches_end.py"
            "::test_the_end_of_a_lost_run_leaves_the_launch_that_took_over",
        ),
    ),
    Mutant(
        "A row that another transaction locks keeps all claims from being renewed.",
        "runtara_persistence/postgres/sql/claims.sql",
        "renew",
        "FOR NO KEY UPDATE OF i SKIP LOCKED",
        "FOR NO KEY UPDATE OF i",
        ("tests/persistence/test_postgres_rows_held.py::test_claims_of_the_others_are_renewed",),
    ),
    Mutant(
        "A row that another transaction locks keeps all claims from being given back.",
        "runtara_persistence/postgres/sql/claims.sql",
        "release",
        "= ANY ($2::text[]) FOR NO KEY UPDATE SKIP LOCKED",
        "= ANY ($2::text[]) FOR NO KEY UPDATE",
        ("tests/persistence/test_postgres_rows_held.py::test_claims_of_the_others_are_given_back",),
    ),
    Mutant(
        "A row that another transaction locks keeps all life from being noted.",
        "runtara_persistence/postgres/sql/instances.sql",
        "mark_active",
        "i.last_activity_at < $3) FOR NO KEY UPDATE OF i SKIP LOCKED",
        "i.last_activity_at < $3) FOR NO KEY UPDATE OF i",
        ("tests/persistence/test_postgres_rows_held.py::test_life_of_the_others_is_noted",),
    ),
    Mutant(
        "A row that another transaction locks keeps all that is due from being claimed.",
        "runtara_persistence/postgres/sql/claims.sql",
        "claim_due",
        "greatest(sleep_until, wake_claim_until) <= $1 "
        'ORDER BY waits_since, instance_id COLLATE "C" LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED',
        "greatest(sleep_until, wake_claim_until) <= $1 "
        'ORDER BY waits_since, instance_id COLLATE "C" LIMIT $2 FOR NO KEY UPDATE',
        (
            "tests/persistence/test_postgres_rows_held.py"
            "::test_what_is_due_of_the_others_is_claimed",
        ),
    ),
    Mutant(
        "What was given back waits until a clock that was set back has caught up.",
        "runtara_persistence/postgres/sql/claims.sql",
        "claim_due",
        "UNION ALL SELECT * FROM given_back",
        "",
        (
            "tests/contract/test_claims_due.py"
            "::test_what_was_given_back_is_free_though_the_clock_is_set_back",
        ),
    ),
    Mutant(
        "One that was resumed waits, too.",
        "runtara_persistence/postgres/sql/claims.sql",
        "claim_due",
        "(i.wake_claim_by IS NOT NULL AND i.wake_claim_until > $1)",
        "(i.wake_claim_until > $1)",
        (
            "tests/contract/test_claims_due.py"
            "::test_one_resumed_that_was_given_back_is_free_though_the_clock_is_set_back",
        ),
    ),
    Mutant(
        "A migration locks bit by bit what servers use.",
        "runtara_migrations/postgres.py",
        "_lock_out_servers",
        'await connection.fetchval(_HAS_TABLE, "instances")',
        "False",
        ("tests/migrations/test_postgres_under_load.py::test_no_step_fails_while_servers_go_on",),
    ),
    Mutant(
        "A migration that waits for a lock lets no other statement through.",
        "runtara_migrations/postgres.py",
        "_apply",
        "await asyncio.sleep(lock_wait.pause)",
        "",
        (
            "tests/migrations/test_postgres_under_load.py"
            "::test_between_two_attempts_no_statement_waits_behind_it",
        ),
    ),
    Mutant(
        "A migration has no more time than its role gives a query.",
        "runtara_migrations/postgres.py",
        "_apply_next",
        "await connection.execute(_NO_TIMEOUTS)",
        "",
        (
            "tests/migrations/test_postgres_under_load.py"
            "::test_what_a_role_may_wait_for_does_not_bound_it",
        ),
    ),
    Mutant(
        "A worker's claim passes over priorities.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        'ORDER BY priority DESC, since, instance_id COLLATE "C" LIMIT $7 )',
        'ORDER BY since, instance_id COLLATE "C" LIMIT $7 )',
        ("tests/contract/test_launches_claim.py::test_a_worker_gets_the_first_of_its_workflows",),
    ),
    Mutant(
        "A worker's claim takes more than it asked for.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        'ORDER BY priority DESC, since, instance_id COLLATE "C" LIMIT $7 )',
        'ORDER BY priority DESC, since, instance_id COLLATE "C" )',
        ("tests/contract/test_launches_claim.py::test_a_worker_gets_the_first_of_its_workflows",),
    ),
    Mutant(
        "A worker's claim counts the later of an instance's two waits.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        "min(since) AS since",
        "max(since) AS since",
        ("tests/contract/test_launches_claim.py::test_a_worker_gets_the_first_of_its_workflows",),
    ),
    Mutant(
        "A worker's claim takes what is under a hold.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        "AND NOT EXISTS (SELECT FROM holds)",
        "",
        ("tests/contract/test_launches_claim.py::test_a_worker_gets_the_first_of_its_workflows",),
    ),
    Mutant(
        "A worker's claim heeds no limit.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        "AND NOT EXISTS (SELECT FROM limits)",
        "",
        (
            "tests/contract/test_launches_claim.py"
            "::test_a_claim_says_whether_a_limit_held_something_back",
        ),
    ),
    Mutant(
        "A worker's claim takes rows that have changed since it read them.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        "i.xmin::text = chosen.version AND EXISTS (SELECT FROM environment)",
        "EXISTS (SELECT FROM environment)",
        (
            "tests/persistence/test_postgres_statements.py"
            "::test_what_changes_while_a_workers_claim_waits_is_heeded",
        ),
    ),
    Mutant(
        "A worker's claim does not see a drain that comes while it waits.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        "AND lease_until > $2 FOR NO KEY UPDATE",
        "AND lease_until > $2",
        (
            "tests/persistence/test_postgres_statements.py"
            "::test_what_changes_while_a_workers_claim_waits_is_heeded",
        ),
    ),
    Mutant(
        "A worker's claim waits for a row that another transaction locks.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        "FOR NO KEY UPDATE OF i SKIP LOCKED",
        "FOR NO KEY UPDATE OF i",
        (
            "tests/persistence/test_postgres_rows_held.py"
            "::test_a_locked_launch_is_claimed_as_soon_as_it_is_free",
        ),
    ),
    Mutant(
        "A worker's claim that finds nothing locks its environment.",
        "runtara_persistence/postgres/sql/claiming.sql",
        "find_and_take",
        "AND EXISTS (SELECT FROM chosen)",
        "",
        ("tests/persistence/test_postgres_statements.py::test_a_workers_claim_is_one_statement",),
    ),
)

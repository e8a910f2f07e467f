"""What could go wrong in the domain."""

from tests.mutants.mutant import Mutant

DOMAIN = (
    Mutant(
        "Any signal takes the place of a pending cancel.",
        "runtara_domain/status.py",
        "replaces",
        "return pending is not SignalType.CANCEL or sent is SignalType.CANCEL",
        "return True",
        (
            "tests/domain/test_status.py"
            "::test_the_later_signal_replaces_the_earlier_but_for_a_cancel",
        ),
    ),
    Mutant(
        "`suspended` does not settle a pending cancel.",
        "runtara_domain/status.py",
        "settle",
        "pending in (SignalType.CANCEL, SignalType.PAUSE)",
        "pending is SignalType.PAUSE",
        ("tests/domain/test_status.py::test_suspended_settles_what_is_pending",),
    ),
    Mutant(
        "A paused instance acknowledges a resume, and is never woken.",
        "runtara_domain/status.py",
        "acknowledge",
        "state in OPEN - {State.PAUSED}",
        "state in OPEN",
        (
            "tests/domain/test_status.py::test_acknowledging_leads_where_the_signal_asks",
            "tests/model/test_ports.py::test_an_adapter_does_what_the_model_does[memory]",
        ),
    ),
    Mutant(
        "A step does not ask which run its caller is of.",
        "runtara_domain/model/caller.py",
        "RunState.admits",
        "return self.state in when and not self.supersedes(caller)",
        "return self.state in when",
        ("tests/contract/test_checkpoints.py::test_a_superseded_run_is_left_outside",),
    ),
    Mutant(
        "The newest run is taken for superseded.",
        "runtara_domain/model/caller.py",
        "RunState.supersedes",
        "caller.run < self.run",
        "caller.run <= self.run",
        ("tests/domain/test_model.py::test_only_an_older_run_is_superseded",),
    ),
    Mutant(
        "One instance more than the limit is served.",
        "runtara_domain/sessions.py",
        "InstanceSlots.is_full",
        "len(self._holders) >= self._limit",
        "len(self._holders) > self._limit",
        (
            "tests/domain/test_use_cases_register.py"
            "::test_one_instance_more_than_the_limit_is_refused_before_it_is_written",
        ),
    ),
    Mutant(
        "A registration that fails keeps the slot it took.",
        "runtara_domain/sessions.py",
        "Session.slot",
        "self._slots.give_back(instance_id, self)\nraise",
        "raise",
        (
            "tests/domain/test_use_cases_register.py"
            "::test_a_place_is_given_back_when_the_database_fails",
            "tests/domain/test_sessions.py"
            "::test_a_registration_that_is_cancelled_gives_its_place_back",
        ),
    ),
    Mutant(
        "A session that closes leaves its slots taken.",
        "runtara_domain/sessions.py",
        "Session.close",
        "self._slots.leave(self, self._runs)",
        "",
        ("tests/domain/test_sessions.py::test_a_place_that_is_free_again_can_be_taken",),
    ),
    Mutant(
        "An instance that ends keeps its place.",
        "runtara_domain/sessions.py",
        "Session.ended",
        "self._slots.free(instance_id)",
        "",
        (
            "tests/domain/test_sessions.py"
            "::test_an_instance_that_ends_frees_its_place_for_every_session",
        ),
    ),
    Mutant(
        "An instance of another tenant is not refused.",
        "runtara_domain/use_cases/instances.py",
        "_refuse",
        "found.tenant_id != asked.tenant_id",
        "False",
        ("tests/domain/test_use_cases_register.py::test_an_instance_of_another_tenant_is_refused",),
    ),
    Mutant(
        "A process that goes on with an older run gets no error.",
        "runtara_domain/use_cases/instances.py",
        "_refuse",
        "asked.continue_run != found.run",
        "asked.continue_run > found.run",
        ("tests/domain/test_use_cases_register.py::test_any_other_run_is_superseded",),
    ),
    Mutant(
        "Reading another's status shows that one alive.",
        "runtara_domain/use_cases/instances.py",
        "GetInstanceStatus.__call__",
        "caller.run is not None",
        "True",
        (
            "tests/domain/test_activity.py"
            "::test_asking_about_an_instance_one_has_not_registered_shows_nothing",
        ),
    ),
    Mutant(
        "A checkpoint may have the id of a retry attempt.",
        "runtara_domain/values.py",
        "check_new_checkpoint_id",
        "_RETRY_ID.search(value)",
        "False",
        ("tests/domain/test_values.py::test_the_ids_of_audit_rows_are_not_given_to_checkpoints",),
    ),
    Mutant(
        "An event has whatever time its client claims.",
        "runtara_domain/values.py",
        "clamp_timestamp",
        "return claimed if _EARLIEST <= claimed <= now + _AHEAD else now",
        "return claimed",
        (
            "tests/domain/test_use_cases_events.py"
            "::test_a_time_from_2000_to_a_day_ahead_is_believed",
        ),
    ),
    Mutant(
        "A poll does not wait, whatever `wait_ms` says.",
        "runtara_domain/use_cases/signals.py",
        "PollSignals.__call__",
        "not wait",
        "True",
        ("tests/domain/test_use_cases_signals.py::test_a_poll_waits_for_a_signal_and_returns_it",),
    ),
    Mutant(
        "A waiting poll ends with the first stir, having nothing to say.",
        "runtara_domain/use_cases/signals.py",
        "PollSignals.__call__",
        "case WakeReason.DISCONNECTED | WakeReason.ENDING",
        "case _",
        (
            "tests/domain/test_use_cases_signals.py"
            "::test_a_poll_waits_for_the_signal_of_its_checkpoint_and_no_other",
        ),
    ),
    Mutant(
        "A heartbeat is answered whatever state its instance is in.",
        "runtara_domain/use_cases/events.py",
        "hear",
        'require_admitted(caller, before, OPEN, "send a heartbeat")',
        "",
        (
            "tests/domain/test_use_cases_events.py"
            "::test_a_heartbeat_of_a_finished_instance_is_refused",
        ),
    ),
    Mutant(
        "A batch of a superseded run is answered as if it had been kept.",
        "runtara_domain/use_cases/events.py",
        "RecordEvents.__call__",
        "if isinstance(refusal, InstanceSuperseded):\n    raise refusal",
        "pass",
        (
            "tests/domain/test_use_cases_batches.py"
            "::test_a_superseded_run_is_refused_and_nothing_of_it_is_kept",
        ),
    ),
    Mutant(
        "A shutdown answers a held sleep as if it were over.",
        "runtara_domain/use_cases/sleep.py",
        "SleepDurably._until_woken",
        "return False",
        "return True",
        (
            "tests/domain/test_use_cases_sleep_broken_off.py"
            "::test_a_shutdown_at_any_moment_leaves_it_asleep_and_unclaimed",
        ),
    ),
    Mutant(
        "A sleep whose connection is gone keeps its claim.",
        "runtara_domain/use_cases/sleep.py",
        "SleepDurably.__call__",
        "await self.held.release(caller.instance_id)",
        "",
        (
            "tests/domain/test_use_cases_sleep_broken_off.py"
            "::test_a_connection_lost_at_any_moment_leaves_it_asleep_and_unclaimed",
        ),
    ),
    Mutant(
        "A sleep that is over is answered as a success to a run that was superseded.",
        "runtara_domain/use_cases/sleep.py",
        "SleepDurably._wake",
        "run_state = require_admitted(sleeper, woken.before, WORKING, _ACTION)",
        "run_state = woken.before\nassert run_state is not None",
        (
            "tests/domain/test_use_cases_sleep_broken_off.py"
            "::test_one_that_another_server_launched_anew_is_refused",
        ),
    ),
    Mutant(
        "Any signal ends a held sleep.",
        "runtara_domain/use_cases/sleep.py",
        "SleepDurably._is_over",
        "return _is_cancel(pending.signal)",
        "return pending.signal is not None",
        ("tests/domain/test_use_cases_sleep.py::test_other_signals_let_a_sleeper_sleep",),
    ),
    Mutant(
        "What is heard while the database fails is forgotten.",
        "runtara_domain/activity.py",
        "Activity.flush",
        "self._keep(heard)",
        "",
        (
            "tests/domain/test_activity.py"
            "::test_what_the_database_does_not_take_is_kept_and_tried_again",
        ),
    ),
    Mutant(
        "Of two sleeps of an instance, the first to end gives both their claim back.",
        "runtara_domain/held_sleeps.py",
        "HeldSleeps._release",
        "freed = [each for each in idle if each not in self._deadlines]",
        "freed = idle",
        (
            "tests/domain/test_held_sleeps.py"
            "::test_of_several_sleeps_only_the_last_gives_the_claim_back",
        ),
    ),
    Mutant(
        "A poll waits by the wall clock, which may be set back.",
        "runtara_domain/waits.py",
        "Waits.fire_after",
        "self._spans.set(wait, self._clock.uptime() + span)",
        "self._moments.set(wait, self._clock.now() + span)",
        ("tests/domain/test_clock_that_is_set.py::test_set_back_a_poll_waits_no_longer",),
    ),
    Mutant(
        "A late renewal claims a sleep that is no longer held.",
        "runtara_domain/held_sleeps.py",
        "HeldSleeps._renew",
        "self.drop(sleeper.instance_id)",
        "pass",
        (
            "tests/domain/test_held_sleeps.py"
            "::test_a_sleep_left_while_claims_are_renewed_is_unclaimed_all_the_same",
        ),
    ),
    Mutant(
        "The place of an instance that others have ended is held until its connection goes.",
        "runtara_domain/use_cases/instances.py",
        "RegisterInstance._free_places",
        "run_state.state.is_final",
        "False",
        (
            "tests/domain/test_use_cases_register.py"
            "::test_the_place_of_an_instance_that_others_ended_is_free",
        ),
    ),
    Mutant(
        "A poll that is due in the iteration in which a signal comes answers that there is none.",
        "runtara_domain/use_cases/signals.py",
        "PollSignals.__call__",
        "self.activity.note(caller)\nreturn await self._read(caller, checkpoint_ids)",
        "self.activity.note(caller)\nreturn pending",
        ("tests/domain/test_use_cases_signals.py::test_a_poll_that_is_due_looks_once_more",),
    ),
    Mutant(
        "A claim whose row another step has in hand waits for the next round.",
        "runtara_domain/held_sleeps.py",
        "HeldSleeps._renew",
        "self._missing = astray - run_states.keys()",
        "self._missing = set()",
        (
            "tests/domain/test_held_sleeps_failing.py"
            "::test_a_claim_another_step_holds_up_is_renewed_a_second_later",
        ),
    ),
    Mutant(
        "A sleep whose row is held for long looks once, and never again.",
        "runtara_domain/held_sleeps.py",
        "HeldSleeps.keep",
        "self._missing.clear()",
        "",
        (
            "tests/domain/test_held_sleeps_failing.py"
            "::test_a_sleep_whose_row_is_held_for_long_looks_once_a_round",
        ),
    ),
    Mutant(
        "A claim that another step held up is never given back.",
        "runtara_domain/held_sleeps.py",
        "HeldSleeps._release",
        "set(idle) - held_up",
        "set(idle)",
        (
            "tests/domain/test_held_sleeps_failing.py"
            "::test_a_claim_another_step_holds_up_is_given_back_a_second_later",
        ),
    ),
    Mutant(
        "A deadline that has passed is slept until by those that begin.",
        "runtara_domain/held_sleeps.py",
        "HeldSleeps.earliest",
        "(each for each in deadlines if each > now)",
        "(each for each in deadlines)",
        (
            "tests/domain/test_held_sleeps.py"
            "::test_a_deadline_that_has_passed_is_no_more_to_be_slept_until",
        ),
    ),
)

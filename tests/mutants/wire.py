"""What could go wrong between the core and the wire."""

from tests.mutants.mutant import Mutant

WIRE = (
    Mutant(
        "The largest payload is refused.",
        "runtara_protocol/frame.py",
        "FrameDecoder._read_header",
        "length > MAX_PAYLOAD",
        "length >= MAX_PAYLOAD",
        ("tests/protocol/test_frame.py::test_the_maximum_itself_is_allowed",),
    ),
    Mutant(
        "A payload of a byte more than the largest is accepted.",
        "runtara_protocol/frame.py",
        "FrameDecoder._read_header",
        "length > MAX_PAYLOAD",
        "length > MAX_PAYLOAD + 1",
        (
            "tests/protocol/test_frame.py"
            "::test_a_length_over_the_maximum_is_refused_from_the_header",
        ),
    ),
    Mutant(
        "A stream may end inside a frame.",
        "runtara_protocol/frame.py",
        "FrameDecoder.end",
        "not self.is_complete",
        "not self.is_complete and not self._size",
        ("tests/protocol/test_frame.py::test_an_end_inside_a_frame_is_an_error",),
    ),
    Mutant(
        "A frame of any type is taken for a request.",
        "runtara_protocol/frame.py",
        "FrameDecoder._read_header",
        "message_type not in self._accept",
        "message_type == 0",
        ("tests/protocol/test_frame.py::test_any_other_type_is_refused_from_the_header",),
    ),
    Mutant(
        "A refused stream is reset with code 0.",
        "runtara_protocol/quic/stream.py",
        "",
        "REFUSED = 1",
        "REFUSED = 0",
        ("tests/protocol/test_quic_streams.py::test_a_refused_stream_is_reset_with_code_1",),
    ),
    Mutant(
        "A client that wants no answer is an error of ours.",
        "runtara_protocol/quic/connection.py",
        "Connection.send",
        "(RuntimeError, ValueError)",
        "ZeroDivisionError",
        ("tests/protocol/test_quic_streams.py::test_a_client_may_stop_reading_before_it_sends",),
    ),
    Mutant(
        "A connection that is gone keeps its session, and with it its slots.",
        "runtara_server/runtime.py",
        "CoreRuntime._accept",
        "session.close",
        "lambda: None",
        ("tests/server/test_runtime.py::test_a_place_is_free_when_its_connection_is_gone",),
    ),
    Mutant(
        "A held sleep keeps what its client sent in memory.",
        "runtara_protocol/server/streams.py",
        "RequestStreams._answer",
        "del payload",
        "",
        ("tests/server/test_streams.py::test_a_held_sleep_holds_nothing_of_its_request",),
    ),
    Mutant(
        "A stream without a whole frame waits for ever.",
        "runtara_protocol/server/streams.py",
        "RequestStreams._piece",
        "asyncio.timeout(self._progress_timeout)",
        "asyncio.timeout(None)",
        ("tests/server/test_streams.py::test_a_frame_that_gets_no_further_is_refused",),
    ),
    Mutant(
        "An event of an unknown kind is taken for the first we know.",
        "runtara_server/instance_handlers/translation.py",
        "event_type",
        "return _EVENTS[number]",
        "return _EVENTS.get(number, EventType.COMPLETED)",
        (
            "tests/server/test_translation.py"
            "::test_an_unknown_number_is_refused_naming_what_is_taken",
        ),
    ),
    Mutant(
        "A server that ends takes new work.",
        "runtara_protocol/server/router.py",
        "Router._admitted",
        "self._is_ending",
        "False",
        ("tests/server/test_router.py::test_when_it_ends_whatever_is_new_is_refused",),
    ),
    Mutant(
        "A heartbeat adds a row.",
        "runtara_server/instance_handlers/events.py",
        "instance_event",
        "await core.heartbeat(caller=caller, report=_report(message))",
        "beat = Event(translation.event_type(4), b'', translation.moment(0))\n"
        "await core.record_event(session=request.session, caller=caller, event=beat)",
        ("tests/server/test_instance_handlers.py::test_a_heartbeat_adds_no_row",),
    ),
    Mutant(
        "`keep_running` is not passed on.",
        "runtara_server/instance_handlers/checkpoints.py",
        "sleep",
        "message.keep_running",
        "False",
        (
            "tests/server/test_instance_handlers.py"
            "::test_a_sleep_that_keeps_running_leaves_it_running",
        ),
    ),
    Mutant(
        "A batch may hold any number of events.",
        "runtara_server/instance_handlers/events.py",
        "instance_event_batch",
        'values.check_range("events", len(message.events), 0, values.MAX_EVENT_BATCH)',
        "",
        ("tests/server/test_instance_handlers.py::test_a_batch_has_a_bound",),
    ),
    Mutant(
        "A poll of a client that has gone is held to its end.",
        "runtara_protocol/quic/stream.py",
        "Stream.drop",
        "if self._on_stop_sending is not None:\n    self._on_stop_sending()",
        "",
        (
            "tests/server/test_hostile_departures.py"
            "::test_a_poll_whose_answer_is_not_wanted_is_held_no_longer",
        ),
    ),
    Mutant(
        "A signal that was not accepted is taken for acknowledged.",
        "runtara_server/instance_handlers/signals.py",
        "signal_ack",
        "message.acknowledged",
        "True",
        ("tests/server/test_instance_handlers.py::test_a_signal_not_accepted_stays_pending",),
    ),
    Mutant(
        "A signal is put beside a state with which it does not fit a frame.",
        "runtara_server/instance_handlers/translation.py",
        "saved",
        "pending is not None and _has_room(response, pending)",
        "pending is not None",
        (
            "tests/server/test_answers_that_fit.py"
            "::test_a_checkpoint_found_leaves_the_pending_signal_for_later_if_both_do_not_fit",
        ),
    ),
    Mutant(
        "A large state that is found is read though there is no room for it.",
        "runtara_protocol/server/router.py",
        "Router._finish",
        "_require_room(is_overloaded, has_room)\nanswer = await answer.read()",
        "answer = await answer.read()",
        (
            "tests/server/test_room_for_answers.py"
            "::test_a_state_found_while_there_is_no_room_is_asked_for_again[large]",
        ),
    ),
    Mutant(
        "What many requests found at once is given though no room is left.",
        "runtara_protocol/server/router.py",
        "Router._finish",
        "self._table.is_read(answer)",
        "False",
        (
            "tests/server/test_room_for_answers.py"
            "::test_a_state_found_while_there_is_no_room_is_asked_for_again[medium]",
            "tests/server/test_room_for_answers.py::test_a_large_signal_is_asked_for_again_too",
        ),
    ),
    Mutant(
        "Each value that a poll tells has all of a frame to itself.",
        "runtara_server/instance_handlers/translation.py",
        "pending",
        "room -= size",
        "",
        (
            "tests/server/test_answers_that_fit.py"
            "::test_values_that_fit_a_poll_only_one_by_one_are_sent_one_by_one",
        ),
    ),
    Mutant(
        "A value too large for a poll hides those behind it.",
        "runtara_server/instance_handlers/translation.py",
        "pending",
        "continue",
        "break",
        (
            "tests/server/test_answers_that_fit.py"
            "::test_a_value_too_large_for_a_poll_hides_no_cancel",
        ),
    ),
)

"""Cancel scopes: the table of their states, and the order in which they were delivered."""

import asyncio

import pytest

from runtara_sdk.workflow.engine.cancel_scopes import (
    TABLE,
    CancelScope,
    Event,
    ScopeStack,
    State,
)

DELIVERED_ONCE = (Event.RAISED, Event.RAISED_ELSEWHERE, Event.SEEN, Event.REQUEST)


def stack() -> ScopeStack:
    return ScopeStack(CancelScope("cancel"), CancelScope("~end"))


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_every_scope_can_be_closed(state: State) -> None:
    """A branch leaves a scope whatever its state is."""
    assert TABLE[state][Event.CLOSE] is State.CLOSED


@pytest.mark.parametrize("event", Event)
def test_nothing_happens_to_a_closed_scope(event: Event) -> None:
    """A scope that the branch has left cancels nothing any more."""
    scope = CancelScope("timeout#1", state=State.CLOSED)

    scope.move(event)

    assert scope.state is State.CLOSED


@pytest.mark.parametrize("event", DELIVERED_ONCE)
def test_a_scope_is_delivered_once(event: Event) -> None:
    """A scope that the branch has seen is delivered again only if an ExceptionGroup hid it."""
    assert TABLE[State.DELIVERED].get(event, State.DELIVERED) is State.DELIVERED


def test_a_scope_gives_those_delivered_inside_it() -> None:
    """A timeout learns at its end which scopes were delivered after it was entered, in order."""
    scopes, inner = stack(), CancelScope("timeout#1")
    scopes.enter(inner)
    scopes.mark_raised("timeout#1", in_own_task=True)
    scopes.mark_raised("cancel", in_own_task=True)

    assert scopes.exit(inner, None) == [inner, scopes.whole]


def test_a_scope_entered_after_a_delivery_does_not_count_it() -> None:
    """A timeout in the clean-up of a cancel is not taken for what was cancelled."""
    scopes, inner = stack(), CancelScope("timeout#1")
    scopes.mark_raised("cancel", in_own_task=True)
    scopes.enter(inner)

    assert scopes.exit(inner, None) == []


def test_what_an_exception_group_hid_cancels_again() -> None:
    """A scope that was delivered inside a group that raises is pending again."""
    scopes, inner = stack(), CancelScope("group#1")
    scopes.enter(inner)
    scopes.mark_raised("cancel", in_own_task=True)
    assert scopes.whole not in scopes.pending()

    scopes.request_again(inner)

    assert scopes.whole in scopes.pending()
    assert scopes.whole.state is State.UNSEEN


def test_a_handled_cancelled_error_shows_what_was_raised_elsewhere() -> None:
    """A scope raised in a task of asyncio's is delivered when the branch handles that error."""
    scopes = stack()
    scopes.mark_raised("cancel", in_own_task=False)
    assert scopes.whole in scopes.pending()

    scopes.mark_seen(asyncio.CancelledError())

    assert scopes.whole not in scopes.pending()
    assert scopes.was_cancelled


def test_what_is_left_behind_is_never_delivered() -> None:
    """The scope of left-behind calls cancels each of them, for no branch is there to see one."""
    scopes = stack()

    scopes.mark_raised("~end", in_own_task=False)

    assert scopes.leftover.state is State.ARMED

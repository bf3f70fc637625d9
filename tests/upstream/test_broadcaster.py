"""broadcaster: a backend of our own stands where its own do, and its seam has no public name."""

import inspect

import pytest
from broadcaster import Broadcast
from broadcaster._backends.base import BroadcastBackend
from broadcaster._base import Event

from persistence.broadcast import PostgresBackend
from tests.upstream.leaning import taken_alike

REASON = "PostgresBackend listens and notifies in its place"


@pytest.mark.parametrize("name", ["connect", "disconnect", "subscribe", "unsubscribe", "publish", "next_published"])
def test_a_backend_has_the_methods_that_it_had(name: str):
    taken_alike(PostgresBackend, BroadcastBackend, name, REASON)


def test_there_is_no_other_method_that_ours_would_have_to_have():
    wanted = {name for name, each in vars(BroadcastBackend).items() if inspect.isfunction(each) and name[0] != "_"}

    assert wanted <= set(vars(PostgresBackend)), f"a backend needs {sorted(wanted)} now: {REASON}"


def test_a_broadcast_takes_a_backend_and_gives_events():
    assert "backend" in inspect.signature(Broadcast).parameters, f"Broadcast takes no backend any more: {REASON}"
    event = Event("channel", "message")
    assert (event.channel, event.message) == ("channel", "message")

"""A timeline is seen whole and once, whatever happens to the connections."""

import asyncio
import socket
from contextlib import aclosing
from typing import Any

import pytest
from websockets.asyncio.server import serve

from console import follow, websocket
from console.client import Client
from console.errors import ConnectionLost, ConsoleError, NotLifeOS, Refused, ServerUnreachable
from console.settings import Address
from tests.unit.console_peer import TOKEN, SocketPeer, Talk, failure, socket_peer


async def all_seqs(peer: SocketPeer, *, lost: list[ConsoleError] | None = None, **options: Any) -> list[int]:
    async with Client(peer.address, **options) as client:
        heard = lost if lost is not None else []
        return [event.seq async for event in client.follow_run("run_1", on_lost=heard.append)]


async def rest(talk: Talk) -> None:
    """The last events, and the end."""
    await talk.open()
    await talk.send_events(3, 4)
    await talk.complete()


async def test_a_timeline_ends_when_the_server_completes_it() -> None:
    async def script(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2, 3)
        await talk.complete()

    async with socket_peer(script) as peer:
        assert await all_seqs(peer) == [1, 2, 3]
        assert peer.cursors == [None]


async def test_each_connection_is_reported() -> None:
    async def stopping(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2)
        await talk.socket.close(1012)

    told: list[str] = []
    async with socket_peer(stopping, rest) as peer, Client(peer.address) as client:
        events = client.follow_run("run_1", on_lost=lambda _: told.append("lost"), on_open=lambda: told.append("open"))
        assert [event.seq async for event in events] == [1, 2, 3, 4]

    assert told == ["open", "lost", "open"]


async def test_a_given_cursor_is_where_it_starts() -> None:
    async with socket_peer(rest) as peer, Client(peer.address) as client:
        seqs = [event.seq async for event in client.follow_run("run_1", "cursor-2")]

    assert seqs == [3, 4]
    assert peer.cursors == ["cursor-2"]


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4408])
async def test_a_closed_socket_is_replaced_from_the_last_cursor(code: int) -> None:
    async def stopping(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2)
        await talk.socket.close(code, "stopping")

    lost: list[ConsoleError] = []
    async with socket_peer(stopping, rest) as peer:
        assert await all_seqs(peer, lost=lost) == [1, 2, 3, 4]

    assert peer.cursors == [None, "cursor-2"]
    assert [str(code) in str(error) for error in lost] == [True]


async def test_a_connection_that_vanishes_is_replaced_from_the_last_cursor() -> None:
    async def killed(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2)
        await talk.socket.ping()
        await talk.vanish()

    lost: list[ConsoleError] = []
    async with socket_peer(killed, rest) as peer:
        seqs = await all_seqs(peer, lost=lost)

    # What was under way when the connection was cut may be lost with it, and comes again.
    assert seqs == [1, 2, 3, 4] or (seqs == [3, 4] and peer.cursors[1] is None)
    assert ["1006" in str(error) for error in lost] == [True]


async def test_a_server_that_restarts_is_waited_for() -> None:
    stopped, refused = asyncio.Event(), asyncio.Event()
    seqs: list[int] = []

    async def stopping(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2)
        await talk.socket.close(1012)
        stopped.set()

    def on_lost(error: ConsoleError) -> None:
        if isinstance(error, ServerUnreachable):
            refused.set()

    async def follow_it(address: Address) -> None:
        async with Client(address) as client:
            seqs.extend([event.seq async for event in client.follow_run("run_1", on_lost=on_lost)])

    async with socket_peer(stopping) as peer:
        port = int(peer.address.url.rsplit(":", maxsplit=1)[1])
        following = asyncio.create_task(follow_it(peer.address))
        await stopped.wait()
    await refused.wait()
    async with socket_peer(rest, port=port) as again:
        await following

    assert seqs == [1, 2, 3, 4]
    assert again.cursors == ["cursor-2"]


async def test_an_event_that_comes_twice_is_given_once() -> None:
    async def stuttering(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2, 2, 1, 3)
        await talk.complete()

    async with socket_peer(stuttering) as peer:
        assert await all_seqs(peer) == [1, 2, 3]


async def test_a_gap_is_asked_for_again() -> None:
    async def leaving_one_out(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2, 4)
        await talk.hear()

    lost: list[ConsoleError] = []
    async with socket_peer(leaving_one_out, rest) as peer:
        assert await all_seqs(peer, lost=lost) == [1, 2, 3, 4]

    assert peer.cursors == [None, "cursor-2"]
    assert ["event 3 is missing" in str(error) for error in lost] == [True]


async def test_a_database_that_is_away_is_waited_for() -> None:
    async def unavailable(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1, 2)
        await talk.tell("error", id="1", payload=failure("UNAVAILABLE", "the database can't be reached")["errors"])
        await talk.hear()

    async with socket_peer(unavailable, rest) as peer:
        assert await all_seqs(peer) == [1, 2, 3, 4]

    assert peer.cursors == [None, "cursor-2"]


async def test_what_is_not_there_ends_it() -> None:
    async def not_found(talk: Talk) -> None:
        await talk.open()
        await talk.tell("error", id="1", payload=failure("NOT_FOUND", "no such run")["errors"])
        await talk.hear()

    async with socket_peer(not_found) as peer:
        with pytest.raises(Refused, match=r"^NOT_FOUND: no such run$"):
            await all_seqs(peer)


async def test_an_error_among_the_results_ends_it() -> None:
    async def failing(talk: Talk) -> None:
        await talk.open()
        payload = {"data": None, **failure("INTERNAL", "an error", id="e-1")}
        await talk.tell("next", id="1", payload=payload)
        await talk.hear()

    async with socket_peer(failing) as peer:
        with pytest.raises(Refused, match=r"^INTERNAL: an error \(the server's log has it as e-1\)$"):
            await all_seqs(peer)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (4403, "UNAUTHENTICATED: .*set LIFEOS_TOKEN"),
        (4429, "LIMIT_EXCEEDED.*4429 no"),
        (4400, "BAD_USER_INPUT.*4400 no"),
        (1009, "LIMIT.*1009 no"),
    ],
)
async def test_a_close_that_trying_again_would_not_change_ends_it(code: int, says: str) -> None:
    async def refusing(talk: Talk) -> None:
        await talk.hear()
        await talk.socket.close(code, "no")

    async with socket_peer(refusing) as peer:
        with pytest.raises(Refused, match=f"^{says}"):
            await all_seqs(peer)


async def test_a_revoked_token_ends_it_in_the_middle() -> None:
    async def revoking(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1)
        await talk.socket.close(4403, "revoked")

    seqs: list[int] = []
    async with socket_peer(revoking) as peer, Client(peer.address) as client:
        events = client.follow_run("run_1")
        seqs.append((await anext(events)).seq)
        with pytest.raises(Refused, match="LIFEOS_TOKEN"):
            await anext(events)

    assert seqs == [1]


async def test_a_server_that_was_never_there_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Client(Address(f"http://127.0.0.1:{port}", TOKEN)) as client:
        with pytest.raises(ServerUnreachable, match="connection refused"):
            await anext(client.follow_run("run_1"))


async def test_patience_with_a_server_that_never_lets_us_in_ends() -> None:
    async def full(talk: Talk) -> None:
        await talk.hear()
        await talk.socket.close(1013)

    async with socket_peer(*[full] * 1000) as peer:
        with pytest.raises(ConnectionLost, match="1013"):
            await all_seqs(peer, follow_patience_seconds=0.3)


async def test_no_acknowledgement_in_time_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_ACKNOWLEDGED_WITHIN_SECONDS", 0.05)

    async def silent(talk: Talk) -> None:
        await talk.socket.wait_closed()

    async with socket_peer(silent, silent) as peer:
        with pytest.raises(ConnectionLost, match="no acknowledgement in time"):
            await all_seqs(peer, follow_patience_seconds=0.06)


async def test_a_ping_of_the_protocol_is_answered() -> None:
    pongs: list[str] = []

    async def pinging(talk: Talk) -> None:
        await talk.open()
        await talk.tell("ping")
        pongs.append((await talk.hear())["type"])
        await talk.send_events(1)
        await talk.complete()

    async with socket_peer(pinging) as peer:
        assert await all_seqs(peer) == [1]

    assert pongs == ["pong"]


async def test_leaving_early_closes_the_socket() -> None:
    closed_with: list[int | None] = []

    async def endless(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1)
        await talk.socket.wait_closed()
        closed_with.append(talk.socket.close_code)

    async with (
        socket_peer(endless) as peer,
        Client(peer.address) as client,
        aclosing(client.follow_run("run_1")) as events,
    ):
        assert (await anext(events)).seq == 1

    assert closed_with == [1000]


async def test_messages_that_are_no_protocol_are_a_clear_error() -> None:
    async def babbling(talk: Talk) -> None:
        await talk.hear()
        await talk.socket.send("hello")
        await talk.socket.wait_closed()

    async with socket_peer(babbling) as peer:
        with pytest.raises(NotLifeOS, match="not JSON"):
            await all_seqs(peer)


async def test_a_socket_of_another_protocol_is_a_clear_error() -> None:
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0) as server:
        address = Address(f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", TOKEN)
        async with Client(address) as client:
            with pytest.raises(NotLifeOS):
                await anext(client.follow_run("run_1"))


async def test_the_wait_between_connections_starts_small_again_after_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    made = follow.growing_delays

    def counted(base_seconds: float, cap_seconds: float) -> Any:
        waits.append(base_seconds)
        return made(base_seconds / 100, cap_seconds / 100)

    monkeypatch.setattr(follow, "growing_delays", counted)

    async def one_event(talk: Talk) -> None:
        await talk.open()
        await talk.send_events(1 if talk.after is None else int(talk.after.removeprefix("cursor-")) + 1)
        await talk.socket.close(1012)

    async with socket_peer(one_event, one_event, rest) as peer:
        assert await all_seqs(peer) == [1, 2, 3, 4]

    assert len(waits) == 3

"""Answers that are played: an environment on the server, stepped by the keys of the person at the page."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from rlhf_gym.labelling.clips import ClipError
from rlhf_gym.labelling.desk import Desk
from rlhf_gym.labelling.games import Games
from rlhf_gym.labelling.page.messages import (
    BegunMessage,
    ControlMessage,
    FrameMessage,
    GameMessage,
    ProgressMessage,
    SendMessage,
    StepMessage,
    refusals,
)
from rlhf_gym.labelling.playing import Game, NoGame
from rlhf_gym.preferences import Shown

MOST_AT_ONCE = 8  # steps under way; one that hangs keeps its seat
STEP_SECONDS = 60.0  # that a step, or the start of a game, may take
RENEW_EVERY = 100  # steps: at 12 a second, every 8 seconds
Played = TypeVar("Played")


def playing(desk: Desk, games: Games) -> APIRouter:
    """Make the routes under which answers are played."""
    routes = APIRouter(prefix="/games", tags=["playing"])

    seats = threading.BoundedSemaphore(MOST_AT_ONCE)

    @routes.post("", responses=refusals(404, 409))
    async def begin(asked: GameMessage) -> BegunMessage:
        """Begin a game that answers a query, or restart it; its reservation is renewed."""
        query = await run_in_threadpool(desk.query, asked.query_id)
        await run_in_threadpool(desk.reserve, asked.who, asked.query_id)

        def begun() -> BegunMessage:
            game = games.begin(asked.who, query)
            return BegunMessage(
                frames_per_second=game.frames_per_second,
                controls=[ControlMessage(**control._asdict()) for control in game.controls.keys],
                idle=list(game.controls.idle),
                frame=_frame(game),
            )

        with _told(query.id):
            return await _played(seats, begun)

    @routes.post("/step", responses=refusals(404, 409))
    async def step(asked: StepMessage) -> FrameMessage:
        """Play one step; now and then this renews the query's reservation."""
        game = await run_in_threadpool(games.find, asked.who, asked.query_id)
        if asked.at % RENEW_EVERY == 0:
            await run_in_threadpool(desk.reserve, asked.who, asked.query_id)

        def played() -> FrameMessage:
            game.step(asked.action, at=asked.at)
            return _frame(game)

        with _told(asked.query_id):
            return await _played(seats, played)

    @routes.post("/send", responses=refusals(404, 409))
    def send(asked: SendMessage) -> ProgressMessage:
        """Record what was played as the answer, which is safe on return; sent twice, it counts once."""
        try:
            game = games.find(asked.who, asked.query_id)
        except NoGame:  # sending ends the game, and that reply may have been lost
            if not isinstance(desk.standing(asked.who, asked.query_id), Shown):
                raise
        else:
            shown_at = None if asked.seconds is None else time.time() - asked.seconds
            desk.answer(asked.who, asked.query_id, Shown(game.segment()), shown_at)
            games.end(asked.who)
        return ProgressMessage(**desk.progress(asked.who)._asdict())

    return routes


def _frame(game: Game) -> FrameMessage:
    picture = base64.b64encode(game.picture()).decode()
    return FrameMessage(steps=game.steps, length=game.length, over=game.over, enough=game.enough, picture=picture)


async def _played(seats: threading.BoundedSemaphore, play: Callable[[], Played]) -> Played:
    """Play in a thread with a time limit: an environment that hangs keeps one of a few seats, but delays no answers.

    Raises:
        NoGame: If all seats are taken, or it takes too long.
    """

    def seated() -> Played:
        if not seats.acquire(blocking=False):
            raise NoGame(f"{MOST_AT_ONCE} steps are being played just now; begin again")
        try:
            return play()
        finally:
            seats.release()

    try:
        with anyio.fail_after(STEP_SECONDS):
            return await anyio.to_thread.run_sync(seated, abandon_on_cancel=True)
    except TimeoutError as error:
        raise NoGame(f"the environment hasn't answered within {STEP_SECONDS:g} s; begin again, or skip it") from error


@contextmanager
def _told(query_id: str) -> Iterator[None]:
    """Turn any error of an environment into a :class:`ClipError` that tells a client no more than it may know."""
    try:
        yield
    except NoGame:
        raise
    except Exception as error:
        told, why = f"query {query_id} can't be played here", str(error)
        ours = isinstance(error, ValueError) and not set(why) & set("/\\")
        raise (ClipError(f"{told}: {why}") if ours else ClipError(told, why)) from error

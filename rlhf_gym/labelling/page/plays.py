"""Answers that are played: an environment on the server, stepped by the keys of the person at the page."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter

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


def playing(desk: Desk, games: Games) -> APIRouter:
    """Make the routes under which answers are played."""
    routes = APIRouter(prefix="/games", tags=["playing"])

    @routes.post("", responses=refusals(404, 409))
    def begin(asked: GameMessage) -> BegunMessage:
        """Begin to play the answer to a query, or begin anew; the query is reserved for a while again."""
        query = desk.query(asked.query_id)
        desk.upcoming(asked.who)
        with _told(query.id):
            game = games.begin(asked.who, query)
            return BegunMessage(
                frames_per_second=game.frames_per_second,
                controls=[ControlMessage(**control._asdict()) for control in game.controls.keys],
                idle=list(game.controls.idle),
                frame=_frame(game),
            )

    @routes.post("/step", responses=refusals(404, 409))
    def step(asked: StepMessage) -> FrameMessage:
        """Play one step."""
        game = games.find(asked.who, asked.query_id)
        with _told(asked.query_id):
            game.step(asked.action, at=asked.at)
            return _frame(game)

    @routes.post("/send", responses=refusals(404, 409))
    def send(asked: SendMessage) -> ProgressMessage:
        """Record what was played as the answer: the last steps of it. It is safe when this returns."""
        segment = games.find(asked.who, asked.query_id).segment()
        shown_at = None if asked.seconds is None else time.time() - asked.seconds
        desk.answer(asked.who, asked.query_id, Shown(segment), shown_at)
        games.end(asked.who)
        return ProgressMessage(**desk.progress(asked.who)._asdict())

    return routes


def _frame(game: Game) -> FrameMessage:
    picture = base64.b64encode(game.picture()).decode()
    return FrameMessage(steps=game.steps, length=game.length, over=game.over, enough=game.enough, picture=picture)


@contextmanager
def _told(query_id: str) -> Iterator[None]:
    """Say why a game doesn't go on, as far as a client may know: an environment can fail in any way."""
    try:
        yield
    except NoGame:
        raise
    except Exception as error:
        told, why = f"query {query_id} can't be played here", str(error)
        ours = isinstance(error, ValueError) and not set(why) & set("/\\")
        raise (ClipError(f"{told}: {why}") if ours else ClipError(told, why)) from error

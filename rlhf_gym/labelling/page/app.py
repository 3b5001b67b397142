"""The page and its REST API, which /openapi.json describes; no path or file name ever comes from a client."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, FastAPI, Request
from fastapi import Query as InAddress
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.labelling import wanted
from rlhf_gym.labelling.clips import Clip, ClipError, ClipNotReady
from rlhf_gym.labelling.desk import Desk, Taken
from rlhf_gym.labelling.games import Games
from rlhf_gym.labelling.page.access import HERE_ALONE, Access
from rlhf_gym.labelling.page.guard import Guard
from rlhf_gym.labelling.page.messages import (
    NO_NAME,
    ClipMessage,
    GivenAnswerMessage,
    LookingMessage,
    Name,
    NextMessage,
    OptionMessage,
    OptionName,
    Person,
    ProgressMessage,
    QueryId,
    QueryMessage,
    Refusal,
    ReservedMessage,
    RunMessage,
    RunName,
    UndoMessage,
    UndoneMessage,
    refusals,
)
from rlhf_gym.labelling.page.plays import playing
from rlhf_gym.labelling.pictures import last_lived
from rlhf_gym.labelling.playing import PLAYED, NoGame
from rlhf_gym.preferences import Answer, Query, Said
from rlhf_gym.store import UnknownQuery, UnknownRun, Unusable

SHOWS = (*wanted.SHOWS, *PLAYED)
"""Kinds of query that the page can show."""
STATIC = Path(__file__).parent / "static"
CLIP_SECONDS = 10.0  # that a request waits for a clip before it is told to ask again
LOG = logging.getLogger(__name__)
Curve = Callable[[], Sequence[Mapping[str, float]]]


class NoAnswer(BadInput):
    """The text is no answer to that query."""


def make_app(desk: Desk, *, token: str | None = None, curve: Curve = tuple, access: Access = HERE_ALONE) -> FastAPI:
    """Make the app that serves a desk's queries.

    Args:
        desk: Where queries come from and answers go.
        token: Secret that every request needs; None where only this machine can reach the page.
        curve: Returns the run's rows of ``metrics.csv``; called whenever the dashboard asks for them.
        access: How the page is reached from elsewhere.
    """
    games = Games(rng=np.random.default_rng())  # seeds of games aren't among the run's own draws

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        with closing(games):
            yield

    app = FastAPI(
        title="rlhf_gym labelling",
        summary="Clips of what a policy does, and what people say to them",
        docs_url=None,  # FastAPI's own pages load from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name a host that only the proxy knows
        lifespan=running,
    )
    app.include_router(_asking(desk), prefix="/api")
    app.include_router(_clips(desk), prefix="/api")
    app.include_router(playing(desk, games), prefix="/api")
    app.include_router(_looking(desk, curve), prefix="/api")
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(UnknownQuery, lambda _, error: _refusal(404, str(error)))
    app.add_exception_handler(UnknownRun, lambda *_: _refusal(404, "there is no such run"))
    app.add_exception_handler(ValueError, _broken)
    app.add_exception_handler(Unusable, _away())
    app.add_exception_handler(NoAnswer, lambda _, error: _refusal(422, str(error)))
    app.add_exception_handler(NoGame, lambda _, error: _refusal(409, str(error)))
    app.add_exception_handler(Taken, lambda _, error: _refusal(409, str(error)))
    app.add_exception_handler(ClipError, _undrawable)
    app.add_exception_handler(ClipNotReady, lambda _, error: _refusal(202, str(error)))
    pages = {"/": STATIC / "index.html", "/dashboard": STATIC / "dashboard.html"}
    for path, file in (pages | {f"/static/{file.name}": file for file in STATIC.iterdir()}).items():
        app.add_api_route(path, _file(file), include_in_schema=False)
    app.add_middleware(Guard, token=token, access=access)
    return app


def _asking(desk: Desk) -> APIRouter:
    """Make the routes that hand out queries and take answers."""
    routes = APIRouter(tags=["labelling"])

    @routes.post("/next", responses=refusals())
    def next_query(person: Person) -> NextMessage:
        """Reserve the query that this person should answer now; it stays the same until it is answered."""
        queries = desk.upcoming(person.who)
        return NextMessage(
            query=_query(desk, queries[0]) if queries else None,
            ahead=[query.id for query in queries[1:]],
            instructions=desk.instructions_for(queries[0] if queries else None),
            progress=_progress(desk, person.who),
        )

    @routes.post("/answers", responses=refusals(404, 409))
    def answer(given: GivenAnswerMessage) -> ProgressMessage:
        """Record an answer, which is safe on return. Sending it again changes nothing; a different one is refused."""
        shown_at = None if given.seconds is None else time.time() - given.seconds
        desk.answer(given.who, given.query_id, _meaning(desk.query(given.query_id), given.answer), shown_at)
        return _progress(desk, given.who)

    @routes.post("/reserve", responses=refusals(404))
    def reserve(looking: LookingMessage) -> ReservedMessage:
        """Renew the reservation of the query in view, which otherwise ends two minutes after it was given."""
        return ReservedMessage(reserved=desk.reserve(looking.who, looking.query_id))

    @routes.get("/answered", responses=refusals())
    def answered(who: Annotated[Name, InAddress()]) -> list[str]:
        """List the queries that a person answered last, the last one last, for /api/undo."""
        return desk.answered(who)

    @routes.post("/undo", responses=refusals())
    def undo(asked: UndoMessage) -> UndoneMessage:
        """Take back this person's last answer."""
        query = desk.undo(asked.who, None if asked.answered is None else list(asked.answered))
        return UndoneMessage(
            query=_query(desk, query) if query else None,
            instructions=desk.instructions_for(query),
            progress=_progress(desk, asked.who),
        )

    @routes.get("/progress", responses=refusals())
    def progress(who: Annotated[Name, InAddress()]) -> ProgressMessage:
        """Count answers and waiting queries."""
        return _progress(desk, who)

    return routes


def _clips(desk: Desk) -> APIRouter:
    """Make the routes that serve clips."""
    routes = APIRouter(tags=["clips"])
    later: dict[int | str, dict[str, Any]] = {202: {"model": Refusal, "description": "Still being drawn: ask again."}}

    # An id can't be part of the path, because it may be "a/b" or "..".
    @routes.get("/clips", responses=refusals(404, 409) | later)
    async def clip(query_id: Annotated[QueryId, InAddress()], request: Request) -> ClipMessage:
        """Describe how to play a query's clip, once it is drawn."""
        drawn = await _drawn(desk, query_id)
        return ClipMessage(
            query_id=query_id,
            width=drawn.width,
            height=drawn.height,
            milliseconds=drawn.milliseconds,
            slowdown=drawn.slowdown,
            instead=drawn.instead,
            options=_options(await run_in_threadpool(desk.query, query_id), drawn, request.scope.get("root_path", "")),
        )

    pictures: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "The sheet."}}

    @routes.get("/clips/{option}", responses=pictures | refusals(404, 409) | later, response_class=Response)
    async def sheet(option: OptionName, query_id: Annotated[QueryId, InAddress()]) -> Response:
        """Return all pictures of one option in one JPEG, row by row."""
        drawn = await _drawn(desk, query_id)
        if option not in drawn.order:
            return _refusal(404, f"query {query_id!r} has no option {option}; use {', '.join(drawn.order)}")
        try:
            picture = await run_in_threadpool(drawn.sheet(option).read_bytes)
        except FileNotFoundError as error:
            raise ClipNotReady(f"the clip of query {query_id} was removed meanwhile; ask again") from error
        return Response(picture, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    return routes


async def _drawn(desk: Desk, query_id: str) -> Clip:
    """Wait for a clip without occupying a thread, since answers need them."""
    drawing = asyncio.wrap_future(await run_in_threadpool(desk.drawing, query_id))
    drawing.add_done_callback(lambda done: done.cancelled() or done.exception())  # desk.clip raises it below
    _, late = await asyncio.wait([drawing], timeout=CLIP_SECONDS)
    if late:
        await run_in_threadpool(desk.keep_reserved, query_id)
        raise ClipNotReady(f"the clip of query {query_id} isn't ready after {CLIP_SECONDS:g} s; ask again")
    return await run_in_threadpool(desk.clip, query_id, timeout=0.0)


def _looking(desk: Desk, curve: Curve) -> APIRouter:
    """Make the routes of the dashboard."""
    routes = APIRouter(tags=["dashboard"])

    @routes.get("/curve", responses=refusals())
    def learning_curve() -> list[dict[str, float | None]]:
        """List the run's rounds so far; a figure that doesn't exist is null."""
        return [{name: value if math.isfinite(value) else None for name, value in row.items()} for row in curve()]

    @routes.get("/runs", responses=refusals())
    def runs() -> list[RunMessage]:
        """List the runs in the store that have asked something, each with its progress."""
        return [
            RunMessage(
                name=run.name,
                env_id=run.env_id,
                labels=run.labels,
                answered=counts.labels,
                waiting=counts.open,
            )
            for run, counts in desk.progress_by_run()
        ]

    @routes.get("/quality", responses=refusals(404))
    def quality(run: Annotated[RunName | None, InAddress()] = None) -> dict[str, Any]:
        """Assess the answers to a run, each person's and the agreement between people; by default the first run."""
        return desk.quality(run).as_dict()

    return routes


def _progress(desk: Desk, who: str) -> ProgressMessage:
    return ProgressMessage(**desk.progress(who)._asdict())


def _query(desk: Desk, query: Query) -> QueryMessage:
    return QueryMessage(id=query.id, kind=query.kind, options=len(query.options), levels=desk.levels_of(query))


def _meaning(query: Query, text: str) -> Said:
    """Parse an answer by the query's kind.

    Raises:
        NoAnswer: If it is no answer to this query.
    """
    kind = find_kind(query.kind)
    if kind.made and text != Answer.SKIP.value:
        raise NoAnswer(f"body.answer: the answer to a {query.kind} is played, and sent by /api/games/send; or say skip")
    try:
        return kind.parse(text, len(query.options))
    except ValueError as error:
        raise NoAnswer(f"body.answer: {error}") from error


def _options(query: Query, clip: Clip, root: str) -> list[OptionMessage]:
    return [
        OptionMessage(
            name=name,
            url=f"{root}/api/clips/{name}?query_id={quote(query.id, safe='')}",
            columns=clip.columns[name],
            order=clip.order[name],
            lived=last_lived(clip.order[name], segment),
        )
        for name, segment in zip(query.names, query.options, strict=True)
    ]


def _file(file: Path) -> Callable[[], FileResponse]:
    return lambda: FileResponse(file, headers={"cache-control": "no-cache"})


# Responses name no file of this machine: the text of an error that might goes to the log instead.


def _undrawable(_: Request, error: Exception) -> Response:
    """Say why there is no clip, as far as a client may know."""
    assert isinstance(error, ClipError)  # noqa: S101
    if not error.details:
        return _refusal(409, error.told)
    LOG.warning("%s", error)
    return _refusal(409, f"{error.told}; the server's log says why")


def _away() -> Callable[[Request, Exception], Response]:
    """Make the handler of a store that can't be used: the log says why, once, though browsers ask every second."""
    told: set[str] = set()

    def answer(_: Request, error: Exception) -> Response:
        if str(error) not in told:
            told.add(str(error))
            LOG.warning("%s", error)
        return _refusal(503, "the store can't be used just now; ask again")

    return answer


def _broken(_: Request, error: Exception) -> Response:
    """Log what is wrong with a damaged store, and hide it from the client."""
    LOG.error("%s", error, exc_info=error)
    return _refusal(500, "the store can't be used just now; the server's log says why")


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse({"detail": " ".join(detail.split())}, status)


def _misread(_: Request, error: Exception) -> Response:
    """Say what is wrong with a request without quoting it, because infinity and lone surrogates can't be sent back."""
    wrong = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(_of_part(one) for one in wrong)
    return _refusal(422, told.encode("ascii", "replace").decode())


def _of_part(wrong: Mapping[str, Any]) -> str:
    """Say what is wrong with a part of a request; people who type their names know no such parts."""
    return wrong["msg"] if wrong["type"] == NO_NAME else f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"

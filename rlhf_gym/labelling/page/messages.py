"""Messages of the REST API, strictly checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rlhf_gym.preferences import Answer

# Printable, no blank at either end: PostgreSQL refuses NUL, and a terminal may show the name one day.
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=60, pattern=r"^[^\s\x00-\x1f\x7f-\x9f]+( [^\s\x00-\x1f\x7f-\x9f]+)*$"),
]
QueryId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Side = Literal["left", "right"]


class Message(BaseModel):
    """A message: no unknown fields, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Person(Message):
    """The person who asks."""

    who: Name


class GivenAnswerMessage(Message):
    """A person's answer to a query."""

    who: Name
    query_id: QueryId
    answer: Literal["left", "right", "tie", "skip"]
    seconds: float | None = Field(
        default=None, ge=0, le=86_400, allow_inf_nan=False, description="How long the clips were in view."
    )

    @property
    def meaning(self) -> Answer:
        """As the store knows it."""
        return Answer(self.answer)


class ProgressMessage(Message):
    """How far it has come. A skip is no label."""

    answered: int = Field(description="Current labels of all people together.")
    by_you: int = Field(description="Those of one person.")
    labels: int | None = Field(description="The budget; null where there is none.")
    waiting: int = Field(description="Queries that wait for an answer.")
    median_seconds: float | None = Field(description="Per answer of that person; null before the first.")


class NextMessage(Message):
    """The query to answer now."""

    query_id: str | None = Field(description="Null where nothing is to be asked just now: ask again in a second.")
    ahead: list[str] = Field(description="Ids of the queries that come after, for loading their clips meanwhile.")
    instructions: str = Field(description="What to look for.")
    progress: ProgressMessage


class UndoneMessage(Message):
    """The answer taken back."""

    query_id: str | None = Field(description="To be answered again; null where there was nothing to take back.")
    progress: ProgressMessage


class SideMessage(Message):
    """One side of a clip: a sheet of pictures, row by row, and the one to show at each tick."""

    url: str
    columns: int = Field(description="Pictures in a row of the sheet.")
    order: list[int] = Field(description="Number of the picture at each tick; as many as on the other side.")


class ClipMessage(Message):
    """Both sides of a query, to be played by one clock."""

    query_id: str
    width: int = Field(description="Of one picture, in pixels.")
    height: int
    milliseconds: int = Field(description="Length of a tick.")
    slowdown: float = Field(description="How many times slower than the environment itself.")
    left: SideMessage
    right: SideMessage


class Refusal(Message):
    """Why not, in one line."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No token, or a wrong one."},
    403: {"model": Refusal, "description": "Asked by another site."},
    404: {"model": Refusal, "description": "No such query."},
    400: {"model": Refusal, "description": "The body is no JSON."},
    422: {"model": Refusal, "description": "Not as described here."},
    409: {"model": Refusal, "description": "The query is somebody else's by now, or can't be drawn."},
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may refuse with, for its description; every route asks for the token."""
    return {status: REFUSALS[status] for status in (400, 401, 403, 422, *statuses)}

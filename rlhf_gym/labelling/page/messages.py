"""Messages of the REST API, strictly checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from rlhf_gym.labelling import names
from rlhf_gym.store.runs import NAME_PATTERN

NO_NAME = "no_name"
"""Type of the error of a name that can't be kept, whose message people are shown."""


def _name(name: str) -> str:
    if kept := names.as_kept(name):
        return kept
    raise PydanticCustomError(NO_NAME, f"This name can't be used: {names.EXPECTED}")


_NAME = {"type": "string", "minLength": 1, "maxLength": names.MOST, "pattern": names.PATTERN}
Name = Annotated[str, AfterValidator(_name), WithJsonSchema(_NAME)]
# Any id that the store takes, since it may hold queries of other tools.
QueryId = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
RunName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
OptionName = Literal["left", "right", "a", "b", "c", "d", "e", "f", "g", "h"]


class Message(BaseModel):
    """A message: no unknown fields, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Person(Message):
    """The person who asks."""

    who: Name


class UndoMessage(Person):
    """A request to take back a person's last answer."""

    answered: list[QueryId] | None = Field(
        default=None,
        max_length=100,
        description="Ids of the queries whose answers may be taken back, the last one last: what /api/answered listed "
        "when their window was opened, and what was answered in it since. Sent again, such a list takes back no more. "
        "Null is the last answer of all.",
    )


class GivenAnswerMessage(Message):
    """A person's answer to a query."""

    who: Name
    query_id: QueryId
    answer: str = Field(
        min_length=1,
        max_length=100,
        description='By the query\'s kind. A comparison: "left", "right" or "tie". A ranking: the options\' places, '
        'the best first, from 0, tied ones in a list of their own, such as "[2,[0,1]]". A rating: a level and how many '
        'there are, such as "4/5". A switch_off: after how many eighths, such as "3/8"; "8/8" is not at all. Any: '
        '"skip", and nothing else where the answer is played.',
    )
    seconds: float | None = Field(
        default=None, ge=0, le=86_400, allow_inf_nan=False, description="How long the clips were in view."
    )


class ProgressMessage(Message):
    """The progress of labelling. A skip is no label."""

    answered: int = Field(description="Current labels of all people together.")
    by_you: int = Field(description="Those of one person.")
    labels: int | None = Field(description="The budget; null where there is none.")
    waiting: int = Field(description="Queries that wait for an answer.")
    median_seconds: float | None = Field(description="Per answer of that person; null before the first.")


class QueryMessage(Message):
    """A query: what is shown, and how it may be answered."""

    id: str
    kind: str = Field(description="Such as comparison, ranking, rating-3 or switch_off.")
    options: int = Field(description="How many segments it shows.")
    levels: list[str] = Field(description="What a rating's levels are called, the worst first; else empty.")


class NextMessage(Message):
    """The query to answer now."""

    query: QueryMessage | None = Field(description="Null where nothing is to be asked just now: ask again in a second.")
    ahead: list[str] = Field(description="Ids of the queries that come after, for loading their clips meanwhile.")
    instructions: str = Field(description="What to look for.")
    progress: ProgressMessage


class RunMessage(Message):
    """The progress of one run."""

    name: str
    env_id: str = Field(description="Its environment; empty where that isn't known.")
    labels: int | None = Field(description="Its budget; null where there is none.")
    answered: int = Field(description="Current labels of all people together.")
    waiting: int = Field(description="Queries that wait for an answer.")


class UndoneMessage(Message):
    """The query whose answer was taken back."""

    query: QueryMessage | None = Field(description="To be answered again; null where there was nothing to take back.")
    instructions: str = Field(description="What to look for.")
    progress: ProgressMessage


class OptionMessage(Message):
    """One option of a query: a sheet of pictures, row by row, and which of them to show at each tick."""

    name: str = Field(description="Left and right, or a letter.")
    url: str
    columns: int = Field(description="Pictures in a row of the sheet.")
    order: list[int] = Field(description="Number of the picture at each tick; as many as of every other option.")
    lived: int = Field(description="The tick of the last step; what follows is held.")


class ClipMessage(Message):
    """All options of a query, to be played by one clock."""

    query_id: str
    width: int = Field(description="Of one picture, in pixels.")
    height: int
    milliseconds: int = Field(description="Length of a tick.")
    slowdown: float = Field(description="How many times slower than the environment itself.")
    instead: str = Field(description="Why observations are plotted; empty where the environment is drawn.")
    options: list[OptionMessage]


class LookingMessage(Message):
    """A person, and the query that they look at."""

    who: Name
    query_id: QueryId


class ReservedMessage(Message):
    """Whether a query is reserved for the person who looks at it."""

    reserved: bool = Field(description="False if others hold it or have answered it, as many as it needs.")


class GameMessage(Message):
    """A person, and the query that their game answers."""

    who: Name
    query_id: QueryId


class StepMessage(Message):
    """One step that a person plays."""

    who: Name
    query_id: QueryId
    at: int = Field(ge=0, le=1_000_000, description="Steps played so far; a step asked for twice is made once.")
    action: int = Field(ge=0, le=3)


class SendMessage(Message):
    """A request to record what was played as the answer."""

    who: Name
    query_id: QueryId
    seconds: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False)


class ControlMessage(Message):
    """A key, and the action it means while it is held."""

    key: str = Field(description="As browsers name it.")
    action: int
    name: str


class FrameMessage(Message):
    """The state of a game."""

    steps: int = Field(description="Played so far.")
    length: int = Field(description="Of what is sent: the last steps, at most this many.")
    over: bool = Field(description="Whether it goes no further.")
    enough: bool = Field(description="Whether it can be sent.")
    picture: str = Field(description="A JPEG in base64.")


class BegunMessage(Message):
    """A game that has begun."""

    frames_per_second: int = Field(description="The environment's own speed.")
    controls: list[ControlMessage]
    idle: list[int] = Field(description="Actions while no key is held, in turn.")
    frame: FrameMessage


class Refusal(Message):
    """The reason for a refusal, in one line."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No token, or a wrong one."},
    403: {"model": Refusal, "description": "Asked by another site."},
    408: {"model": Refusal, "description": "The body didn't come in time."},
    413: {"model": Refusal, "description": "The body is larger than any message."},
    404: {"model": Refusal, "description": "No such query, or no such option of it."},
    400: {"model": Refusal, "description": "The body can't be decoded."},
    422: {"model": Refusal, "description": "Not as described here, or no JSON."},
    409: {"model": Refusal, "description": "The query is somebody else's by now, or can't be drawn or played."},
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of a route: these statuses, and those that every route has."""
    return {status: REFUSALS[status] for status in (400, 401, 403, 408, 413, 422, *statuses)}

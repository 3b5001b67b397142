"""The judge: a language model behind an OpenAI-compatible endpoint, which answers and says why."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Answer, Query, Said
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers.accounts import ROWS, account
from rlhf_gym.teachers.judgements import Judgement, Judgements
from rlhf_gym.teachers.teacher import Teacher

if TYPE_CHECKING:
    from openai import OpenAI

RECORD, OPENAI, KEY = "judge.jsonl", "https://api.openai.com/v1", "OPENAI_API_KEY"
HOW_TO_SAY: Mapping[str, str] = {
    "comparison": 'one of "left", "right", "tie", or "skip" if you can\'t tell',
    "ranking": 'the numbers of the options, best first, such as [2,0,1], ties in brackets, [2,[0,1]], or "skip"',
}
"""How an answer is written, by kind of feedback, so that the kind can parse it."""
SYSTEM = """\
You compare short segments of what a controlled system does, and say which one follows these principles better:

{principles}

You get a table for each segment: the state after some of its steps, and the action of those steps. Reply with one \
JSON object and nothing else: {{"reason": one sentence, "answer": {how}}}."""


@final
class JudgeTeacher(Teacher):
    """Ask a language model, given principles in plain words and a table of named variables for each segment.

    Every judgement is kept with all messages in `judge.jsonl` beside the store, and isn't asked for again, so a run
    that was stopped in a round pays for no answer twice. The key is read from an environment variable and is written
    nowhere.

    Args:
        store: Store beside which judgements are kept, if that is a file.
        model: Name of the model at the endpoint.
        principles: What is good, in plain words; or the path of a file with them.
        url: URL of the endpoint, up to /v1; None is OpenAI's.
        key_variable: Environment variable with the key; None is OPENAI_API_KEY at OpenAI's endpoint, and no key at
            another.
        variables: Names of the variables that the tables show; None is all.
        rows: Number of steps of a segment that a table shows, evenly spread.
        attempts: Most tries of a request that fails temporarily, and most replies asked for until one can be read;
            after them the query is skipped.
        timeout: Seconds to wait for a reply.
        per_minute: Most requests per minute, without retries; None is no limit.
        temperature: Temperature of the model; None leaves it to the endpoint.
        price_in: Price per million tokens sent.
        price_out: Price per million tokens received.
        most_cost: Cost of all judgements at which no more are asked for, in the same unit; None is no limit.

    Raises:
        BadInput: If openai isn't installed, a setting makes no sense, or the endpoint can't be asked.
    """

    name = "judge"
    kinds = tuple(HOW_TO_SAY)

    def __init__(
        self,
        store: PreferenceStore | None = None,
        *,
        model: str,
        principles: str,
        url: str | None = None,
        key_variable: str | None = None,
        variables: Sequence[str] | str | None = None,
        rows: int = ROWS,
        attempts: int = 3,
        timeout: float = 60.0,
        per_minute: float | None = None,
        temperature: float | None = 0.0,
        price_in: float = 0.0,
        price_out: float = 0.0,
        most_cost: float | None = None,
    ) -> None:
        self.judgements = Judgements(store.beside(RECORD) if store else None)
        _check_numbers(
            {"rows": rows, "attempts": attempts},
            {"timeout": timeout, "per_minute": per_minute, "price_in": price_in, "price_out": price_out,
             "temperature": temperature, "most_cost": most_cost},
        )  # fmt: skip
        if most_cost is not None and not price_in and not price_out:
            raise BadInput(
                "teacher_options.most_cost is set and price_in and price_out are 0; set them, per million tokens"
            )
        if not isinstance(variables, str | Sequence | None):
            raise BadInput(f"teacher_options.variables is {variables!r}; use names of variables")
        self.model, self.url, self.principles = model, url or OPENAI, _text(principles)
        self._key_variable = key_variable or (KEY if url is None else None)
        self._variables = [variables] if isinstance(variables, str) else variables
        self._rows, self._attempts, self._timeout, self._temperature = rows, attempts, timeout, temperature
        self._prices, self._most_cost = (price_in, price_out), most_cost
        self._gap, self._next = 60 / per_minute if per_minute else 0.0, 0.0
        if not len(self.judgements):  # a run that already has judgements may be loaded without a key
            _ = self._client

    @cached_property
    def _client(self) -> OpenAI:
        try:
            from openai import OpenAI
        except ImportError as error:
            raise BadInput("teacher is judge, which needs openai; pip install 'rlhf-gym[judge]'") from error
        key = os.environ.get(self._key_variable) if self._key_variable else "none"
        if not key:
            raise BadInput(f"teacher is judge, and {self._key_variable} isn't set; export it, or ask another endpoint")
        # The client itself waits longer before each retry, and as long as a "too many requests" response says.
        return OpenAI(api_key=key, base_url=self.url, timeout=self._timeout, max_retries=self._attempts - 1)

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Said:
        kind = find_kind(query.kind)
        if query.kind not in HOW_TO_SAY:
            raise BadInput(f"teacher is judge, who can't answer a {query.kind}; use kind {' or '.join(HOW_TO_SAY)}")
        system = SYSTEM.format(principles=self.principles, how=HOW_TO_SAY[query.kind])
        asked = [_said("system", system), _said("user", account(query, variables=self._variables, rows=self._rows))]
        if (judgement := self.judgements.about(query.id, self.model, self.url, asked)) is None:
            judgement = self._judge(query, asked)
        return kind.parse(judgement.answer, len(query.options))

    def _judge(self, query: Query, asked: Sequence[Mapping[str, str]]) -> Judgement:
        """Ask until a reply can be read, and keep all messages, even if the endpoint fails in between."""
        kind, messages, began = find_kind(query.kind), list(asked), time.time()
        tokens, answer, reason = np.zeros(2), "", "the endpoint failed"
        try:
            for _ in range(self._attempts):
                reply, used = self._reply(messages, spent=float(tokens @ self._prices) / 1e6)
                tokens += used
                messages.append(_said("assistant", reply))
                try:
                    said, why = _read(reply)
                    kind.parse(said, len(query.options))
                    answer, reason = said, why
                    break
                except ValueError as error:
                    messages.append(
                        _said("user", f"That can't be read ({error}). Reply with the JSON object and nothing else.")
                    )
            else:
                answer, reason = Answer.SKIP.value, "no reply could be read"
        finally:
            judgement = Judgement(
                query.id, query.kind, self.model, self.url, messages, answer, reason, int(tokens[0]), int(tokens[1]),
                float(tokens @ self._prices) / 1e6, round(time.time() - began, 3), began,
            )  # fmt: skip
            if len(messages) > len(asked):
                self.judgements.keep(judgement)
        return judgement

    def _reply(self, messages: Sequence[Mapping[str, str]], *, spent: float) -> tuple[str, tuple[int, int]]:
        """Send one request, and return the reply and the tokens sent and received."""
        import openai
        from openai.types.chat import ChatCompletion

        cost = self.judgements.cost + spent
        if self._most_cost is not None and cost >= self._most_cost:
            raise BadInput(
                f"the judge's answers have cost {cost:.2f}, and teacher_options.most_cost is {self._most_cost:g}; "
                "raise it to go on"
            )
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._gap
        request: Any = {"model": self.model, "messages": messages, "temperature": self._temperature}
        if self._temperature is None:
            del request["temperature"]
        try:
            completion = self._client.chat.completions.create(**request)
        except openai.AuthenticationError as error:
            raise BadInput(
                f"{self.url} refuses the key{f' in {self._key_variable}' if self._key_variable else ''}; export one "
                "that it takes, and name its variable by teacher_options.key_variable"
            ) from error
        except (openai.OpenAIError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise BadInput(
                f"{self.url} can't be asked: {type(error).__name__}: {said}; see that it is up and has the model "
                f"{self.model}, and resume"
            ) from error
        if not isinstance(completion, ChatCompletion) or not isinstance(completion.choices, list):
            raise BadInput(f"{self.url} doesn't speak OpenAI's protocol; use the endpoint's address up to /v1")
        usage = completion.usage
        used = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
        return (completion.choices[0].message.content if completion.choices else None) or "", used


def _said(role: str, content: str) -> Mapping[str, str]:
    return {"role": role, "content": content}


def _check_numbers(whole: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    for option, value in whole.items():
        least = 2 if option == "rows" else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadInput(f"teacher_options.{option} is {value!r}; use a whole number from {least}")
    for option, value in others.items():
        zero = option in ("price_in", "price_out", "temperature")
        if value is None and option not in ("timeout", "price_in", "price_out"):
            continue
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not (0 <= number < math.inf if zero else 0 < number < math.inf):
            raise BadInput(f"teacher_options.{option} is {value!r}; use a number {'from' if zero else 'above'} 0")


def _text(principles: str) -> str:
    if not isinstance(principles, str) or not principles.strip():
        raise BadInput(f"teacher_options.principles is {principles!r}; say in words what is good, or name a file")
    path = Path(principles)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # too long for a name
        is_file = False
    try:
        return path.read_text(encoding="utf-8").strip() if is_file else principles.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"teacher_options.principles is {principles!r}, which can't be read: {error}") from error


def _read(reply: str) -> tuple[str, str]:
    """Read answer and reason from the last JSON object in a reply that has an answer.

    Raises:
        BadInput: If there is none.
    """
    decoder, found = json.JSONDecoder(), None
    for start in [i for i, letter in enumerate(reply) if letter == "{"]:
        try:
            said, _ = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            continue
        found = said if "answer" in said else found
    if found is None:
        raise BadInput("there is no JSON object with an answer")
    answer: Any = found["answer"]
    text = answer.strip().lower() if isinstance(answer, str) else json.dumps(answer, separators=(",", ":"))
    return text, str(found.get("reason", ""))

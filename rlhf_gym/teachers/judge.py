"""The judge: a language model behind an OpenAI-compatible endpoint, which answers and says why."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
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
    from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

RECORD = "judge.jsonl"
HOW_TO_SAY: Mapping[str, str] = {
    "comparison": 'one of "left", "right", "tie", or "skip" if you can\'t tell',
    "ranking": 'the numbers of the options, best first, such as [2,0,1], ties in brackets, [2,[0,1]], or "skip"',
}
"""By kind of feedback, how an answer is written, as the kind reads it."""
SYSTEM = """\
You compare short segments of what a controlled system does, and say which one follows these principles better:

{principles}

You get a table for each segment: the state after some of its steps, and the action of those steps. Reply with one \
JSON object and nothing else: {{"reason": one sentence, "answer": {how}}}."""


@final
class JudgeTeacher(Teacher):
    """Ask a language model, given principles in plain words and a table of named variables for each segment.

    Every judgement is kept in `judge.jsonl` beside the store, with the whole exchange; what stands there isn't asked
    again, so that a run that was stopped in a round pays for no answer twice. The key is read from an environment
    variable and is written nowhere.

    Args:
        store: Beside which judgements are kept, where that is a file.
        model: Its name at the endpoint.
        principles: What is good, in plain words; or the path of a file with them.
        url: Of the endpoint, up to /v1; None is OpenAI's.
        key_variable: Environment variable with the key; endpoints that need none do without.
        variables: Names of those that the tables show; None is all.
        rows: How many steps of a segment a table shows, evenly spread.
        attempts: How often a request is sent that fails, or whose reply can't be read; then the query is skipped.
        timeout: Seconds to wait for a reply.
        per_minute: Requests that the endpoint takes; None is no limit.
        price_in: Per million tokens sent.
        price_out: Per million tokens received.
        most_cost: What all judgements may cost, in the same unit; None is no limit.

    Raises:
        BadInput: If openai isn't installed, a setting makes no sense, or the endpoint can't be asked.
    """

    name = "judge"

    def __init__(
        self,
        store: PreferenceStore | None = None,
        *,
        model: str,
        principles: str,
        url: str | None = None,
        key_variable: str = "OPENAI_API_KEY",
        variables: Sequence[str] | str | None = None,
        rows: int = ROWS,
        attempts: int = 3,
        timeout: float = 60.0,
        per_minute: float | None = None,
        price_in: float = 0.0,
        price_out: float = 0.0,
        most_cost: float | None = None,
    ) -> None:
        try:
            import openai
        except ImportError as error:
            raise BadInput("teacher is judge, which needs openai; pip install 'rlhf-gym[judge]'") from error
        key = os.environ.get(key_variable)
        if not key and url is None:
            raise BadInput(f"teacher is judge, and {key_variable} isn't set; export it, or set teacher_options.url")
        for option, value, least in (("rows", rows, 2), ("attempts", attempts, 1)):
            if not isinstance(value, int) or value < least:
                raise BadInput(f"teacher_options.{option} is {value!r}; use a whole number from {least}")
        for option, number in (("timeout", timeout), ("per_minute", per_minute)):
            if number is not None and not (isinstance(number, int | float) and number > 0):
                raise BadInput(f"teacher_options.{option} is {number!r}; use a number above 0")
        self._client = openai.OpenAI(
            api_key=key or "none", base_url=url, timeout=timeout, max_retries=attempts - 1
        )  # it waits longer each time, and as long as an answer of "too many requests" says
        self.model, self.url, self.principles = model, str(self._client.base_url), _text(principles)
        self._variables = [variables] if isinstance(variables, str) else variables
        self._key_variable, self._rows, self._attempts = key_variable, rows, attempts
        self._prices, self._most_cost = (price_in, price_out), most_cost
        self._gap, self._next = 60 / per_minute if per_minute else 0.0, 0.0
        in_file = store is not None and not store.in_memory and "://" not in store.place
        self.judgements = Judgements(Path(store.place).with_name(RECORD) if store and in_file else None)

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Said:
        kind = find_kind(query.kind)
        if query.kind not in HOW_TO_SAY:
            raise BadInput(f"teacher is judge, who can't answer a {query.kind}; use kind {' or '.join(HOW_TO_SAY)}")
        asked = account(query, variables=self._variables, rows=self._rows)
        if (judgement := self.judgements.about(query.id, asked)) is None:
            judgement = self._judge(query, asked)
            self.judgements.keep(judgement)
        return kind.parse(judgement.answer, len(query.options))

    def _judge(self, query: Query, asked: str) -> Judgement:
        """Ask until a reply can be read."""
        system = SYSTEM.format(principles=self.principles, how=HOW_TO_SAY[query.kind])
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": system},
            {"role": "user", "content": asked},
        ]
        kind, began = find_kind(query.kind), time.time()
        replies: list[str] = []
        tokens = np.zeros(2, int)
        answer, reason = Answer.SKIP.value, "no reply could be read"
        while len(replies) < self._attempts:
            completion = self._completion(messages)
            if usage := completion.usage:
                tokens += (usage.prompt_tokens, usage.completion_tokens)
            replies.append((completion.choices[0].message.content if completion.choices else None) or "")
            try:
                answer, reason = _read(replies[-1])
                kind.parse(answer, len(query.options))
                break
            except ValueError as error:
                answer, reason = Answer.SKIP.value, f"no reply could be read: {error}"
                messages += [
                    {"role": "assistant", "content": replies[-1]},
                    {"role": "user", "content": f"That can't be read ({error}). Reply with the JSON object alone."},
                ]
        return Judgement(
            query.id, query.kind, self.model, self.url, asked, tuple(replies), answer, reason, int(tokens[0]),
            int(tokens[1]), float(tokens @ self._prices) / 1e6, round(time.time() - began, 3), began,
        )  # fmt: skip

    def _completion(self, messages: list[ChatCompletionMessageParam]) -> ChatCompletion:
        import openai

        if self._most_cost is not None and self.judgements.cost >= self._most_cost:
            raise BadInput(
                f"the judge's answers have cost {self.judgements.cost:.2f}, and teacher_options.most_cost is "
                f"{self._most_cost:g}; raise it to go on"
            )
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._gap
        try:
            return self._client.chat.completions.create(model=self.model, messages=messages, temperature=0.0)
        except openai.AuthenticationError as error:
            raise BadInput(f"{self.url} refuses the key in {self._key_variable}; export one that it takes") from error
        except openai.OpenAIError as error:
            said = " ".join(str(error).split())[:200]
            raise BadInput(
                f"{self.url} can't be asked, after {self._attempts} tries: {type(error).__name__}: {said}; see that it "
                f"is up and has the model {self.model}, and resume"
            ) from error


def _text(principles: str) -> str:
    try:
        path = Path(principles)
        return path.read_text(encoding="utf-8").strip() if path.is_file() else principles.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"teacher_options.principles is {principles!r}, which can't be read: {error}") from error


def _read(reply: str) -> tuple[str, str]:
    """Take answer and reason out of a reply: of the JSON object in it, whatever stands around that.

    Raises:
        BadInput: If there is none, or it has no answer.
    """
    start, end = reply.find("{"), reply.rfind("}")
    try:
        said = json.loads(reply[start : end + 1])
    except (ValueError, RecursionError) as error:
        raise BadInput("there is no JSON object") from error
    if not isinstance(said, dict) or "answer" not in said:
        raise BadInput("there is no answer in it")
    answer: Any = said["answer"]
    text = answer.strip().lower() if isinstance(answer, str) else json.dumps(answer, separators=(",", ":"))
    return text, str(said.get("reason", ""))

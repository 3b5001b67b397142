"""The data card of an exported data set: `README.md`, as Hugging Face reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from rlhf_gym.errors import printable
from rlhf_gym.preferences import OWN, Answer, Preference

_CARD = """---
{front}---

# {title}

{n} preferences by {who}{own}.
Each puts `options` to a teacher, {options} segments of {length} steps, and its `answer` says what the teacher wants
more of: {answers}. To a `kind` "comparison" the answer is left (the first of two), right, tie or
skip; to a "ranking" it is the numbers of the options from 0, best first, ties as a list within the list, as in
[2,[0,1]], or skip; to a "rating" the level and how many there are, 1 the worst, as in 4/5; to a "switch_off" after how
many eighths of the segment it should have been stopped, as in 3/8, and 8/8 is not at all; to a "demonstration" or a
"correction" the segment that the teacher showed instead, as JSON.

A segment holds `observations` (one more than steps), `actions`, `rewards` (the environment's own, which the teacher may
not have seen and a reward model must not), `terminated` (whether its last step ended the episode for good: it may then
be shorter than `length`), and the recipe by which it can be simulated and drawn again: `origin` (environment, its
arguments and the seed of the reset, as JSON) and `earlier_actions`. `teacher` is the name under which somebody
answered, `shown_at` and `answered_at` are seconds since 1970, `id` names the query; `why`, `value`, `policy_step` and
`reward_version` say how it was chosen, and `repeats` is the id of the query that was asked again on purpose.
`manifest.json` describes the spaces of observations and actions.

```python
from datasets import load_dataset

preferences = load_dataset("FOLDER", split="train")
```

```python
from rlhf_gym.store.exchange import read_preferences, read_spaces

preferences, (observation_space, action_space) = read_preferences("FOLDER"), read_spaces("FOLDER")
```

Made with rlhf_gym. Before you publish it: name a licence, and see that everybody under `teacher` agrees.
"""


@dataclass
class Contents:
    """Figures of preferences on the card, counted as they are written."""

    n: int = 0
    own: int = 0
    tasks: set[str] = field(default_factory=set)
    teachers: set[str] = field(default_factory=set)
    options: set[int] = field(default_factory=set)
    lengths: set[int] = field(default_factory=set)
    said: Counter[str] = field(default_factory=Counter)

    def count(self, preferences: Iterable[Preference]) -> None:
        """Count a batch."""
        for preference in preferences:
            query, answer = preference.query, preference.answer
            self.n += 1
            self.tasks |= {option.origin.env_id for option in query.options if option.origin}
            if query.why == OWN:
                self.own += 1
            else:
                self.teachers.add(preference.teacher)
            self.options.add(len(query.options))
            self.lengths.add(query.options[0].length)
            # Answers of other kinds are hardly ever equal, so their kind is counted.
            self.said[answer.value if isinstance(answer, Answer) else query.kind] += 1


def data_card(contents: Contents, data_file: str) -> str:
    """Write the text of `README.md`, its settings for the Hub above it.

    Args:
        contents: Figures of at least one preference.
        data_file: Name of the file that `datasets` reads.
    """
    tasks, n, own = sorted(contents.tasks), contents.n, contents.own
    title = printable(f"Preferences over segments{' of ' if tasks else ''}{', '.join(tasks)}")
    front = {
        "pretty_name": title,
        "tags": ["reinforcement-learning", "rlhf", "preferences"],
        "size_categories": [_size(n)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": data_file}]}],
    }
    names = dict.fromkeys([*(answer.value for answer in Answer), *contents.said])
    return _CARD.format(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        title=title,
        n=n - own,
        own=f', and {own} by the learned reward itself, which are no labels: their `why` is "{OWN}"' if own else "",
        who="1 teacher" if len(contents.teachers) == 1 else f"{len(contents.teachers)} teachers",
        length=" or ".join(map(str, sorted(contents.lengths))),
        options=" to ".join(map(str, sorted({min(contents.options), max(contents.options)}))),
        answers=", ".join(f"{contents.said[name]} {name}" for name in names if contents.said[name]),
    )


def _size(n: int) -> str:
    """Name the size class as the Hub does."""
    ends = ["1K", "10K", "100K", "1M", "10M", "100M", "1B"]
    number = sum(n >= 10 ** (3 + i) for i in range(len(ends)))
    if number == 0:
        return f"n<{ends[0]}"
    return f"n>{ends[-1]}" if number == len(ends) else f"{ends[number - 1]}<n<{ends[number]}"

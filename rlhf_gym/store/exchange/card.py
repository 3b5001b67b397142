"""The data card of an exported data set: `README.md`, as Hugging Face reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import yaml

from rlhf_gym.preferences import Answer, Preference

_CARD = """---
{front}---

# {title}

{n} preferences by {who}. Each puts `options` to a teacher, {options} segments of {length} steps, and its `answer` says
what the teacher wants more of: {answers}. To a `kind` "comparison" the answer is left (the first of two), right, tie or
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


def data_card(preferences: Sequence[Preference], data_file: str) -> str:
    """Write the text of `README.md`, its settings for the Hub above it.

    Args:
        preferences: At least one.
        data_file: Name of the file that `datasets` reads.
    """
    tasks = sorted({option.origin.env_id for p in preferences for option in p.query.options if option.origin})
    title = f"Preferences over segments{' of ' if tasks else ''}{', '.join(tasks)}"
    front = {
        "pretty_name": title,
        "tags": ["reinforcement-learning", "rlhf", "preferences"],
        "size_categories": [_size(len(preferences))],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": data_file}]}],
    }
    teachers, shown = {p.teacher for p in preferences}, sorted({len(p.query.options) for p in preferences})
    return _CARD.format(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        title=title,
        n=len(preferences),
        who="1 teacher" if len(teachers) == 1 else f"{len(teachers)} teachers",
        length=" or ".join(map(str, sorted({p.query.left.length for p in preferences}))),
        options=" to ".join(map(str, dict.fromkeys((shown[0], shown[-1])))),
        answers=_said(preferences),
    )


def _said(preferences: Sequence[Preference]) -> str:
    """Count how often each answer was given; of other kinds than comparisons, hardly two are alike, those of a kind."""
    said = Counter(p.answer.value if isinstance(p.answer, Answer) else p.query.kind for p in preferences)
    names = dict.fromkeys([*(answer.value for answer in Answer), *said])
    return ", ".join(f"{said[name]} {name}" for name in names if said[name])


def _size(n: int) -> str:
    """Name the size class as the Hub does."""
    below = next(
        (name for most, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")) if n < most), None
    )
    return below or "n>100K"

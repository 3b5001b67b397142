"""Is one bad person in three found, and the right reward learned? `python -m experiments.measurements.bad_person`.

Three people compare pairs of segments. The segments are drawn at random from the episodes of a PPO that is paid the
true reward (on CartPole, the goal), from its first steps to its last, so their quality varies widely. All three are
noisy teachers, who choose by a Boltzmann draw (5 log-odds per standard deviation of a segment's return) and mistake one
answer in twenty. One of them, however, answers by a coin, or the wrong way round, or mistakes two answers in five. A
query is answered by one of them in turn, or by all three. A reward is then fitted from scratch, with the settings of
the task's preset but 60 gradient steps:

- plain: with Bradley and Terry's likelihood, in which all answers count alike;
- majority: to the majority's answer to each query, if all three answered it;
- reliability: with `feedback.reliability`, which weighs each person's answers by the reliability that it learns;
- without: without the bad person's answers, as if somebody had known.

Accuracy is the share of 2,000 fresh pairs of segments that the reward puts in their true order. The bad person is found
if the interval that `rlhf-gym quality` gives for their choosing the better segment lies below both others' estimates,
and both others' intervals lie above the bad person's estimate. A good person who is found in this way is a false alarm.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import tyro
from tqdm import tqdm

from experiments.harness.settings import Row
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.assembly import make_learner, random_streams
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Preference, Query, Said
from rlhf_gym.quality import reliabilities
from rlhf_gym.runs.provenance import provenance
from rlhf_gym.segments import Array, Segment, pad, sample_segments
from rlhf_gym.sweeps.records import append_rows, read_rows
from rlhf_gym.teachers import NoisyTeacher, RandomTeacher, Teacher, goal_returns, load_goal, true_returns

TASKS = {"CartPole-v1": "cart_pole_hold_at_one", "HalfCheetah-v5": None}
"""Environments, and the goal where it isn't the environment's own reward."""
STEPS, ROUNDS = 16_000, 4
SEGMENTS, FRESH = 1600, 2000
PEOPLE = ("good", "also good", "bad")
BAD = {"coin": "answers by a coin", "wrong": "answers the wrong way round", "mistakes": "mistakes 40 %"}
METHODS = ("plain", "majority", "reliability", "without")
ANSWERS, SEEDS = (60, 150, 600), 5
FLAWS: dict[str, Any] = {"beta": 5.0, "standardise": True, "eps_mistake": 0.05}
COLUMNS = ("task", "bad", "people_per_query", "answers")


HOW_TO_READ = """
## How to read it

Learning reliability is as good as knowing who is bad. Where somebody answers the wrong way round it may be better,
because those answers are reversed instead of left out. It can't say who is right: of two opposite goals it takes the
one with more answers, so two bad people of three would win.

Where it helps less, and why:

- On HalfCheetah, with 150 answers or more, all three people answering each query and the bad one only making more
  mistakes, a majority is ahead. It is wrong about 10 % of pairs, a good person about 12 % and the bad one 41 %, and the
  fit sees none of their contradictions. Weights can do no better than leaving the bad person out, and that is behind
  the majority, too.
- On CartPole, with 600 answers, all three people answering each query and the bad one making more mistakes, 60 gradient
  steps are too few for the networks to show the difference. Over the same five draws plain, reliability and without
  reach 90 %, 89 % and 90 % after 60 steps, and 91 %, 93 % and 92 % after 300; seeds have a standard deviation of 2
  points.
- `rlhf-gym quality` names somebody only where intervals are apart. If people never judged the same pair, it knows only
  that pairs with similar states are judged alike, and intervals are wide. If they did, it takes 50 to 200 answers each
  to detect somebody who mistakes 40 %.
"""


class Pool(NamedTuple):
    """Segments of a task, with their true returns.

    Args:
        config: Settings that rewards are fitted with.
        spaces: Has the environments' `observation_space` and `action_space`.
        asked: Segments that queries are made from.
        fresh: Segments that rewards are judged on.
        returns: True returns of the fresh segments, shape (SEGMENTS / 2,).
        goal: What the people want; None is the environment's reward.
    """

    config: RLHFConfig
    spaces: Any
    asked: Sequence[Segment]
    fresh: Sequence[Segment]
    returns: Array
    goal: Any


def gather(env_id: str) -> Pool:
    """Train a PPO on the true reward, and cut segments from its episodes on the way."""
    config = RLHFConfig.for_env(
        env_id,
        labels=0,
        total_timesteps=STEPS,
        feedback={"goal": TASKS[env_id]},
        reward={"source": "true", "steps": 60},
        query={"rounds": ROUNDS, "memory_steps": STEPS // ROUNDS},
    )
    rng, segments = np.random.default_rng(0), list[Segment]()
    with closing(RLHF(config)) as rlhf:
        for _ in rlhf.rounds():
            latest = rlhf.collect()
            segments += sample_segments(latest, length=config.segment_length, n=SEGMENTS // ROUNDS, rng=rng)
        asked, fresh = (segments[part::2] for part in range(2))
        goal = load_goal(TASKS[env_id]) if TASKS[env_id] else None  # type: ignore[arg-type]
        returns = (goal_returns(goal) if goal else true_returns)(fresh)
        return Pool(config, rlhf.venv, asked, fresh, returns, goal)


def teacher(who: str, bad: str, goal: Any, seed: Sequence[int]) -> Callable[[Sequence[Query]], Sequence[Said]]:
    """Make one person's answering function; `who` may be the bad one."""
    rng = np.random.default_rng([*seed, PEOPLE.index(who)])
    if who != "bad":
        bad = ""
    answers: Teacher = NoisyTeacher(goal, **FLAWS | ({"eps_mistake": 0.4} if bad == "mistakes" else {}), seed=rng)
    if bad == "coin":
        answers = RandomTeacher(seed=rng)
    if bad == "wrong":
        return lambda queries: [said.mirrored for said in answers.answer(queries)]
    return answers.answer


def answered(pool: Pool, bad: str, each: int, answers: int, seed: int) -> list[Preference]:
    """Draw pairs, and have them answered by one person in turn, or by all three."""
    key = (seed, answers, each, list(BAD).index(bad))
    rng = np.random.default_rng(key)
    pairs = [rng.choice(len(pool.asked), 2, replace=False) for _ in range(answers // each)]
    queries = [Query((pool.asked[i], pool.asked[j]), id=f"q{number}") for number, (i, j) in enumerate(pairs)]
    found = []
    for number, who in enumerate(PEOPLE):
        mine = queries if each == len(PEOPLE) else queries[number :: len(PEOPLE)]
        said = teacher(who, bad, pool.goal, key)(mine)
        found += [Preference(query, answer, who) for query, answer in zip(mine, said, strict=True)]
    return found


def majority(preferences: Sequence[Preference]) -> list[Preference]:
    """Replace the answers to each query by the majority's answer."""
    votes: dict[str, list[Preference]] = {}
    for preference in preferences:
        votes.setdefault(preference.query.id, []).append(preference)
    return [
        Preference(own[0].query, _most([p.answer is Answer.LEFT for p in own]), "majority") for own in votes.values()
    ]


def _most(left: Sequence[bool]) -> Answer:
    return Answer.LEFT if 2 * sum(left) > len(left) else Answer.RIGHT


def accuracy(
    pool: Pool, preferences: Sequence[Preference], seed: int, *, reliability: bool = False
) -> tuple[float, Mapping[str, float]]:
    """Fit a reward; return how often it puts two fresh segments in their true order, and each person's sureness."""
    config = pool.config.replace(feedback={"reliability": reliability})
    learner = make_learner(config, pool.spaces, random_streams(seed))
    fit = learner.fit(choices(preferences), pool.asked)
    learned = learner.model.returns(pad(pool.fresh)).mean(axis=0)
    one, other = np.random.default_rng(seed).integers(len(pool.fresh), size=(2, FRESH))
    true = np.sign(pool.returns[one] - pool.returns[other])
    right = (np.sign(learned[one] - learned[other]) == true)[true != 0]
    return float(right.mean()), fit.sureness


def measure(pool: Pool, bad: str, each: int, answers: int, seed: int) -> Row:
    """Make one row, by fitting with every method to the same answers."""
    preferences = answered(pool, bad, each, answers, seed)
    said = {who: [(p.query, p.answer) for p in preferences if p.teacher == who] for who in PEOPLE}
    ways: dict[str, Sequence[Preference]] = {
        "plain": preferences,
        "without": [p for p in preferences if p.teacher != "bad"],
    }
    if each > 1:
        ways["majority"] = majority(preferences)
    found = {way: accuracy(pool, given, seed)[0] for way, given in ways.items()}
    found["reliability"], sureness = accuracy(pool, preferences, seed, reliability=True)
    worst = _apart(reliabilities(said))
    return {
        **{"task": pool.config.env_id, "bad": bad, "people_per_query": each, "answers": answers, "seed": seed},
        **{way: round(found[way], 4) if way in found else "" for way in METHODS},
        **{f"sureness_{who.replace(' ', '_')}": round(sureness[who], 3) for who in PEOPLE},
        **{"found": int(worst == "bad"), "false_alarm": int(worst not in (None, "bad"))},
    }


def _apart(people: Sequence[Any]) -> str | None:
    """Name the worst person, if their interval is below all other estimates and the others' above theirs; or None."""
    worst = min(people, key=lambda person: person.better)
    others = [person for person in people if person is not worst]
    clear = all(worst.interval[1] < one.better and one.interval[0] > worst.better for one in others)
    return str(worst.who) if clear else None


def page(rows: Sequence[Row]) -> str:
    """Write all of the page from the rows."""
    return "\n".join(_lines(rows)) + "\n"


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    how = (__doc__ or "").partition("\n\n")[2]
    yield "<!-- Made by `python -m experiments.measurements.bad_person`; what is changed here by hand is lost. -->"
    yield "# One bad person in three\n"
    plain, ours, without = (_mean(rows, way) for way in ("plain", "reliability", "without"))
    shared = [row for row in rows if row["majority"] != ""]
    yield (
        f"**Over {len(rows)} sets of answers, the reward puts {ours:.1%} of fresh pairs in order if reliability is "
        f"learned, {plain:.1%} with plain Bradley-Terry and {without:.1%} without the bad person. Where all three "
        f"people answer each query, it is {_mean(shared, 'reliability'):.1%} with reliability and "
        f"{_mean(shared, 'majority'):.1%} with a majority. `rlhf-gym quality` finds the bad person in "
        f"{_mean(rows, 'found'):.0%} of the sets, and accuses a good one in {_mean(rows, 'false_alarm'):.0%}.**\n"
    )
    yield how
    yield "```\npython -m experiments.measurements.bad_person\n```\n"
    yield (
        "Means over seeds. Sureness is what `feedback.reliability` learned about each person, the bad one last; its "
        "mean square over all answers is 1.\n"
    )
    for task in dict.fromkeys(row["task"] for row in rows):
        yield f"## {task}" + (f", goal `{TASKS[task]}`" if TASKS.get(task) else "") + "\n"
        yield f"| the bad person | answers | each query answered by | {' | '.join(METHODS)} | sureness | found |"
        yield "|---" * 9 + "|"
        own = [row for row in rows if row["task"] == task]
        for setting in dict.fromkeys(tuple(row[c] for c in COLUMNS[1:]) for row in own):
            yield _line(*setting, rows=[row for row in own if tuple(row[c] for c in COLUMNS[1:]) == setting])
        yield ""
    yield "`answers.csv` has every row."
    yield HOW_TO_READ.rstrip()


def _line(bad: str, each: str, answers: str, *, rows: Sequence[Row]) -> str:
    accuracies = [f"{_mean(rows, way):.1%}" if rows[0][way] != "" else "" for way in METHODS]
    surely = " ".join(f"{_mean(rows, 'sureness_' + who.replace(' ', '_')):.1f}".replace("-", "−") for who in PEOPLE)
    found = f"{sum(int(row['found']) for row in rows)} of {len(rows)}"
    return (
        " | ".join(["|", BAD[bad], answers, "one" if int(each) == 1 else "all", *accuracies, surely, found, "|"])
        .replace("| | ", "| ")
        .removesuffix(" | |")
        + " |"
    )


def _mean(rows: Sequence[Row], column: str) -> float:
    return float(np.mean([float(row[column]) for row in rows]))


def main(results_dir: Path = Path("results"), seeds: int = SEEDS, answers: tuple[int, ...] = ANSWERS) -> int:
    """Measure, and rewrite table and page.

    Args:
        results_dir: Folder of results; both go into `bad_person` in it.
        seeds: Draws of everybody's answers.
        answers: Numbers of answers, of all three people together.
    """
    torch.set_num_threads(1)
    folder = results_dir / "bad_person"
    commit, rows = provenance("")["commit"], list[Row]()
    for task in TASKS:
        pool = gather(task)
        settings = list(product(BAD, (1, len(PEOPLE)), answers, range(seeds)))
        rows += [{**measure(pool, *setting), "commit": commit} for setting in tqdm(settings, desc=task, leave=False)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answers.csv").unlink(missing_ok=True)
    append_rows(folder / "answers.csv", rows)
    (folder / "README.md").write_text(page(read_rows(folder / "answers.csv")), encoding="utf-8")
    print(folder / "README.md")
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))

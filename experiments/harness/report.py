"""Write the page of an experiment from its rows alone: `python -m experiments.report NAME`.

Rewrites `summary.csv`, a figure per family and `README.md`; only reads `runs.csv` and `curves.csv`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from tyro.conf import Positional

from experiments.harness.confirmed import run_again
from experiments.harness.made import made_with
from experiments.harness.older import listed_older, warning
from experiments.harness.parts import returns
from experiments.harness.results import Results, read_results
from experiments.harness.settings import Family, Row, Setting
from rlhf_gym.plots import Line, result_figure
from rlhf_gym.stats import ENOUGH as ENOUGH_FOR_A_MIDDLE
from rlhf_gym.stats import bootstrap_interval, interquartile_mean
from rlhf_gym.sweeps.records import append_rows

ENOUGH = 5  # seeds; with fewer, the 95 % bootstrap interval always reaches from the lowest to the highest
CODE = "A test compares the column `code` of `runs.csv` with it."
AGAIN = (
    "Where earlier code made the rows, today's gave one seed of each setting the same figures in its first rounds, "
    "which are named below the table; later rounds weren't compared. A test compares the column `code` of `runs.csv`, "
    "and `confirmed.csv`, with it."
)
VERDICTS = {True: "pass", False: "**short**", None: "open: runs are missing"}


def report(name: str, *, testing: bool = False, results_dir: Path = Path("results")) -> Path:
    """Write the figures and the page of an experiment from its rows.

    Returns:
        The page's path.

    Raises:
        ValueError: If there are no rows, or rows of settings that no longer exist.
    """
    results = read_results(name, testing=testing, results_dir=results_dir)
    (results.folder / "summary.csv").unlink(missing_ok=True)
    append_rows(results.folder / "summary.csv", summarise(results.settings, results.runs))
    for key, figure in figures(results).items():
        figure.savefig(results.folder / f"{key}.png", dpi=130)
    page = results.folder / "README.md"
    page.write_text(page_text(results, testing=testing), encoding="utf-8")
    return page


def page_text(results: Results, *, testing: bool = False) -> str:
    """Write the page of an experiment, all of it from its rows and the list of older tables."""
    return "\n".join(_page(results, testing))


def first_line(results: Results) -> str:
    """Answer the question in a sentence, or say how much is missing."""
    judged = {**results.experiment.SETTINGS, **results.settings}
    verdicts = [asked.judge(judged, results.runs) for asked in results.experiment.ASKED]
    if missing := sum(verdict.passed is None for verdict in verdicts):
        passed, short = (sum(verdict.passed is how for verdict in verdicts) for how in (True, False))
        return f"Of {len(verdicts)} figures asked for {passed} pass, {short} are short, and {missing} lack runs."
    return results.experiment.answer(judged, results.runs)


def figures(results: Results) -> dict[str, Figure]:
    """Draw the figures of all families with runs, by file name without suffix."""
    rows = [row for found in results.runs.values() for row in found]
    return {
        key: result_figure(
            results.curves,
            rows,
            {name: Line(setting.title, setting.control) for name, setting in results.of(family).items()},
            family.panels,
            y=family.curve,
            title=family.title,
            evaluated=_evaluated(results.of(family).values()),
        )
        for key, family in results.families.items()
        if family.figure
    }


def _evaluated(settings: Iterable[Setting]) -> str:
    counts = sorted({setting.run_config(setting.seeds[0]).evaluation.n_episodes for setting in settings})
    return f"deterministic policy, {' or '.join(map(str, counts))} episodes"


def table(results: Results, family: Family) -> str:
    """Make a family's table in Markdown: means (interquartile from 4 seeds on), and intervals from 5 seeds on."""
    return "\n".join(_table(results.of(family), results.runs))


def summarise(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Make a row per setting and measure: interquartile mean over seeds, interval, range, share over the threshold."""
    return [
        {"setting": name, "measure": measure} | _over_seeds(values) | _share(settings[name], found)
        for name, found in runs.items()
        for measure in ("true_return_mean", *settings[name].measures)
        if (values := returns(name, runs, measure))  # older rows may lack a measure
    ]


def _over_seeds(values: Sequence[float]) -> dict[str, float]:
    low, high = bootstrap_interval(values, seed=0)
    return {
        "n_seeds": len(values),
        "iqm": interquartile_mean(values),
        "interval_low": low,
        "interval_high": high,
        "min": min(values),
        "max": max(values),
    }


def _share(setting: Setting, found: Sequence[Row]) -> dict[str, Any]:
    over = sum(map(setting.reached, found)) / len(found) if setting.threshold else ""
    return {"threshold": setting.asked, "share_over_threshold": over}


def _page(results: Results, testing: bool) -> Iterator[str]:
    name, experiment, flag = results.name, results.experiment, " --testing" if testing else ""
    yield f"<!-- Made by `python -m experiments.report {name}{flag}`; what is changed here by hand is lost. -->"
    judged = {**experiment.SETTINGS, **results.settings}
    yield f"# {name}\n\n**{first_line(results)}**\n"
    yield f"{experiment.__doc__.strip()}\n"
    yield f"```\npython -m experiments.run {name} --jobs 2{flag}\npython -m experiments.report {name}{flag}\n```\n"
    older = listed_older(results.folder.parent)
    yield from _of_what_code(results, older)
    if verdicts := [asked.judge(judged, results.runs) for asked in experiment.ASKED]:
        yield "## Asked and reached\n\n| asked | reached | verdict |\n|---|---|---|"
        yield from (f"| {v.asked} | {v.reached} | {VERDICTS[v.passed]} |" for v in verdicts)
    if more := getattr(experiment, "more", None):
        yield from more(judged, results.runs)
    for key, family in results.families.items():
        picture = f"\n![{family.title}: every seed, beside the controls]({key}.png)\n" if family.figure else ""
        yield f"\n## {family.title}\n{picture}"
        for s, setting in results.of(family).items():
            if setting.clip and (results.folder / f"{s}.webp").exists():
                yield f"![{setting.title}, the policy of seed {setting.seeds[0]}]({s}.webp)\n"
        yield from warning(f"{name}/{key}", older)
        yield table(results, family)
        if again := _run_again(results, family):
            yield f"\n{again}"
    yield f"\n## How to read it\n\n{experiment.HOW_TO_READ}\n"
    yield from _made_with([row for found in results.runs.values() for row in found])


def _of_what_code(results: Results, older: Mapping[str, str]) -> Iterator[str]:
    """Say how many of the page's tables are of the present code."""
    known = [key for key in results.families if f"{results.name}/{key}" in older]
    present = len(results.families) - len(known)
    if known:
        yield (
            f"**{present} of {len(results.families)} tables are of the present code.** The others say that they are "
            "older: it may not reach the same again, for better or worse. Verdicts that rest on them are as old.\n"
        )
    else:
        again = any(_run_again(results, family) for family in results.families.values())
        yield f"All tables {'stand for' if again else 'are of'} the present code. {AGAIN if again else CODE}\n"


def _run_again(results: Results, family: Family) -> str:
    """Say which settings of a family were run again by later code; empty if none was."""
    return " ".join(run_again({name: results.runs[name] for name in results.of(family)}, results.confirmed))


def _table(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    measures = list(dict.fromkeys(m for setting in settings.values() for m in ("true_return_mean", *setting.measures)))
    summary = {(row["setting"], row["measure"]): row for row in summarise(settings, {s: runs[s] for s in settings})}
    n_seeds = [row["n_seeds"] for row in summary.values()]
    parts = {name: setting.scale.part(name, runs) for name, setting in settings.items() if setting.scale}
    thresholds = any(setting.threshold for setting in settings.values())
    learners = {str(setting.config.get("algo", "ppo")).upper() for setting in settings.values()}
    part = f"part of the best {' or '.join(sorted(learners))}'s gain"
    heads = [*measures, *[part] * any(parts.values()), *["seeds over threshold"] * thresholds]
    yield f"{_middle(n_seeds)} over seeds{_interval(n_seeds)}, lowest to highest seed.\n"
    yield f"| setting | {' | '.join(heads)} | seeds |"
    yield "|---" * (len(heads) + 2) + "|"
    for name, setting in settings.items():
        cells = [_cell(summary[name, measure]) if (name, measure) in summary else "" for measure in measures]
        if any(parts.values()):
            cells.append(str(parts.get(name) or ""))
        if thresholds:
            over = sum(map(setting.reached, runs[name]))
            cells.append(f"{over} of {len(runs[name])}" if setting.threshold else "")
        yield f"| {setting.title} (`{name}`) | {' | '.join(cells)} | {len(runs[name])} |"


def _middle(n_seeds: Collection[int]) -> str:
    if max(n_seeds) < ENOUGH_FOR_A_MIDDLE:
        return "Mean"
    return "Interquartile mean" + " (of fewer than 4, the mean)" * (min(n_seeds) < ENOUGH_FOR_A_MIDDLE)


def _interval(n_seeds: Collection[int]) -> str:
    if max(n_seeds) < ENOUGH:
        return ""
    return " [95 % bootstrap interval" + f", from {ENOUGH} seeds on" * (min(n_seeds) < ENOUGH) + "]"


def _cell(row: Row) -> str:
    iqm, low, high, least, most = (_number(row[key]) for key in ("iqm", "interval_low", "interval_high", "min", "max"))
    return f"{iqm}{f' [{low}, {high}]' if row['n_seeds'] >= ENOUGH else ''}, {least} to {most}"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _made_with(rows: Sequence[Row]) -> Iterator[str]:
    hours = sum(float(row["wall_seconds"]) for row in rows) / 3600
    yield f"## Made with\n\n{len(rows)} runs, {hours:.1f} hours of wall time added up; `runs.csv` says it for each.\n"
    yield from made_with(rows)


def main(name: Positional[str], /, testing: bool = False, results_dir: Path = Path("results")) -> int:
    """Write the page of an experiment.

    Args:
        name: Folder in experiments/questions/.
        testing: Report on the testing subset.
        results_dir: Folder of results.
    """
    try:
        print(report(name, testing=testing, results_dir=results_dir))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0

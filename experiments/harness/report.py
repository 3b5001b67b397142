"""Write the page of an experiment from its rows alone: `python -m experiments.report NAME`.

Makes `summary.csv`, a figure per family and `README.md` anew beside `runs.csv` and `curves.csv`, which it only reads.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from tyro.conf import Positional

from experiments.harness.made import made_with
from experiments.harness.records import append_rows
from experiments.harness.results import Results, read_results
from experiments.harness.settings import Family, Row, Setting
from rlhf_gym.plots import Line, result_figure
from rlhf_gym.stats import bootstrap_interval, interquartile_mean

ENOUGH = 5  # seeds; with fewer, the 95 % bootstrap interval always reaches from the lowest to the highest
VERDICTS = {True: "pass", False: "**short**", None: "open: runs are missing"}


def report(name: str, *, testing: bool = False, results_dir: Path = Path("results")) -> Path:
    """Write the figures and the page of an experiment from its rows.

    Returns:
        The page.

    Raises:
        ValueError: If there are no rows, or rows of settings that aren't there any more.
    """
    results = read_results(name, testing=testing, results_dir=results_dir)
    (results.folder / "summary.csv").unlink(missing_ok=True)
    append_rows(results.folder / "summary.csv", summarise(results.settings, results.runs))
    for key, figure in figures(results).items():
        figure.savefig(results.folder / f"{key}.png", dpi=130)
    page = results.folder / "README.md"
    page.write_text("\n".join(_page(results, testing)), encoding="utf-8")
    return page


def figures(results: Results) -> dict[str, Figure]:
    """Draw a figure per family with runs, by the name of its file."""
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
    }


def _evaluated(settings: Iterable[Setting]) -> str:
    counts = sorted({setting.run_config(setting.seeds[0]).evaluation.n_episodes for setting in settings})
    return f"deterministic policy, {' or '.join(map(str, counts))} episodes"


def table(results: Results, family: Family) -> str:
    """Write the settings of a family in Markdown: interquartile means, with intervals from 5 seeds on."""
    return "\n".join(_table(results.of(family), results.runs))


def summarise(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Make a row per setting and measure: interquartile mean over seeds, interval, range, share over the threshold."""
    return [
        {"setting": name, "measure": measure}
        | _over_seeds([float(row[measure]) for row in found])
        | _share(settings[name], found)
        for name, found in runs.items()
        for measure in ("true_return_mean", *settings[name].measures)
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
    verdicts = [asked.judge(judged, results.runs) for asked in experiment.ASKED]
    missing = sum(verdict.passed is None for verdict in verdicts)
    answer = f"Open: the runs for {missing} of {len(verdicts)} figures asked for are missing."
    yield f"# {name}\n\n**{answer if missing else experiment.answer(judged, results.runs)}**\n"
    yield f"{experiment.__doc__.strip()}\n"
    yield f"```\npython -m experiments.run {name} --jobs 2{flag}\npython -m experiments.report {name}{flag}\n```\n"
    yield "## Asked and reached\n\n| asked | reached | |\n|---|---|---|"
    yield from (f"| {v.asked} | {v.reached} | {VERDICTS[v.passed]} |" for v in verdicts)
    for key, family in results.families.items():
        yield f"\n## {family.title}\n\n![{family.title}: every seed, beside the controls]({key}.png)\n"
        for s, setting in results.of(family).items():
            if setting.clip and (results.folder / f"{s}.webp").exists():
                yield f"![{setting.title}, the policy of seed {setting.seeds[0]}]({s}.webp)\n"
        yield table(results, family)
    yield f"\n## How to read it\n\n{experiment.HOW_TO_READ}\n"
    yield from _made_with([row for found in results.runs.values() for row in found])


def _table(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    measures = list(dict.fromkeys(m for setting in settings.values() for m in ("true_return_mean", *setting.measures)))
    summary = {(row["setting"], row["measure"]): row for row in summarise(settings, {s: runs[s] for s in settings})}
    interval = _interval([row["n_seeds"] for row in summary.values()])
    yield f"Interquartile mean over seeds{interval}, lowest to highest seed.\n"
    yield f"| setting | {' | '.join(measures)} | seeds over threshold |"
    yield "|---" * (len(measures) + 2) + "|"
    for name, setting in settings.items():
        cells = [_cell(summary[name, measure]) if (name, measure) in summary else "" for measure in measures]
        over = f"{sum(map(setting.reached, runs[name]))} of {len(runs[name])}" if setting.threshold else ""
        yield f"| {setting.title} (`{name}`) | {' | '.join(cells)} | {over} |"


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

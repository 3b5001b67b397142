"""Would EnvPool pay as a vector backend? `pip install envpool`, then `python -m experiments.vector_backends`.

Gymnasium's environments in SB3's `DummyVecEnv`, as `make_vec_env` makes them, against EnvPool with one and with two
threads behind the same interface. The backends take turns in one process, and every ratio is taken turn by turn, so
that it holds when the machine's speed drifts. CPU seconds are of all threads.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import tyro
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from tqdm import tqdm

from experiments.bench import spread
from experiments.records import append_rows, read_rows
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.envs import Recorder, make_env, make_vec_env
from rlhf_gym.runs.provenance import provenance
from rlhf_gym.segments import Array, Origin

ENV_IDS = ("CartPole-v1", "HalfCheetah-v5", "Hopper-v5")
N_ENVS = (8, 16)
BACKENDS = {"gymnasium": 0, "envpool, 1 thread": 1, "envpool, 2 threads": 2}
"""Name -> EnvPool's threads; 0 is Gymnasium."""
STATEFUL = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5")
"""Environments whose state is their observation and the x position that EnvPool reports."""


class EnvPoolVecEnv(VecEnv):
    """EnvPool as SB3 has its environments: reset in the step that ends an episode, the last observation in the info.

    Args:
        env_id: Id that both EnvPool and Gymnasium know.
        n_envs: How many.
        threads: EnvPool's.
        seed: EnvPool derives every environment's from it; an episode has none of its own, so none can be replayed.

    Raises:
        ImportError: Without EnvPool.
        ValueError: If EnvPool doesn't have the environment.
    """

    def __init__(self, env_id: str, *, n_envs: int, threads: int, seed: int) -> None:
        self._env = make_env(Origin(env_id, 0))  # for its spaces: EnvPool's actions are float64
        super().__init__(n_envs, self._env.observation_space, self._env.action_space)
        self._pool = make_pool(env_id, num_envs=n_envs, num_threads=threads, seed=seed)

    def reset(self) -> VecEnvObs:
        """Start new episodes."""
        self._returns, self._lengths = np.zeros(self.num_envs), np.zeros(self.num_envs, np.int64)
        self.reset_infos = [{"episode_seed": 0} for _ in range(self.num_envs)]  # asked for by the recorder
        observations: Array = self._pool.reset()[0]
        return observations

    def step_async(self, actions: Array) -> None:
        """Let EnvPool's threads begin."""
        self._pool.send(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """One step of all environments; EnvPool itself would only reset in the next one."""
        observations, rewards, terminated, truncated, _ = self._pool.recv()
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        dones = terminated | truncated
        if dones.any():
            ended = np.flatnonzero(dones)
            for i in ended:
                infos[i] = {
                    "terminal_observation": observations[i].copy(),
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                    "episode": {"r": float(self._returns[i]), "l": int(self._lengths[i])},
                }
            observations[ended] = self._pool.reset(ended.astype(np.int32))[0]
            self._returns[ended] = self._lengths[ended] = 0
        return observations, rewards, dones, infos

    def close(self) -> None:
        """Let go of both."""
        self._pool.close()
        self._env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for every environment: Gymnasium's."""
        return [self._env.get_wrapper_attr(attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused."""
        raise NotImplementedError("EnvPool's environments have no attributes to set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refused."""
        raise NotImplementedError("EnvPool's environments have no methods to call")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Never."""
        return [False] * len(list(self._get_indices(indices)))


def make_pool(env_id: str, **settings: Any) -> Any:
    """EnvPool's environments, stepped all together.

    Raises:
        ImportError: Without EnvPool.
        ValueError: If it doesn't have the environment.
    """
    try:
        envpool = importlib.import_module("envpool")
    except ImportError as error:
        raise ImportError("This comparison needs EnvPool: pip install envpool (Python 3.11 or newer)") from error
    if env_id not in envpool.list_all_envs():
        raise ValueError(f"env_id is {env_id}, which EnvPool doesn't have; use one of envpool.list_all_envs()")
    pool = envpool.make(env_id, env_type="gymnasium", batch_size=settings["num_envs"], **settings)
    with warnings.catch_warnings():  # it makes its spaces when first asked, by way of float64 bounds
        warnings.simplefilter("ignore")
        _ = pool.observation_space
    return pool


def make_backend(backend: str, origin: Origin, *, n_envs: int, rng: np.random.Generator) -> VecEnv:
    """Environments side by side, without the recorder."""
    if threads := BACKENDS[backend]:
        return EnvPoolVecEnv(origin.env_id, n_envs=n_envs, threads=threads, seed=int(rng.integers(2**31)))
    return make_vec_env(origin, n_envs=n_envs, memory_steps=1, rng=rng).venv


def clocks() -> Array:
    """Wall and CPU seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def order(turn: int) -> list[str]:
    """The backends, another one first each time."""
    names, first = list(BACKENDS), turn % len(BACKENDS)
    return names[first:] + names[:first]


def time_steps(env_id: str, n_envs: int, *, turns: int, steps: int) -> list[dict[str, Any]]:
    """Wall and CPU microseconds of one environment's step under random actions: a row a backend and turn."""
    rng = np.random.default_rng(0)
    venvs = {name: make_backend(name, Origin(env_id, 0), n_envs=n_envs, rng=rng) for name in BACKENDS}
    for venv in venvs.values():
        venv.action_space.seed(0)
        venv.reset()
    rows = []
    for turn in range(-1, turns):
        for name in order(turn):
            venv = venvs[name]
            actions = np.array([[venv.action_space.sample() for _ in range(n_envs)] for _ in range(steps)])
            started = clocks()
            for action in actions:
                venv.step(action)
            wall, cpu = (clocks() - started) / (steps * n_envs) * 1e6
            if turn >= 0:  # the first turn warms the caches
                rows.append({"turn": turn, "backend": name, "wall_us": wall, "cpu_us": cpu})
    for venv in venvs.values():
        venv.close()
    return rows


def time_run(backend: str, config: RLHFConfig) -> dict[str, Any]:
    """Seconds of a whole run in memory, its evaluation left out, and those of them below the recorder."""
    inside = np.zeros(2)

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*args: Any) -> Any:
            started = clocks()
            result = call(*args)
            inside[:] += clocks() - started
            return result

        return timing

    def make(origin: Origin, *, n_envs: int, memory_steps: int, rng: np.random.Generator) -> Recorder:
        venv: Any = make_backend(backend, origin, n_envs=n_envs, rng=rng)
        venv.step_async, venv.step_wait = timed(venv.step_async), timed(venv.step_wait)
        return Recorder(venv, origin=origin, memory_steps=memory_steps)

    with patch("rlhf_gym.rlhf.make_vec_env", make):
        rlhf = RLHF(config)
    started = clocks()
    for _ in rlhf.rounds():
        pass
    wall, cpu = clocks() - started
    rlhf.close()
    return {"backend": backend, "wall_s": wall, "cpu_s": cpu, "env_wall_s": inside[0]}


def time_runs(env_id: str, n_envs: int, *, turns: int, steps: int) -> list[dict[str, Any]]:
    """Whole runs with the package's own settings, rollouts of 2048 steps: a row a backend and turn."""
    config = RLHFConfig(env_id=env_id, labels=100, total_timesteps=steps)
    config = config.replace(agent={"n_envs": n_envs, "n_steps": 2048 // n_envs})
    for backend in BACKENDS:  # the first run of a process imports and warms a lot, for whoever has it
        time_run(backend, config.replace(total_timesteps=2 * 2048))
    return [
        {"turn": turn} | time_run(backend, config.replace(seed=turn))
        for turn in range(turns)
        for backend in order(turn)
    ]


def dynamics_gap(env_id: str, *, episodes: int = 10, horizons: Sequence[int] = (1, 10, 50, 100)) -> dict[int, float]:
    """Largest difference between EnvPool's and Gymnasium's observations, from one state, under the same random actions.

    Returns:
        Steps since the episode began -> largest difference up to then, over all episodes.
    """
    rng = np.random.default_rng(0)
    pool = make_pool(env_id, num_envs=1, num_threads=1, seed=0)
    env: Any = make_env(Origin(env_id, 0)).unwrapped
    gap = dict.fromkeys(horizons, 0.0)
    for _ in range(episodes):
        observations, info = pool.reset()
        env.reset(seed=0)
        state, n = np.concatenate([info["x_position"], observations[0]]), env.model.nq
        env.set_state(state[:n], state[n:])
        for step in range(1, max(horizons) + 1):
            action = rng.uniform(-1, 1, env.action_space.shape).astype(env.action_space.dtype)
            theirs, _, terminated, truncated, _ = pool.step(action[None])
            ours = env.step(action)[0]
            for horizon in horizons:
                if step <= horizon:
                    gap[horizon] = max(gap[horizon], float(np.abs(theirs[0] - ours).max()))
            if terminated[0] or truncated[0]:
                break
    return gap


def random_returns(backend: str, env_id: str, *, episodes: int = 40) -> tuple[float, float]:
    """Mean true return of random actions, and its standard error."""
    rng = np.random.default_rng(1)
    venv = make_backend(backend, Origin(env_id, 0), n_envs=8, rng=rng)
    venv.action_space.seed(1)
    venv.reset()
    returns: list[float] = []
    while len(returns) < episodes:
        infos = venv.step(np.array([venv.action_space.sample() for _ in range(8)]))[3]
        returns += [info["episode"]["r"] for info in infos if "episode" in info]
    venv.close()
    return float(np.mean(returns)), float(np.std(returns, ddof=1) / np.sqrt(len(returns)))


def table(rows: Sequence[dict[str, str]], columns: dict[str, str], ratio_of: Sequence[str], digits: int) -> str:
    """A line a task and backend: medians, and ratios to Gymnasium's with their ranges."""
    heads = [*columns.values(), *(f"{columns[name]} ÷ Gymnasium's" for name in ratio_of)]
    lines = ["| task | environments | backend | " + " | ".join(heads) + " |", "|---" * (len(heads) + 3) + "|"]
    for env_id, n_envs in sorted(
        {(row["env_id"], row["n_envs"]) for row in rows}, key=lambda task: (task[0], int(task[1]))
    ):
        here = [row for row in rows if (row["env_id"], row["n_envs"]) == (env_id, n_envs)]
        of = {backend: [row for row in here if row["backend"] == backend] for backend in BACKENDS}
        for backend, found in of.items():
            cells = [f"{median(float(row[name]) for row in found):.{digits}f}" for name in columns]
            for name in ratio_of:
                pairs = zip(found, of["gymnasium"], strict=True)
                cells.append(spread([float(row[name]) / float(base[name]) for row, base in pairs]))
            lines.append(f"| {env_id} | {n_envs} | {backend} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def checks() -> str:
    """Whether the two are the same environments: a line a task."""
    lines = [
        "| task | return of random actions, Gymnasium | EnvPool | largest difference after 1 step | 10 | 50 | 100 |",
        "|---" * 7 + "|",
    ]
    for env_id in dict.fromkeys((*ENV_IDS, *STATEFUL)):
        returns = [random_returns(name, env_id) for name in ("gymnasium", "envpool, 1 thread")]
        gaps = dynamics_gap(env_id).values() if env_id in STATEFUL else []
        cells = [f"{mean:.1f} ± {error:.1f}" for mean, error in returns] + [f"{gap:.0e}" for gap in gaps]
        lines.append("| " + " | ".join([env_id, *cells, *["—"] * (7 - 1 - len(cells))]) + " |")
    return "\n".join(lines)


FINDINGS = """\
It is not offered as a backend. The bar was a tenth of the time of a whole run on HalfCheetah-v5, with a core to each
run as in a sweep. One thread of EnvPool saves 4 to 6 % there: the environments take 19 % of a run, and EnvPool's step
costs 0.7 to 0.8 of Gymnasium's. On Hopper-v5, where they take 34 % and its step costs 0.6, it saves 9 to 14 %. On
CartPole-v1 they take 7 % in all. The environments' share is also the most that any backend could save, with however
many idle cores. The price would be every replay (below).

Other work kept both cores of the machine busy throughout. So CPU seconds are what to go by; wall seconds doubled and
swung, whole runs by a tenth even in CPU seconds, and what a second thread gains on an idle core was not measured.

What was found of EnvPool 1.2.5 with gymnasium 1.4 and numpy 2.4:

- It imports and runs. It needs Python 3.11, where rlhf_gym needs 3.10; with its assets it takes 740 MB of disk.
- It has Gymnasium's ids of classic control and of MuJoCo v4 and v5, but its own MuJoCo (3.6.0, built in), whatever
  `mujoco` is installed and does the evaluating. From one state both give the same observations to rounding, which
  chaos then amplifies (third table). Environments of one's own it can't make, and no wrapper reaches inside:
  no `FixedHorizon`.
- Observations keep Gymnasium's dtype, rewards are float32, as SB3's are. Its action spaces are float64 where
  Gymnasium's are float32, and making its spaces raises Gymnasium's precision warnings.
- It resets in the next step, which then pays 0 and ignores the action; resetting the ended ones by hand, as here, gives
  what SB3 expects. Truncation at the time limit is told from termination.
- Runs repeat for one seed, whatever the threads. But the seed is the pool's: an episode can't be started again by
  itself, nor in Gymnasium, which draws other first states. So no segment could be replayed: no clips, no people as
  teachers.
"""


def page(results: Path) -> str:
    """The page, from all rows and fresh checks."""
    steps, runs = read_rows(results / "steps.csv"), read_rows(results / "runs.csv")
    runs = [row | {"share": str(float(row["env_wall_s"]) / float(row["wall_s"]))} for row in runs]
    step_table = table(steps, {"wall_us": "wall µs", "cpu_us": "CPU µs"}, ["wall_us", "cpu_us"], 1)
    columns = {"wall_s": "wall s", "cpu_s": "CPU s", "share": "environments' share of wall"}
    run_table = table(runs, columns, ["wall_s", "cpu_s"], 2)
    how = (__doc__ or "").partition("\n\n")[2]
    made = dict.fromkeys(f"{row['machine']}; Python {row['python']}; commit {row['commit']}" for row in runs)
    return (
        "<!-- Made by `python -m experiments.vector_backends`. -->\n# EnvPool as a vector backend\n\n"
        f"{FINDINGS}\n{how}\n```\npip install envpool==1.2.5\npython -m experiments.vector_backends\n```\n\n"
        f"One environment's step, random actions:\n\n{step_table}\n\n"
        f"Whole runs, {runs[0]['steps']} steps, 100 labels, the package's settings but rollouts of 2048 steps for "
        f"either number of environments, evaluation left out:\n\n{run_table}\n\n"
        "The same environments? Mean return of random actions ± standard error, and the largest difference between "
        f"observations from one state under the same actions:\n\n{checks()}\n\n"
        f"Medians over turns, ranges in brackets; `steps.csv` and `runs.csv` have every turn. {'; '.join(made)}.\n"
    )


def main(
    turns: int = 4,
    run_steps: int = 12_288,
    env_ids: tuple[str, ...] = ENV_IDS,
    n_envs: tuple[int, ...] = N_ENVS,
    results_dir: Path = Path("results"),
) -> None:
    """Time all backends and write the page.

    Args:
        turns: Of every backend, for steps and for runs.
        run_steps: Environment steps of a run.
        env_ids: Tasks; with none, only the page is made.
        n_envs: Environments side by side.
        results_dir: `envpool/` in it takes the rows, and the page made anew from all of them.
    """
    results = results_dir / "envpool"
    made = {k: v for k, v in provenance("").items() if k in ("commit", "machine", "python")}
    for env_id, n in tqdm([(env_id, n) for env_id in env_ids for n in n_envs], unit="task"):
        task = {"env_id": env_id, "n_envs": n}
        append_rows(results / "steps.csv", [task | r | made for r in time_steps(env_id, n, turns=turns, steps=300)])
        rows = time_runs(env_id, n, turns=turns, steps=run_steps)
        append_rows(results / "runs.csv", [task | {"steps": run_steps} | row | made for row in rows])
    (results / "README.md").write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    tyro.cli(main)

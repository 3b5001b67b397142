"""Each verb does its work, and each bad input is told in one line."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image
from stable_baselines3 import PPO

import rlhf_gym
from rlhf_gym import RLHF, cli
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.passwords import password_variable
from rlhf_gym.contracts import same_query
from rlhf_gym.errors import BadInput
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.flags import read_flags, settings_before_flags
from rlhf_gym.registry import SCHEMES
from rlhf_gym.runs import read_run, read_so_far
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.exchange import export, read_spaces
from rlhf_gym.verbs.looking import Evaluate
from rlhf_gym.verbs.training import default_run_dir

TINY = "--total-timesteps 3000 --labels 8 --query.rounds 3 --agent.n-steps 32 --evaluation.n-episodes 2".split()
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the command line; gives exit status, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short run."""
    run_dir = tmp_path_factory.mktemp("runs") / "short"
    assert cli.main(["train", "--env-id", "CartPole-v1", "--seed", "3", "--run-dir", str(run_dir), *TINY]) == 0
    return run_dir


def test_train_leaves_the_files_that_scripts_rely_on(trained: Path) -> None:
    files = "config.yaml provenance.json metrics.csv summary.json policy.zip reward_model preferences.db tensorboard"
    assert set(files.split()) <= {path.name for path in trained.iterdir()}
    summary = json.loads((trained / "summary.json").read_text())
    assert (summary["env_id"], summary["seed"], summary["labels"]) == ("CartPole-v1", 3, 8)
    assert 0 < summary["total_timesteps"] <= 3000


def test_train_shows_its_progress_at_a_terminal_and_ends_with_the_true_return(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status, out, err = say("train", "--run-dir", tmp_path / "run", "--seed", 1, *TINY)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert status == 0
    assert "labels=8" in err and "true_return=" in err
    assert f"true return {summary['true_return_mean']:.1f} ± " in out and str(tmp_path / "run") in out
    began = read_run(tmp_path / "run").metrics[0]["true_return"]
    assert f"; it began with {began:.1f}\n" in out


def test_a_run_that_names_no_directory_gets_one_by_its_settings(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert say("train", "--teacher", "random", "--seed", 2, *TINY)[0] == 0
    assert (tmp_path / "runs" / "CartPole-v1_random_8_seed2" / "policy.zip").exists()


def test_the_directory_of_a_control_is_named_after_what_it_pays() -> None:
    config = RLHFConfig.for_env("room/Env-v0", labels=0, seed=4, reward={"source": "constant"})
    assert default_run_dir(config) == "runs/room-Env-v0_constant_1_seed4"


def test_evaluate_prints_what_an_independent_evaluation_of_the_policy_gives(say: Say, trained: Path) -> None:
    status, out, _ = say("evaluate", trained, "--n-episodes", 3, "--seed", 7, "--json")
    policy = PPO.load(trained / "policy.zip")
    episodes = play(lambda obs: policy.predict(obs, deterministic=True), "CartPole-v1", n_episodes=3, seed=7)
    found = json.loads(out)
    assert (status, found["n_eval_episodes"]) == (0, 3)
    assert found["true_return_mean"] == pytest.approx(mean_return(episodes))
    assert found["episode_length_mean"] == pytest.approx(mean_return(episodes))  # CartPole pays 1 a step


def test_evaluate_compares_the_learned_reward_with_the_true_one(say: Say, trained: Path) -> None:
    words = ("--metrics", "correlation", "pair_accuracy")
    status, out, _ = say("evaluate", trained, "--n-episodes", 3, "--json", *words)
    metrics = json.loads(out)["metrics"]
    assert status == 0 and metrics["correlation"] is None  # CartPole pays 1 a step
    assert metrics["pair_accuracy"] is None or 0 <= metrics["pair_accuracy"] <= 1
    status, out, _ = say("evaluate", trained, "--n-episodes", 3, *words)
    assert status == 0 and "correlation of the learned reward with the true one: - (one of the two rewards is" in out


def test_a_metric_that_cannot_be_computed_is_told_why_and_the_others_are_kept(say: Say, trained: Path) -> None:
    words = ("evaluate", trained, "--n-episodes", 1, "--metrics", "calibration_error", "epic", "outside_coverage")
    why = "epic needs at least 2 trajectories, or a goal, and got 1; play more episodes"
    status, out, err = say(*words)
    assert (status, err) == (0, "") and f"epic of the learned reward with the true one: - ({why})\n" in out
    assert re.search(r"outside_coverage of the learned reward with the true one: [01]\.\d{3}\n", out)
    status, out, _ = say(*words, "--json")
    found = json.loads(out)
    assert status == 0 and found["metrics"]["epic"] is None and found["untold"]["epic"] == why
    assert 0 <= found["metrics"]["outside_coverage"] <= 1 and "outside_coverage" not in found["untold"]


def test_evaluate_says_mean_and_spread_in_words(say: Say, trained: Path) -> None:
    status, out, err = say("evaluate", trained, "--n-episodes", 2)
    assert (status, err) == (0, "")
    assert out.startswith("CartPole-v1: true return ") and "2 episodes" in out


def test_evaluate_says_what_a_run_is_worth_by_its_goal(say: Say, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    status, out, _ = say("train", "--run-dir", run_dir, "--feedback.goal", "cart_pole_hold_at_one", *TINY)
    began = read_run(run_dir).metrics[0]["goal_return"]
    assert status == 0 and "; goal return " in out and f" (mean); it began with {began:.4g}\n" in out
    _, out, _ = say("evaluate", run_dir, "--n-episodes", 2)
    found = json.loads(say("evaluate", run_dir, "--n-episodes", 2, "--json")[1])
    assert f"; goal return {found['goal_return_mean']:.4g} (mean)" in out
    policy = PPO.load(run_dir / "policy.zip")
    episodes = play(lambda obs: policy.predict(obs, deterministic=True), "CartPole-v1", n_episodes=2, seed=0)
    held = [np.exp(-2 * np.abs(episode.observations[1:, 0] - 1)).sum() for episode in episodes]
    assert found["goal_return_mean"] == pytest.approx(np.mean(held), rel=1e-5)


def test_what_was_saved_of_a_run_is_played_and_never_resumed(say: Say, trained: Path, tmp_path: Path) -> None:
    loaded = RLHF.load(trained)
    loaded.save(tmp_path / "kept")
    loaded.close()
    policy = (tmp_path / "kept" / "policy.zip").read_bytes()
    kept, own = (say("evaluate", folder, "--n-episodes", "3") for folder in (tmp_path / "kept", trained))
    assert kept[:2] == own[:2] and kept[0] == 0
    assert say("watch", tmp_path / "kept")[0] == 0 and (tmp_path / "kept" / "policy.gif").exists()
    for more in ((), ("--labels", "100")):
        status, _, err = say("resume", tmp_path / "kept", *more)
        assert status == 2 and "is what save left of a run, without its rounds; there is nothing to resume" in err
    assert (tmp_path / "kept" / "policy.zip").read_bytes() == policy


def test_a_clip_of_another_format_is_refused_before_it_is_played(say: Say, trained: Path, tmp_path: Path) -> None:
    status, _, err = say("watch", trained, "--output", tmp_path / "clip.xyz")
    assert status == 2 and "clip.xyz ends in '.xyz'; use one of .gif, .webp" in err


def test_evaluate_without_a_goal_says_none(say: Say, trained: Path) -> None:
    assert json.loads(say("evaluate", trained, "--n-episodes", 1, "--json")[1])["goal_return_mean"] is None
    assert "goal" not in say("evaluate", trained, "--n-episodes", 1)[1]


def test_a_goal_made_for_another_environment_is_refused_in_one_line(say: Say, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    status, _, err = say("train", "--run-dir", run_dir, "--feedback.goal", "hopper_backflip", *TINY)
    assert status == 2 and not run_dir.exists()
    assert "feedback.goal is made for Hopper-v5, whose observation by default has shape (11,)" in err.splitlines()[-1]


@pytest.mark.parametrize("name", [None, "clip.webp"])
def test_watch_writes_a_moving_picture(say: Say, trained: Path, tmp_path: Path, name: str | None) -> None:
    words = ["--output", str(tmp_path / name)] if name else []
    status, out, _ = say("watch", trained, *words)
    clip = tmp_path / name if name else trained / "policy.gif"
    assert status == 0 and str(clip) in out
    with Image.open(clip) as image:
        assert getattr(image, "n_frames", 1) > 1


def test_plot_draws_many_runs_into_one_picture(say: Say, trained: Path, tmp_path: Path) -> None:
    status, out, _ = say("plot", trained, trained, "--output", tmp_path / "curve.png")
    assert status == 0 and "curve.png" in out
    with Image.open(tmp_path / "curve.png") as image:
        assert image.width > 400


def test_a_run_that_is_named_twice_is_drawn_once(
    say: Say, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []
    monkeypatch.setattr("rlhf_gym.plots.learning_curve", lambda runs, *_, **__: drawn.extend(runs))
    monkeypatch.chdir(trained.parent)
    assert say("plot", trained, trained.name, trained, "--output", tmp_path / "curve.png")[0] == 0
    assert len(drawn) == 1


def test_plot_draws_the_rounds_of_a_run_that_still_goes_on(say: Say, trained: Path, tmp_path: Path) -> None:
    going_on = shutil.copytree(trained, tmp_path / "run")
    (going_on / "summary.json").unlink()
    lines = (going_on / "metrics.csv").read_text().splitlines(keepends=True)
    (going_on / "metrics.csv").write_text("".join(lines[:-1]) + lines[-1][:9])  # the last line is in the making
    assert say("plot", going_on, "--output", tmp_path / "curve.png")[0] == 0
    steps = [[row["env_steps"] for row in run.metrics] for run in (read_so_far(going_on), read_run(trained))]
    assert steps[0] == steps[1][:-1]
    (going_on / "metrics.csv").write_text(lines[0])
    status, _, err = say("plot", going_on, "--output", tmp_path / "curve.png")
    assert status == 2 and "has done no round yet; wait for one" in err
    (going_on / "metrics.csv").write_text("round,env_steps\n0,1536\n")
    status, _, err = say("plot", going_on, "--output", tmp_path / "curve.png")
    assert status == 2 and "metrics.csv has no labels; restore it from a copy" in err


def test_a_flag_goes_before_the_file_the_file_before_the_preset_and_the_preset_before_the_default(
    tmp_path: Path,
) -> None:
    assert RLHFConfig().agent.options["gamma"] == 0.99
    assert RLHFConfig.for_env("CartPole-v1").agent.options["gamma"] == 0.98
    file = tmp_path / "settings.yaml"
    file.write_text("seed: 5\nagent: {options: {n_epochs: 7}, n_envs: 4}\n")
    command = cli.parse(["train", "--config", str(file), "--agent.n-envs", "16"])
    agent = command.settings.agent
    options = [agent.options[name] for name in ("n_epochs", "gamma", "vf_coef")]
    assert (agent.n_envs, *options) == (16, 7, 0.98, 0.5)
    assert command.settings.seed == 5


def test_the_preset_is_that_of_the_environment_asked_for_by_flag_or_else_by_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("env_id: Acrobot-v1\n")
    by_file, *_ = settings_before_flags(["--config", str(file)], prog="")
    by_flag, *_ = settings_before_flags(["--config", str(file), "--env-id", "CartPole-v1"], prog="")
    assert by_file == RLHFConfig.for_env("Acrobot-v1")
    assert by_flag == RLHFConfig.for_env("CartPole-v1")


def test_the_preset_is_that_of_a_run_with_as_many_steps_by_flag_or_else_by_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("env_id: Hopper-v5\ntotal_timesteps: 600_000\n")
    longer = RLHFConfig.for_env("Hopper-v5", total_timesteps=600_000)
    assert longer.query.rounds == 40
    by_file = cli.parse(["train", "--config", str(file)]).settings
    by_flag = cli.parse(["train", "--env-id", "Hopper-v5", "--total-timesteps", "600000"]).settings
    assert by_file == by_flag == longer
    usual = cli.parse(["train", "--config", str(file), "--total-timesteps", "300000"]).settings
    assert usual == RLHFConfig.for_env("Hopper-v5")
    with pytest.raises(BadInput, match="^--total-timesteps is 'many'"):
        cli.parse(["train", "--env-id", "Hopper-v5", "--total-timesteps", "many"])


def test_every_setting_is_a_flag() -> None:
    words = [
        "--env-kwargs",
        '{"sutton_barto_reward": true}',
        "--agent.net-arch",
        "32",
        "16",
        "--reward.network-options.hidden",
        "8",
        "--env.fixed-horizon",
        "200",
    ]
    settings = cli.parse(["train", *words, "--query.scheme", "uniform", "--feedback.goal", "my:goal"]).settings
    assert settings.env_kwargs == {"sutton_barto_reward": True}
    assert settings.agent.net_arch == (32, 16) and settings.reward.network_options == {"hidden": [8]}
    assert (settings.env.fixed_horizon, settings.query.scheme, settings.feedback.goal) == (200, "uniform", "my:goal")


@pytest.mark.parametrize(("text", "number"), [("3e5", 300_000), ("2.5E3", 2500), ("1_000", 1000), ("-3", -3)])
def test_a_whole_number_may_be_written_with_an_exponent(text: str, number: int) -> None:
    assert _whole_number(text) == number


@pytest.mark.parametrize("text", ["1.5e0", "2.0", "1e400", "inf", "e", ""])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=f"--number is '{text}'"):
        _whole_number(text)


def _whole_number(text: str) -> int:
    @dataclass
    class Verb:
        number: int

    return int(read_flags(Verb, ["--number", text], prog="verb").number)


def test_the_settings_of_a_run_can_be_given_again(trained: Path, tmp_path: Path) -> None:
    settings = cli.parse(["train", "--config", str(trained / "config.yaml"), "--run-dir", str(tmp_path)]).settings
    assert settings == RLHFConfig.from_yaml(trained / "config.yaml").replace(run_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run", "use one of train, resume, sweep, label, quality, evaluate, relearn, watch, plot, export, import"),
        ("trian", "did you mean train?"),
        ("resumee DIR", "did you mean resume?"),
        ("resume DIR", "DIR holds no run (config.yaml missing)"),
        ("resume TRAINED", "is finished; there is nothing to resume"),
        ("train --env-id CartPoll-v1", "did you mean CartPole-v1"),
        ("train --env-id Foo-v1", "doesn't know; see gymnasium.pprint_registry()"),
        ("train --labels 0", "labels is 0; use at least 1"),
        ("train --labels -1", "labels is -1; use at least 1"),
        ("train --labels many", "rlhf-gym: --labels is 'many'; expected --labels INT: Budget: answers that"),
        ("train --reward.linear quadratc", "--reward.linear is 'quadratc'; expected one of absolute, linear,"),
        ("train --reward.calibrate maybe", "Unrecognized options: maybe; --reward.calibrate takes no value; see"),
        ("train --agent.net-arch 64,64", "--agent.net-arch is '64,64'; expected --agent.net-arch {None}|{["),
        ("train --kind comparison,ranking", "which has 'comparison'; give each a share, as in comparison=0.7"),
        ("evaluate odd.yaml", "odd.yaml is a file; name a run directory"),
        ("train --agent.gamma many", "rlhf-gym: agent.options.gamma is 'many'; expected a number"),
        ("train --labels", "Missing value for argument '--labels'"),
        ("train --labesl 20", "did you mean --labels INT?"),
        ("train --query.scheem uniform", f"did you mean --query.scheme {'|'.join(SCHEMES)}|MODULE:NAME"),
        ("train --query.scheme best", f"query.scheme is 'best'; expected one of {', '.join(SCHEMES)}, or module:name"),
        ("train CartPole-v1", "CartPole-v1; see rlhf-gym train --help"),
        ("train --env-kwargs 5", "5 is no JSON object such as"),
        ("train --env-kwargs {x", "{x is no JSON object such as"),
        ("train --env-kwargs {\"colour\":1}", "colour"),
        ("train --segment-length 501", "segment_length is 501"),
        ("train --total-timesteps 1", "total_timesteps is 1; use at least"),
        ("train --feedback.goal nothing", "or module:name of your own, such as my_module:thing"),
        ("train --feedback.goal pendulum_spinn", "did you mean pendulum_spin?"),
        ("train --config MISSPELT", "did you mean query.scheme?"),
        ("train --config WRONG", "labels is 'few'; expected int"),
        ("train --config nowhere.yaml", "nowhere.yaml can't be read"),
        ("train --config ODD", "odd.yaml can't be read"),
        ("evaluate TRAINED --reward --map ² 1", "map got '²'; use a number from 0 to 3"),
        ("train --run-dir TRAINED", "already holds a run"),
        ("evaluate", "DIR"),
        ("evaluate EMPTY", "holds no finished run"),
        ("evaluate nowhere", "nowhere isn't there; name a run directory"),
        ("evaluate TRAINED --n-episodes 0", "n_episodes is 0; use at least 1"),
        ("evaluate TRAINED --seed -1", "seed is -1; use at least 0"),
        ("evaluate TRAINED --jsn", "did you mean --json"),
        ("evaluate TRAINED --metrics corelation", "metric is 'corelation'; did you mean correlation?"),
        ("evaluate TRAINED --metrics epic --n-episodes 1", "epic needs at least 2 trajectories, or a goal, and got 1"),
        ("evaluate TRAINED --metrics gap_accuracy --n-episodes 1", "gap_accuracy needs at least 2 trajectories"),
        ("evaluate TRAINED --map 0 1", "map is of the learned reward's report; ask for it with --reward"),
        ("evaluate TRAINED --output there", "output is of the learned reward's report"),
        ("evaluate TRAINED --reward --map 0 angle", "or one of these names: cart position, cart velocity, pole angle"),
        ("evaluate TRAINED --reward --map 0 4", "map got '4'; use a number from 0 to 3, or one of these names: cart"),
        ("evaluate TRAINED --reward --map 0 0", "map got cart position twice; use two different variables"),
        ("evaluate TRAINED --reward --n-episodes 0", "n_episodes is 0; use at least 1"),
        ("evaluate TRAINED --reward --metrics corelation", "metric is 'corelation'; did you mean correlation?"),
        ("watch nowhere", "nowhere isn't there; name a run directory"),
        ("watch TRAINED --output clip.avi", "use one of .gif, .webp"),
        ("plot", "at least one run directory"),
        ("plot TRAINED nowhere", "nowhere isn't there; name a run directory"),
        ("plot TRAINED --output curve.doc", "ends in .png, .svg or .pdf"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_status_2_and_one_line(
    say: Say, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "misspelt.yaml").write_text("query: {scheem: uniform}\n")
    (tmp_path / "wrong.yaml").write_text("labels: few\n")
    (tmp_path / "odd.yaml").write_text("labels: !!int ''\n")
    before = sorted(trained.rglob("*"))
    places = {"TRAINED": trained, "EMPTY": "empty", "MISSPELT": "misspelt.yaml", "WRONG": "wrong.yaml"}
    places |= {"ODD": "odd.yaml"}
    status, out, err = say(*(places.get(word, word) for word in words.split()))
    assert (status, out) == (2, "")
    assert err.startswith("rlhf-gym: ") and err.count("\n") == 1 and told in err
    assert sorted(trained.rglob("*")) == before
    assert not (tmp_path / "runs").exists()


def test_a_policy_that_is_no_policy_is_refused_in_one_line(say: Say, trained: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(trained, broken)
    (broken / "policy.zip").write_bytes(b"not a policy")
    status, _, err = say("evaluate", broken)
    assert status == 2 and err.count("\n") == 1 and "policy.zip can't be read" in err


@pytest.mark.parametrize(
    ("store", "given"),
    [
        ("postgresql+psycopg://me:s3%2Fcret@there/db", {"PGPASSWORD": "s3/cret"}),
        ("postgresql+psycopg://me@/db?host=there&password=s3cret", {"PGPASSWORD": "s3cret"}),
        ("postgresql+psycopg://me@there/db", {}),
        ("no url", {}),
        (None, {}),
    ],
)
def test_the_page_beside_a_run_is_given_the_password_that_config_yaml_lacks(
    store: str | None, given: dict[str, str]
) -> None:
    assert password_variable(store) == given


def test_a_fault_in_the_program_keeps_its_traceback(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Evaluate) -> None:
        np.zeros(3).reshape(2, 2)

    monkeypatch.setattr(Evaluate, "run", fail)
    with pytest.raises(ValueError, match="cannot reshape"):
        cli.main(["evaluate", str(trained)])


def test_a_name_that_our_own_code_lacks_is_no_bad_input(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Evaluate) -> None:
        raise ImportError("cannot import name", name="rlhf_gym.files")

    monkeypatch.setattr(Evaluate, "run", fail)
    with pytest.raises(ImportError, match="cannot import name"):
        cli.main(["evaluate", str(trained)])


def test_a_stop_by_the_keyboard_is_one_line_and_status_130(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Evaluate) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Evaluate, "run", stop)
    status, _, err = say("evaluate", "runs/any")
    assert status == 130 and err.count("\n") == 1


def test_export_and_import_carry_preferences_from_store_to_store(say: Say, trained: Path, tmp_path: Path) -> None:
    status, out, _ = say("export", trained, "--output", tmp_path / "export")
    assert status == 0 and f"wrote 8 preferences into {tmp_path / 'export'}" in out
    names = {"preferences.jsonl", "preferences.parquet", "README.md", "manifest.json"}
    assert {path.name for path in (tmp_path / "export").iterdir()} == names
    url = f"sqlite:///{tmp_path / 'other.db'}"
    status, out, _ = say("import", tmp_path / "export", "--store", url)
    assert (status, out) == (0, "8 preferences are new, 0 were there already\n")
    status, out, _ = say("import", tmp_path / "export" / "preferences.parquet", "--run-dir", trained)
    assert (status, out) == (0, "0 preferences are new, 8 were there already\n")
    with PreferenceStore(trained / "preferences.db") as here, PreferenceStore(url) as there:
        pairs = list(zip(here.preferences(), there.preferences(), strict=True))
    assert len(pairs) == 8 and all(same_query(a.query, b.query) and a.answer is b.answer for a, b in pairs)


def test_who_labels_a_finished_run_is_told_that_nothing_more_comes(say: Say, trained: Path) -> None:
    status, _, err = say("label", trained)
    assert status == 0
    assert err.endswith(f"is finished and asks nothing more: give it more by rlhf-gym resume {trained} --labels N\n")


def test_export_describes_the_spaces_and_goes_into_the_run_directory(say: Say, trained: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(trained, run_dir)
    (run_dir / "summary.json").unlink()  # the run isn't finished
    assert say("export", run_dir, "--no-parquet")[0] == 0
    assert not (run_dir / "export" / "preferences.parquet").exists()
    env = gymnasium.make("CartPole-v1")
    assert read_spaces(run_dir / "export") == (env.observation_space, env.action_space)
    env.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export nowhere", "nowhere holds no run (config.yaml missing); use"),
        ("import nowhere --store sqlite://", "nowhere isn't there; use a folder that export wrote"),
        ("import nowhere", "use either --run-dir DIR or --store URL"),
        ("import nowhere --run-dir a --store sqlite://", "use either --run-dir DIR or --store URL"),
        (
            "import {export} --run-dir nowhere",
            "nowhere holds no preferences.db; use the directory of a run, or name its --store",
        ),
        ("import {export} --store other.db", "preference store is 'other.db'; expected a database URL"),
        ("export {run} --output {export}", "already holds an export"),
    ],
)
def test_what_cannot_be_exported_or_imported_is_told_in_one_line(
    say: Say, trained: Path, tmp_path: Path, words: str, message: str
) -> None:
    assert say("export", trained, "--output", tmp_path / "export")[0] == 0
    status, _, err = say(*words.format(export=tmp_path / "export", run=trained).split())
    assert status == 2 and err.count("\n") == 1 and message in err


def test_a_run_takes_no_preferences_about_another_environment(say: Say, trained: Path, tmp_path: Path) -> None:
    config = RLHFConfig.for_env("Pendulum-v1")
    pendulum = tmp_path / "pendulum"
    pendulum.mkdir()
    config.to_yaml(pendulum / "config.yaml")
    with PreferenceStore(pendulum / "preferences.db") as store:
        store.post([])
    assert say("export", trained, "--output", tmp_path / "export")[0] == 0
    status, _, err = say("import", tmp_path / "export", "--run-dir", pendulum)
    assert status == 2 and err.count("\n") == 1
    assert (
        "option 1 has observations and actions of shapes (4,) and ()" in err and "Pendulum-v1, has (3,) and (1,)" in err
    )
    with PreferenceStore(pendulum / "preferences.db") as store:
        assert store.preferences() == []


def test_a_run_takes_no_preferences_about_actions_of_another_shape(say: Say, trained: Path, tmp_path: Path) -> None:
    with PreferenceStore(trained / "preferences.db") as store, PreferenceStore(tmp_path / "other.db") as other:
        [first, *_] = store.preferences()
        left = replace(first.query.left, actions=first.query.left.actions[:, None])
        other.add([replace(first, query=replace(first.query, options=(left, first.query.right)))])
        export(other, tmp_path / "export", parquet=False)
    status, _, err = say("import", tmp_path / "export", "--run-dir", trained)
    assert status == 2 and err.count("\n") == 1
    assert (
        "option 1 has observations and actions of shapes (4,) and (1,)" in err and "CartPole-v1, has (4,) and ()" in err
    )


def test_help_lists_the_verbs_there_are_and_a_verb_its_flags(say: Say) -> None:
    status, out, _ = say("--help")
    assert status == 0 and all(verb in out for verb in ("train", "evaluate", "watch", "plot", "export", "import"))
    status, out, _ = say("train", "--help")
    assert status == 0 and all(flag in out for flag in ("--labels", "--query.scheme", "--env-kwargs", "--config"))


def test_without_a_verb_the_verbs_are_listed(say: Say) -> None:
    status, out, err = say()
    assert (status, out) == (2, "") and err == say("--help")[1]


def test_help_says_what_a_flag_does_on_the_command_line(say: Say) -> None:
    told = {verb: " ".join(say(verb, "--help")[1].replace("│", " ").split()) for verb in ("train", "export")}
    assert "--no-parquet Leave Parquet out; to write it needs pyarrow. (default: False)" in told["export"]
    assert "on the command line, where it takes a directory under runs/" in told["train"]


def test_the_installed_command_knows_its_version() -> None:
    command = Path(sys.executable).with_name("rlhf-gym")
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"rlhf-gym {rlhf_gym.__version__}\n"


def test_quality_prints_a_report_of_the_answers(say: Say, trained: Path, tmp_path: Path) -> None:
    status, out, err = say("quality", trained)
    assert (status, err) == (0, "") and out.splitlines()[1].split()[:3] == ["oracle", "8", "0"]
    url = f"sqlite:///{trained / 'preferences.db'}"
    found = json.loads(say("quality", tmp_path, "--store", url, "--json")[1])
    assert found["people"][0]["answers"] == 8 and found["people"][0]["seconds"] is None


def test_quality_makes_no_store_where_there_is_none(say: Say, tmp_path: Path) -> None:
    status, out, err = say("quality", tmp_path)
    assert (status, out) == (2, "") and f"{tmp_path} holds no preferences.db; use the directory of a run" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("export", "--output"), "output"),
        (("export", "--policy"), "policy"),
        (("plot", "--output"), "output"),
        (("watch", "--output"), "output"),
        (("evaluate", "--reward", "--output"), "output"),
    ],
)
def test_a_place_below_a_file_is_refused_before_anything_is_made(
    say: Say, trained: Path, tmp_path: Path, words: tuple[str, ...], named: str
) -> None:
    file = tmp_path / "a file"
    file.touch()
    ending = {"plot": ".png", "watch": ".gif"}.get(words[0], ".zip" if named == "policy" else "")
    place = file / f"new{ending}"
    status, out, err = say(words[0], trained, *words[1:], place)
    assert (status, out) == (2, "") and f"{named} is {place}, and {file} is no folder; use another place" in err


def test_preferences_are_not_imported_into_memory(say: Say, trained: Path, tmp_path: Path) -> None:
    assert say("export", trained, "--output", tmp_path / "kept")[0] == 0
    status, _, err = say("import", tmp_path / "kept", "--store", "sqlite://")
    assert status == 2 and "store is sqlite://, which is gone when this ends; use sqlite:///preferences.db" in err


def test_help_is_wrapped_where_the_screen_ends(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    status, out, _ = say("train", "--help")
    lines = [line.strip("│").strip() for line in out.splitlines()]
    assert status == 0
    assert "where my_envs.py in this folder calls gymnasium.register: it is imported wherever the" in lines

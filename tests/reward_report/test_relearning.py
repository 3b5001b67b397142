"""Fresh policies on a frozen reward: what is paid, what is kept, what is refused."""

import json
import shutil
from contextlib import closing

import numpy as np
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main
from rlhf_gym.errors import BadInput
from rlhf_gym.registry import make
from rlhf_gym.reward_report import relearn
from rlhf_gym.reward_report.relearning import relearning_config
from rlhf_gym.rewards.sources import Situation
from rlhf_gym.runs import read_run
from rlhf_gym.segments import Ending, Trajectory

SMALL = {"total_timesteps": 2600, "query": {"rounds": 2, "warm_up_steps": 512}, "evaluation": {"n_episodes": 2}}
STEPS = (np.linspace(-1, 1, 20).reshape(5, 4), np.array([0, 1, 0, 1, 1]), np.zeros((5, 4)), np.zeros(5, bool))


def learned(directory, **more):
    """A short run, and what its agent was paid for some steps in its last round."""
    config = RLHFConfig.for_env("CartPole-v1", seed=1, run_dir=str(directory), **{"labels": 8, **SMALL, **more})
    with closing(RLHF(config)) as rlhf:
        rlhf.learn()
        payer = rlhf.venv
        paid = None if payer.reward_function is None else payer.reward_function(*STEPS)
        return paid, (payer.zero, payer.unit)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "goal"
    return directory, *learned(directory, feedback={"goal": "cart_pole_hold_at_one"})


@pytest.fixture
def run_dir(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    return tmp_path / "run"


def frozen(path, **spaces):
    return make("reward.source", "frozen", {"path": str(path)}, **spaces)(Situation(None, None, (), False))


def test_a_frozen_reward_pays_to_the_last_bit_what_the_run_s_last_round_paid(trained):
    directory, paid, scale = trained
    for path in (directory, directory / "reward_model"):
        source = frozen(path)
        assert np.array_equal(source.reward_function(*STEPS), paid) and (source.zero, source.unit) == scale == (0, 1)
    assert np.ptp(paid) > 0


def test_a_frozen_reward_stays_the_same_whatever_is_done_later(trained):
    source = make("reward.source", "frozen", {"path": str(trained[0])})
    first = source(Situation(None, None, (), False)).reward_function
    assert source(Situation(lambda *_: 1 / 0, None, (), True)).reward_function is first


def test_fresh_policies_are_put_beside_the_run_s_own_and_kept_seed_by_seed(run_dir):
    found = relearn(run_dir, seeds=[4])
    assert [(one.seed, one.total_timesteps) for one in (found.own, *found.relearned)] == [(1, 2600), (4, 2600)]
    assert found.own.goal_return_mean is not None and found.own.n_eval_episodes == 2
    again = relearn(run_dir, seeds=[5], total_timesteps=1300)
    kept = json.loads((run_dir / "relearned.json").read_text())
    assert [(one["seed"], one["total_timesteps"]) for one in kept["relearned"]] == [(4, 2600), (5, 1300)]
    assert kept["relearned"][0] == found.to_json()["relearned"][0] and again.own == found.own


def test_a_seed_that_is_there_is_not_learned_again(run_dir, monkeypatch):
    first = relearn(run_dir, seeds=[4])
    monkeypatch.setattr(RLHF, "learn", lambda *_, **__: pytest.fail("learned again"))
    assert relearn(run_dir, seeds=[4]).relearned == first.relearned


def test_the_seeds_are_others_than_the_run_s_where_none_are_named(run_dir, monkeypatch):
    monkeypatch.setattr(RLHF, "learn", lambda *_, **__: None)  # untrained ones will do
    assert [one.seed for one in relearn(run_dir).relearned] == [0, 2, 3]


def test_the_learned_return_is_the_sum_of_what_the_frozen_reward_pays(run_dir, monkeypatch):
    observations = np.vstack([STEPS[0], np.zeros(4)])
    played = [Trajectory(observations, STEPS[1], np.ones(5), Ending.TERMINATED)] * 2
    monkeypatch.setattr("rlhf_gym.reward_report.relearning.evaluate", lambda *_, **__: played)
    monkeypatch.setattr(RLHF, "learn", lambda *_, **__: None)
    found = relearn(run_dir, seeds=[2])
    paid = frozen(run_dir).reward_function(observations[:-1], STEPS[1], observations[1:], np.zeros(5, bool))
    assert found.own.learned_return_mean == found.relearned[0].learned_return_mean == pytest.approx(float(paid.sum()))
    assert found.own.true_return_mean == 5


def test_a_directory_of_their_own_holds_whole_runs_and_an_interrupted_one_is_gone_on_with(run_dir, tmp_path):
    out = tmp_path / "again"
    config = relearning_config(read_run(run_dir), 4, 2600, out / "seed_4")
    with closing(RLHF(config)) as rlhf:
        next(rlhf.rounds())
    relearn(run_dir, seeds=[4], out=out)
    run = read_run(out / "seed_4")
    assert run.config == config and len(run.metrics) == 2
    assert run.summary["reward_source"] == "frozen" and run.summary["labels"] == 0


def test_a_finished_run_whose_figures_are_gone_is_judged_again_and_not_learned(run_dir, tmp_path, monkeypatch):
    (found,) = relearn(run_dir, seeds=[4], total_timesteps=1300, out=tmp_path / "again").relearned
    (run_dir / "relearned.json").unlink()
    monkeypatch.setattr(RLHF, "learn", lambda *_, **__: pytest.fail("it learns again"))
    assert relearn(run_dir, seeds=[4], total_timesteps=1300, out=tmp_path / "again").relearned == [found]


def test_with_the_agent_settings_of_the_run_nobody_is_asked(trained):
    run = read_run(trained[0])
    config = relearning_config(run, 7, 999_999, None)
    assert (config.agent, config.algo, config.env) == (run.config.agent, run.config.algo, run.config.env)
    assert (config.seed, config.total_timesteps, config.labels, config.warm_up_steps) == (7, 999_999, 0, 0)
    assert config.feedback.goal == "cart_pole_hold_at_one"


def test_the_verb_prints_both_policies_and_writes_the_file(run_dir, capsys):
    assert main(["relearn", str(run_dir), "--seeds", "2", "--total-timesteps", "1300"]) == 0
    out = capsys.readouterr().out
    kept = json.loads((run_dir / "relearned.json").read_text())["relearned"][0]
    assert "the run's own" in out and "8 answers of oracle" in out and "goal return" in out
    assert f"{kept['true_return_mean']:.1f} ± " in out and f"{kept['learned_return_mean']:.4g}" in out
    assert main(["relearn", str(run_dir), "--seeds", "2", "--total-timesteps", "1300", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["relearned"] == [kept]


def test_a_run_may_be_paid_a_frozen_reward_by_its_settings(run_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["--total-timesteps", "1200", "--query.rounds", "1", "--evaluation.n-episodes", "1"]
    assert main(["train", "--reward.source", "frozen", "--reward.source-options.path", "run", *few]) == 0
    assert (tmp_path / "runs" / "CartPole-v1_frozen_run_seed0" / "policy.zip").exists()


def test_a_goal_that_was_handed_over_isn_t_needed(tmp_path):
    config = RLHFConfig.for_env("CartPole-v1", labels=8, seed=1, run_dir=str(tmp_path / "own"), **SMALL)
    with closing(RLHF(config, goal=lambda observations, *_: observations[:, 0])) as rlhf:
        rlhf.learn()
    found = relearn(tmp_path / "own", seeds=[0], total_timesteps=1300)
    assert found.own.goal_return_mean is None and len(found.relearned) == 1


def edited(run_dir, **settings):
    """The run, as if it had been learned with other settings."""
    config = RLHFConfig.from_yaml(run_dir / "config.yaml").replace(**settings)
    config.to_yaml(run_dir / "config.yaml")


def test_what_can_t_be_relearned_is_refused_in_one_line(run_dir, tmp_path, capsys):
    def told(*words):
        assert main(["relearn", *map(str, words)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        return err

    assert "holds no finished run" in told(tmp_path)
    assert "seeds are 2, 2; use different ones" in told(run_dir, "--seeds", 2, 2)
    assert "seeds are -1; use different ones of at least 0" in told(run_dir, "--seeds", -1)
    assert "total_timesteps is 0; use at least 1" in told(run_dir, "--total-timesteps", 0)
    (run_dir / "relearned.json").write_text("{}")
    assert "relearned.json is damaged" in told(run_dir)
    assert "config.yaml is no folder; use another place" in told(run_dir, "--out", run_dir / "config.yaml")
    model = run_dir / "reward_model"
    model.rename(tmp_path / "elsewhere")
    assert "holds no reward model; use the directory of a whole run" in told(run_dir)
    (tmp_path / "elsewhere").rename(model)
    edited(run_dir, reward={"source": "constant"})
    assert "was paid reward.source constant, which isn't learned" in told(run_dir)
    edited(run_dir, reward={"source": "learned"}, method="objectives")
    assert "was learned by method objectives, which left no single reward model" in told(run_dir)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_frozen_reward_has_to_be_there_fitted_and_of_the_same_environment(run_dir, tmp_path):
    with pytest.raises(BadInput, match="reward.source frozen needs path"):
        make("reward.source", "frozen", {})
    with pytest.raises(BadInput, match="where no single reward model is"):
        frozen(tmp_path)
    pendulum = RLHFConfig.for_env(
        "Pendulum-v1", labels=0, reward={"source": "frozen", "source_options": {"path": str(run_dir)}}
    )
    with pytest.raises(BadInput, match="doesn't fit observation space"):
        RLHF(pendulum)
    (run_dir / "reward_model" / "learner.json").write_text('{"version": 0, "l2": 0.1, "zero": null}')
    with pytest.raises(BadInput, match="whose reward model was never fitted"):
        frozen(run_dir)


def test_a_run_that_went_on_has_another_reward_which_is_relearned_anew(run_dir, tmp_path):
    out = tmp_path / "again"
    (first,) = relearn(run_dir, seeds=[4], total_timesteps=1300, out=out).relearned
    with closing(RLHF.resume(run_dir, labels=12, total_timesteps=4000)) as rlhf:
        rlhf.learn()
    (second,) = relearn(run_dir, seeds=[4], total_timesteps=1300).relearned
    assert second.reward != first.reward and second.learned_return_mean != first.learned_return_mean
    kept = json.loads((run_dir / "relearned.json").read_text())
    assert len(kept["relearned"]) == 1 and "12 answers" in kept["title"]
    (run_dir / "relearned.json").unlink()
    with pytest.raises(BadInput, match="seed_4 already holds a run"):  # of the reward before
        relearn(run_dir, seeds=[4], total_timesteps=1300, out=out)


def test_a_frozen_reward_is_the_same_for_a_run_s_whole_life(run_dir, tmp_path):
    paid = {"source": "frozen", "source_options": {"path": str(run_dir)}}
    config = RLHFConfig.for_env("CartPole-v1", labels=0, seed=1, run_dir=str(tmp_path / "paid"), reward=paid, **SMALL)
    with closing(RLHF(config)) as rlhf:
        rlhf.learn()
    with closing(RLHF.resume(tmp_path / "paid", total_timesteps=4000)) as rlhf:
        next(rlhf.rounds())
    with closing(RLHF.resume(run_dir, labels=12, total_timesteps=4000)) as rlhf:
        rlhf.learn()
    for again in (RLHF.resume, RLHF.load):
        with pytest.raises(BadInput, match="a run goes on with the reward that it was paid"):
            again(tmp_path / "paid")


def test_answers_that_were_all_there_before_are_nobody_s_of_this_run(run_dir, tmp_path):
    learned(tmp_path / "later", labels=0, feedback={"preferences": str(run_dir)})
    assert "the learned reward of 8 answers, frozen" in relearn(tmp_path / "later", seeds=[0]).title

"""A run's learned reward is judged on fresh trajectories, and what can't be told says why."""

import dataclasses
import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from rlhf_gym import RLHF, RLHFConfig, cli
from rlhf_gym.errors import BadInput
from rlhf_gym.evaluation import play
from rlhf_gym.reward_report import ROWS, Row, assess, judge_run, map_figure, maps, reliability_figure
from rlhf_gym.reward_report.assess import judging_of
from rlhf_gym.reward_report.policies import SOURCES, fresh_trajectories
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.saved_policy import saved_policy


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A short run, taught by a goal."""
    place = tmp_path_factory.mktemp("runs") / "short"
    config = RLHFConfig.for_env(
        "CartPole-v1",
        run_dir=str(place),
        labels=8,
        total_timesteps=1024,
        segment_length=10,
        query={"rounds": 2, "warm_up_steps": 256},
        agent={"options": {"n_steps": 32}},
        feedback={"goal": "cart_pole_hold_at_one"},
        evaluation={"n_episodes": 1},
    )
    rlhf = RLHF(config)
    rlhf.learn()
    rlhf.close()
    return place


@pytest.fixture(scope="module")
def judged(run_dir):
    return judge_run(run_dir, n_episodes=3)


@pytest.fixture(scope="module")
def report(judged):
    return assess(judged)


def test_each_policy_is_judged_apart_and_all_together(judged, report):
    assert list(judged.judged) == [*SOURCES, "all"]
    assert [source.n_episodes for source in report.sources] == [3, 3, 3, 3, 12]
    assert report.sources[-1].n_steps == sum(source.n_steps for source in report.sources[:-1])


def test_the_true_reward_is_the_goals(judged):
    one = judged.judged["random"].trajectories[0]
    held = np.exp(-2 * np.abs(one.observations[1:, 0] - 1))
    np.testing.assert_allclose(judged.judged["random"].true[0], held, rtol=1e-5)
    assert judged.judged["all"].true_explained == 1


def test_learned_rewards_are_those_that_are_paid_and_the_members_those_of_the_likelihood(run_dir, judged):
    model, one = RewardModel.load(run_dir / "reward_model"), judged.judged["policy"].trajectories[0]
    steps = one.observations[:-1], one.actions, one.observations[1:]
    np.testing.assert_allclose(judged.judged["policy"].learned[0], model.reward_function()(*steps), rtol=1e-6)
    members = model(model.encode(*steps)).detach().numpy()
    np.testing.assert_allclose(judged.judged["policy"].members[0], members, rtol=1e-5, atol=1e-7)


def test_weights_that_are_no_numbers_are_told_of_and_not_what_they_lead_to(run_dir, tmp_path):
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    config = RLHFConfig.from_run(run / "config.yaml")
    file = run / "reward_model" / "model.safetensors"
    save_file({name: np.full_like(array, np.nan) for name, array in load_file(file).items()}, file)
    with pytest.raises(BadInput, match="the weights in .*reward_model are nan or infinite; bring it back"):
        judging_of(run, config)
    with closing(RLHF.load(run_dir)) as rlhf:
        with torch.no_grad():
            rlhf.agent.sb3.policy.action_net.bias[0] = np.nan
        rlhf.agent.save(run / "policy.zip")
    with pytest.raises(BadInput, match=r"the weights in .*policy\.zip are nan or infinite; bring it back"):
        saved_policy(run, config)


def test_held_out_segments_are_not_among_the_labelled_ones(tmp_path):
    query = {"rounds": 2, "warm_up_steps": 512, "heldout": 0.25}
    config = RLHFConfig.for_env("CartPole-v1", labels=8, seed=1, run_dir=str(tmp_path / "run"), query=query)
    with closing(RLHF(config.replace(total_timesteps=2600, evaluation={"n_episodes": 1}))) as rlhf:
        rlhf.learn()
        fitted = {option for choice in rlhf.answers.choices for option in choice.options}
        held = {option for preference in rlhf.answers.heldout for option in preference.query.options} - fitted
    judging = judging_of(tmp_path / "run", config)
    assert judging.labels == 8 and held
    found = {segment.observations.tobytes() for segment in judging.labelled}
    assert found == {segment.observations.tobytes() for segment in fitted}


def test_labelled_segments_are_what_was_asked_about(judged):
    labelled = judged.judged["policy"].labelled
    assert judged.labels == 8 and 2 <= len(labelled) <= 16
    assert all(one.shape[1] == 4 and len(one) <= 10 for one in labelled)  # the preset leaves actions out


def test_the_untrained_policy_is_the_one_that_the_run_began_with(run_dir):
    config = RLHFConfig.from_yaml(run_dir / "config.yaml")
    played = fresh_trajectories(run_dir, config, n_episodes=1, seed=0)["untrained"]
    fresh = RLHF(config.replace(run_dir=None, seed=config.seed))
    seed = int(np.random.SeedSequence(0).generate_state(4)[2])
    fresh.agent.sb3.set_random_seed(0)
    again = play(lambda seen: fresh.predict(seen, deterministic=False), "CartPole-v1", n_episodes=1, seed=seed)
    np.testing.assert_array_equal(played[0].observations, again[0].observations)
    fresh.close()


def test_the_same_seed_plays_the_same_and_another_plays_others(run_dir):
    config = RLHFConfig.from_yaml(run_dir / "config.yaml")
    one, same, other = (fresh_trajectories(run_dir, config, n_episodes=2, seed=seed) for seed in (0, 0, 1))
    for name in SOURCES:
        for a, b, c in zip(one[name], same[name], other[name], strict=True):
            np.testing.assert_array_equal(a.actions, b.actions)
            assert a.observations[0].tolist() == b.observations[0].tolist() != c.observations[0].tolist()


def test_every_figure_is_a_number_or_has_its_reason(report):
    for source in report.sources:
        assert list(source.figures) == [row.key for row in ROWS]
        assert all((figure.value is None) == bool(figure.why) for figure in source.figures.values())
    assert [figure for figure in report.sources[-1].figures.values() if figure.value is None] == []


def test_json_has_each_figure_by_policy_and_the_reasons_of_those_that_are_missing(judged):
    report = assess(judged, [*ROWS, Row("mine", "disagreement", {"where": "inside"})])
    alone = judged.judged["policy"]
    alone = dataclasses.replace(alone, members=[one[:1] for one in alone.members])
    told = assess(dataclasses.replace(judged, judged={**judged.judged, "policy": alone})).to_json()["sources"]["policy"]
    assert told["metrics"]["disagreement"] is None
    assert told["untold"]["disagreement"].startswith("disagreement needs at least 2 members and got 1")
    assert 0 <= told["metrics"]["gap_accuracy_quarter_1"] <= 1
    assert json.loads(json.dumps(report.to_json()))["sources"]["all"]["n_episodes"] == 12


def test_the_table_has_a_line_for_each_row_and_says_once_why_a_figure_is_missing(report):
    missing = report.sources[0].figures | {
        "epic": report.sources[0].figures["epic"]._replace(value=None, why="too dark"),
        "dard": report.sources[0].figures["dard"]._replace(value=None, why="too dark"),
    }
    lines = list(dataclasses.replace(report, sources=[dataclasses.replace(report.sources[0], figures=missing)]).lines())
    assert lines[0] == "CartPole-v1: the learned reward of 8 answers of oracle, on fresh trajectories"
    absent = [line for line in lines if line.startswith(("EPIC", "DARD"))]
    assert absent == [f"{name:<31}{'-':>11}" for name in ("EPIC distance", "DARD distance")]
    assert lines.count(f"- too dark ({report.sources[0].name}): no EPIC distance; DARD distance") == 1
    assert "true reward: goal cart_pole_hold_at_one" in lines
    assert sum(any(line.startswith(row.title) for row in ROWS) for line in lines) == len(ROWS)


def test_a_linear_models_largest_weights_are_told_by_name(judged, monkeypatch):
    def weights_by_name(model, observations, actions):
        return [(name, 0.1 * i - 0.25, 0.01) for i, name in enumerate([*observations, *actions] * 2)]

    monkeypatch.setattr(RewardModel, "weights_by_name", weights_by_name, raising=False)
    report = assess(judged, [])
    assert len(report.weights) == 10 and report.weights[0] == ("right", pytest.approx(0.85), 0.01)
    assert "    +0.850 ± 0.010  right" in list(report.lines())
    monkeypatch.setattr(RewardModel, "weights_by_name", lambda *_: None, raising=False)
    assert assess(judged, []).weights == []


def test_the_reliability_plot_has_a_line_for_each_policy(judged, tmp_path):
    figure = reliability_figure(judged, tmp_path / "reliability.png")
    named = [text.get_text().partition("\n")[0] for text in figure.legends[0].get_texts()]
    assert named == [*SOURCES, "all"]
    assert all(len(line.get_xdata()) == 10 for line in figure.axes[0].lines[1:])
    with Image.open(tmp_path / "reliability.png") as picture:
        assert picture.width == 1050


def test_a_map_shows_what_the_model_pays_at_each_place(judged, tmp_path):
    figure = map_figure(judged, "cart position", "2", tmp_path / "map.png")
    learned, true = (ax.images[0] for ax in figure.axes[:2])
    assert [ax.get_xlabel() for ax in figure.axes[:2]] == ["cart position"] * 2
    assert figure.axes[0].get_ylabel() == "pole angle"
    left, right, low, _ = learned.get_extent()
    whole = judged.judged["all"]
    corner = np.median(whole.steps[0], axis=0)
    corner[0], corner[2] = right, low
    usual = np.bincount(whole.steps[1]).argmax()
    paid = whole.learned_function(corner[None], np.array([usual]), corner[None])
    assert learned.get_array()[0, -1] == pytest.approx(paid[0], rel=1e-4)
    places = np.linspace(left, right, true.get_array().shape[1])
    np.testing.assert_allclose(true.get_array()[5], np.exp(-2 * np.abs(places - 1)), rtol=1e-4)  # whatever the angle


def test_a_map_without_a_true_reward_says_why(judged):
    whole = judged.judged["all"]
    flat = dataclasses.replace(whole, true=[np.ones_like(one) for one in whole.true])
    figure = map_figure(dataclasses.replace(judged, judged={**judged.judged, "all": flat}), "0", "2")
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.images] == ["learned reward"]
    assert "the true reward is 1 on every step" in figure.get_supxlabel()


def test_a_map_of_a_nearly_constant_reward_is_of_one_colour(judged, monkeypatch):
    monkeypatch.setattr(maps, "_rewards", lambda *_: 1 + 1e-5 * np.eye(maps.SIDE))
    figure = map_figure(judged, "cart position", "2")
    drawn = figure.axes[0].images[0]
    assert figure.axes[0].get_title(loc="left") == "learned reward, nearly constant"
    assert drawn.norm.vmin == pytest.approx(0.995, abs=1e-4) and drawn.norm.vmax == pytest.approx(1.005, abs=1e-4)


def test_a_map_of_what_never_changes_is_refused(judged):
    whole = judged.judged["all"]
    still = [dataclasses.replace(t, observations=t.observations * [1, 1, 0, 1] + 0.0) for t in whole.trajectories]
    with pytest.raises(ValueError, match="map got pole angle, which stays at 0 on these trajectories"):
        map_figure(
            dataclasses.replace(judged, judged={"all": dataclasses.replace(whole, trajectories=still)}), "0", "2"
        )


def test_the_command_line_tells_all_of_it(run_dir, tmp_path, capsys):
    out = tmp_path / "figures"
    words = f"evaluate {run_dir} --reward --n-episodes 2 --output {out} --map 0".split()
    assert cli.main([*words, "pole angle"]) == 0
    said = capsys.readouterr().out
    assert "pair accuracy, held out" in said and said.endswith(f"wrote {out}/map.png\nwrote {out}/reliability.png\n")
    assert {file.name for file in out.iterdir()} == {"map.png", "reliability.png"}


def test_the_command_line_writes_nothing_unasked(run_dir, capsys):
    before = sorted(run_dir.rglob("*"))
    assert cli.main(["evaluate", str(run_dir), "--reward", "--n-episodes", "1", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["sources"]) == [*SOURCES, "all"]
    assert sorted(run_dir.rglob("*")) == before


def test_a_run_without_a_reward_model_is_refused(run_dir, tmp_path, capsys):
    shutil.copytree(run_dir, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "reward_model")
    for words in (["--reward"], ["--metrics", "epic"]):
        assert cli.main(["evaluate", str(tmp_path / "run"), "--n-episodes", "1", *words]) == 2
        assert "run holds no reward model; use the directory of a whole run" in capsys.readouterr().err


def test_a_run_that_learned_no_reward_is_refused(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "run")
    config = RLHFConfig.from_run(run_dir / "config.yaml").replace(reward={"source": "constant"})
    config.to_yaml(tmp_path / "run" / "config.yaml")
    with pytest.raises(BadInput, match="was paid reward.source constant, which isn't learned"):
        judge_run(tmp_path / "run", n_episodes=1)


def test_a_run_whose_answers_are_gone_is_refused(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / "preferences.db").unlink()
    (tmp_path / "run" / "preferences.db-wal").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"holds no finished run \(preferences|isn't there; bring it back"):
        judge_run(tmp_path / "run", n_episodes=1)

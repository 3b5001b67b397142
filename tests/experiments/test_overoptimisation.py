"""Over-optimisation: divergence, signals and rules by hand, and the page that is made of the looks."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy

from experiments.measurements.overoptimisation.__main__ import main
from experiments.measurements.overoptimisation.curves import curves_of, distance, ends_of, gold
from experiments.measurements.overoptimisation.drawing import draw
from experiments.measurements.overoptimisation.figures import Watch, gold_returns, mean_kl, proxy_returns
from experiments.measurements.overoptimisation.page import kept_by_rule, page, verdict
from experiments.measurements.overoptimisation.stopping import (
    RULES,
    at_the_best,
    at_the_end,
    before_accuracy,
    before_disagreement,
    before_divergence,
    kept,
    least_convinced,
)
from experiments.measurements.overoptimisation.tasks import BUDGETS, LOOKS, TASKS, TRUE, Job, fresh_config, jobs
from rlhf_gym.agents.reference import Closeness, Reference
from rlhf_gym.rewards import RewardModel
from rlhf_gym.segments import Ending, Trajectory
from rlhf_gym.sweeps.records import read_rows

BOX, TWO = spaces.Box(-10, 10, (1,)), spaces.Box(-1, 1, (2,))


def line(places, actions=None, rewards=None):
    """An episode on a line."""
    n = len(places) - 1
    actions = np.zeros(n, np.int64) if actions is None else actions
    rewards = np.zeros(n) if rewards is None else np.array(rewards, float)
    return Trajectory(np.array(places, np.float32)[:, None], actions, rewards, Ending.TRUNCATED)


def policy(actions, weight, bias):
    """A policy whose logits or means are weight * observation + bias."""
    made = ActorCriticPolicy(BOX, actions, lambda _: 0.0, net_arch=[])
    made.action_net.weight.data = torch.tensor(weight, dtype=torch.float32)[:, None]
    made.action_net.bias.data = torch.tensor(bias, dtype=torch.float32)
    return made


def test_the_divergence_of_two_choices_is_that_of_their_probabilities_where_the_policy_has_been():
    # At 0 both choose evenly. At 1 the logits are (log 3, 0): three in four, against one in two.
    now = policy(spaces.Discrete(2), [math.log(3), 0.0], [0.0, 0.0])
    start = Reference(policy(spaces.Discrete(2), [0.0, 0.0], [0.0, 0.0]), Closeness())
    at_one = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert mean_kl(now, start, [line([0, 1, 9])]) == pytest.approx(at_one / 2, rel=1e-5)  # none is acted in at 9
    assert mean_kl(now, start, [line([1, 1]), line([1, 0])]) == pytest.approx(at_one, rel=1e-5)
    assert mean_kl(start.policy, start, [line([0, 1])]) == 0


def test_the_divergence_of_gaussians_is_summed_over_the_dimensions_of_an_action():
    now, start = policy(TWO, [1.0, 0.0], [0.0, 0.0]), policy(TWO, [0.0, 0.0], [0.0, 0.0])
    now.log_std.data = torch.tensor([0.0, math.log(2)])
    # Means 3 and 0 apart at 3, standard deviations 1 and 1, and 2 and 1: 9 / 2, and (4 - 1) / 2 - log 2.
    expected = 4.5 + 1.5 - math.log(2)
    steps = [line([3, 0], np.zeros((1, 2), np.float32))]
    assert mean_kl(now, Reference(start, Closeness()), steps) == pytest.approx(expected, rel=1e-5)


def test_the_start_stays_what_it_was_while_the_policy_changes():
    now = policy(spaces.Discrete(2), [0.0, 0.0], [0.0, 0.0])
    start = Reference(now, Closeness())
    now.action_net.bias.data[0] = math.log(3)
    assert mean_kl(now, start, [line([0, 1])]) > 0.1


def linear_model(weights):
    """A model whose members reward where a step begins, by a weight each."""
    model = RewardModel(BOX, spaces.Discrete(2), ensemble_size=len(weights), inputs="observation", hidden=())
    state = model.state_dict()
    for name, value in state.items():
        if name.startswith("ensemble"):
            value.zero_()
        if name.startswith("ensemble.weights"):
            value += torch.tensor(weights, dtype=torch.float32)[:, None, None]
    model.load_state_dict(state)
    return model


def test_disagreement_is_a_multiple_of_that_over_the_labelled_steps():
    # Members pay x and 3 x. About their means over the labelled steps, at -1 and 1, they are -1 and 1, -3 and 3: their
    # standard deviation is 1 at either. At 2 and 4 it is 2 and 4.
    watch = Watch(linear_model([1.0, 3.0]), [line([-1, 1, 0])], None, length=1)
    found = watch.signals([line([2, 4, 0], rewards=[1, 2])], np.random.default_rng(0), n_queries=1)
    assert found.disagreement == pytest.approx(3)
    assert found.least == pytest.approx(6)  # 2 + 4, by the first
    assert found.accuracy == 1


def test_accuracy_is_one_where_the_learned_reward_orders_as_the_true_one_and_zero_where_the_other_way_round():
    watch = Watch(linear_model([1.0, 1.5]), [line([-1, 1, 0])], None, length=1)
    rng = np.random.default_rng(0)
    right, wrong = (line([1, 2, 3, 4, 0], rewards=rewards) for rewards in ([1, 2, 3, 4], [4, 3, 2, 1]))
    assert watch.signals([right], rng, n_queries=6).accuracy == 1
    assert watch.signals([wrong], rng, n_queries=6).accuracy == 0
    ties = watch.signals([line([1, 2, 3, 4, 0], rewards=[1, 1, 1, 1])], rng, n_queries=6)
    assert math.isnan(ties.accuracy)


def test_returns_are_sums_over_each_episode_of_the_true_reward_the_goal_or_the_learned_one():
    episodes = [line([1, 2, 3], rewards=[1, 2]), line([4, 5], rewards=[5])]
    assert gold_returns(episodes, None).tolist() == [3, 5]
    assert gold_returns(episodes, lambda observations, *_: observations[:, 0]).tolist() == [3, 4]
    assert proxy_returns(episodes, lambda observations, *_: 2 * observations[:, 0]).tolist() == [6, 8]


def curve(gold, proxy=None, again=None, **columns):
    """The looks at a policy that rises and falls; what isn't given says nothing."""
    n = len(gold)
    columns = {"kl": [0.0] * n, "accuracy": [1.0] * n, "disagreement": [1.0] * n, "least": [0.0] * n, **columns}
    columns |= {"gold": gold, "gold_again": again or gold, "proxy": proxy or list(range(n))}
    return [dict(zip(columns, looks, strict=True)) for looks in zip(*columns.values(), strict=True)]


RISES_AND_FALLS = [0, 5, 10, 6, 2]


def test_the_end_and_the_best_are_where_they_are():
    assert at_the_end(curve(RISES_AND_FALLS)) == 4 and at_the_best(curve(RISES_AND_FALLS)) == 2


def test_one_goes_back_to_before_members_disagreed_too_much_and_nowhere_if_they_never_did():
    made = curve(RISES_AND_FALLS, disagreement=[1, 1.2, 1.5, 1.6, 1.1])
    assert [before_disagreement(most)(made) for most in (1.1, 1.5, 2)] == [0, 2, 4]
    assert before_disagreement(0.5)(made) == 0  # there is no look before the first


def test_wrong_answers_count_only_where_the_learned_return_is_as_high_as_ever():
    made = curve(RISES_AND_FALLS, proxy=[0, 3, 2, 4, 5], accuracy=[0.9, 0.6, 0.4, 0.6, 0.4])
    assert before_accuracy(0.5)(made) == 3
    assert before_accuracy(0.7)(made) == 0 and before_accuracy(0.3)(made) == 4


def test_the_axis_and_the_rule_by_divergence_take_its_root():
    made = curve(RISES_AND_FALLS, kl=[0, 0.04, 0.16, 0.36, 1])
    assert distance([made]).tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 1])
    assert before_divergence(0.5)(made) == 2
    other = curve(RISES_AND_FALLS, kl=[0, 0.16, 0.16, 0.16, 4])
    assert distance([made, other]).tolist() == pytest.approx([0, 0.3, 0.4, 0.5, 1.5])


def test_the_least_convinced_member_is_followed_for_as_long_as_it_gains():
    assert least_convinced(curve(RISES_AND_FALLS, least=[0, 2, 3, 1, 2])) == 2


def test_what_is_kept_is_a_share_of_the_best_measured_in_other_episodes_than_those_that_chose_it():
    made = curve(RISES_AND_FALLS, again=[1, 4, 9, 11, 5])  # the best is chosen at 2: 9 - 1
    assert kept([made], at_the_best) == 1
    assert kept([made], at_the_end) == pytest.approx(4 / 8)
    assert kept([made, curve([0, 12])], at_the_end) == pytest.approx((4 + 12) / (8 + 12))
    assert math.isnan(kept([curve([3, 1])], at_the_end))


MADE = dict.fromkeys(("machine", "commit", "python", "versions", "date"), "x")


def rows_of(labels, *curves):
    return [
        {"task": "pendulum", "labels": labels, "seed": str(seed), "look": str(at)} | {k: str(v) for k, v in row.items()}
        for seed, looks in enumerate(curves)
        for at, row in enumerate(looks)
    ]


def test_rows_become_curves_whatever_their_order_and_a_share_is_of_the_best_that_anything_reached():
    rows = rows_of("10", curve([0, 4, 2]), curve([2, 6, 4])) + rows_of(TRUE, curve([1, 9]))
    curves = curves_of(rows[::-1])
    assert gold(curves["pendulum", "10"]).tolist() == [1, 5, 3]
    assert ends_of("pendulum", curves) == (1, 9)


def test_the_page_names_every_rule_with_its_shares_and_the_figure_is_drawn(tmp_path):
    kl = [0, 0.04, 0.16, 0.36, 1]
    rows = rows_of("10", curve(RISES_AND_FALLS, kl=kl), curve(RISES_AND_FALLS, kl=kl)) + rows_of(TRUE, curve([0, 10]))
    curves = curves_of(rows)
    text = page([MADE], curves, "python -m experiments.measurements.overoptimisation")
    assert "| Pendulum-v1 | 10 | 2 | 0.0 | 10.0 | 0.20 |" in text  # at the end 2 of 10 are left
    assert all(title in text for name, (title, _) in RULES.items() if name != "best")
    draw("pendulum", curves, tmp_path / "pendulum.png")
    assert (tmp_path / "pendulum.png").stat().st_size > 10_000


def test_the_verdict_is_by_the_worst_case_and_says_so_where_no_rule_is_better_than_the_end():
    shares = kept_by_rule(curves_of(rows_of("10", curve(RISES_AND_FALLS, kl=[0, 0.04, 0.16, 0.36, 1]))))
    assert "keeps 0.20 of the gain. Of 6 rules, *before sqrt(KL) is 0.5* has the best worst case, 1.00" in verdict(
        shares
    )
    risen = kept_by_rule(curves_of(rows_of("10", curve([0, 5, 10], least=[0, 1, 0]))))
    assert "keeps 1.00 of the gain; no rule does better" in verdict(risen)
    ((case, kept),) = shares.items()
    both = {case: kept, ("another", "10"): dict.fromkeys(kept, math.nan)}
    assert verdict(both) == verdict(shares)
    assert verdict(shares).startswith("**In the worst of 1 case, on 1 task,")
    assert verdict(both | {("another", "20"): kept}).startswith("**In the worst of 2 cases, on 2 tasks,")


def test_every_task_has_each_budget_and_the_true_reward_beside_it():
    listed = jobs(["pendulum", "hold_at_one"], [0, 1])
    assert len(listed) == len({tuple(job.key.items()) for job in listed}) == 2 * 2 * (len(BUDGETS) + 1)
    config = fresh_config(Job("hold_at_one", "10", 3), "somewhere", 50_000)
    assert config.reward.source_options == {"path": "somewhere"} and config.query.rounds == LOOKS
    assert fresh_config(Job("hold_at_one", TRUE, 3), "", 50_000).reward.source == "true"


@pytest.mark.slow
def test_a_run_leaves_a_row_for_each_look_and_isn_t_done_twice(tmp_path, monkeypatch, capsys):
    module = "experiments.measurements.overoptimisation"
    monkeypatch.setattr(f"{module}.tasks.LOOKS", 2)
    monkeypatch.setattr(f"{module}.tasks.GATHERING_ROUNDS", 2)
    monkeypatch.setattr(f"{module}.runs.EPISODES", 2)
    monkeypatch.setitem(TASKS, "hold_at_one", replace(TASKS["hold_at_one"], gathering=3072))
    monkeypatch.setattr(f"{module}.__main__.jobs", lambda *_: [Job("hold_at_one", "10", 0)])
    for _ in range(2):
        assert main(seeds=(0,), tasks=("hold_at_one",), steps=2048, results_dir=tmp_path) == 0
    assert capsys.readouterr().out.count("true return") == 1
    looks = curves_of(read_rows(tmp_path / "curves.csv"))["hold_at_one", "10"][0]
    assert [look["env_steps"] for look in looks] == [0, 1024, 2048]
    assert looks[0]["kl"] == 0 < looks[-1]["kl"] and all(0 <= look["accuracy"] <= 1 for look in looks)
    assert (tmp_path / "hold_at_one.png").exists() and "| CartPole-v1 at x = +1 | 10 | 1 |" in (
        tmp_path / "README.md"
    ).read_text()
    assert main(tasks=("pendulun",), results_dir=tmp_path) == 2

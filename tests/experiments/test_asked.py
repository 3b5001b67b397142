import pytest

from experiments.harness.asked import Alike, Ratio, Reaches, Seeds, listed
from experiments.harness.parts import Scale
from experiments.harness.settings import Bound, Setting

HELD = (Bound("length", least=475), Bound("distance", most=0.25))
SETTINGS = {
    name: Setting(name.capitalize(), {}, seeds=(0, 1, 2), threshold=HELD)
    for name in ("ours", "ceiling", "scaled", "control", "floor")
}
SCALE = Scale(("ceiling", "scaled"), "floor")


def runs(*returns):
    return [{"true_return_mean": str(value)} for value in returns]


def held(*pairs):
    return [{"length": str(length), "distance": str(distance)} for length, distance in pairs]


def test_a_seed_is_over_the_threshold_when_every_bound_holds():
    seeds = held((475, 0.25), (500, 0.26), (474, 0.0))
    assert [SETTINGS["ours"].reached(run) for run in seeds] == [True, False, False]


def test_a_seed_without_the_figure_is_not_over_the_threshold():
    assert not SETTINGS["ours"].reached({"length": "500", "distance": ""})
    assert not SETTINGS["ours"].reached({"length": "500"})


def test_nan_is_not_over_the_threshold():
    assert not Bound("length", least=0).holds({"length": "nan"})


def test_enough_seeds_pass_and_too_few_fall_short():
    seeds = {"ours": held((500, 0.1), (500, 0.2), (9, 0.9))}
    verdict = Seeds("ours", least=2).judge(SETTINGS, seeds)
    assert verdict.asked == "Ours (`ours`): length ≥ 475 and distance ≤ 0.25 on at least 2 of 3 seeds"
    assert (verdict.reached, verdict.passed) == ("2 of 3", True)
    assert Seeds("ours", least=3).judge(SETTINGS, seeds).passed is False


def test_a_control_that_must_miss_falls_short_when_a_seed_reaches_it():
    hit, missed = held((500, 0.1)), held((9, 0.9))
    assert Seeds("control", most=0).judge(SETTINGS, {"control": missed * 3}).passed is True
    assert Seeds("control", most=0).judge(SETTINGS, {"control": missed * 2 + hit}).passed is False


def test_nothing_is_judged_while_runs_are_missing():
    asked = [Seeds("ours", least=1), Ratio("ours", SCALE, least=0.5), Alike("ours", "ceiling", margin=9)]
    asked += [Ratio("ours", SCALE, least=0.5, worst=True), Reaches("ours", least=1)]
    few = {"ours": [{"true_return_mean": "5", "length": "500", "distance": "0"}], "ceiling": runs(5, 5, 5)}
    few |= {"floor": runs(0, 0, 0)}
    assert [a.judge(SETTINGS, few).passed for a in asked] == [None] * 5
    assert [a.judge(SETTINGS, {}).reached for a in asked] == ["not run"] * 5


def ends(ours, *, ceiling=(100, 100, 100), floor=(0, 0, 0), **more):
    found = {"ours": ours, "ceiling": ceiling, "scaled": floor, "floor": floor, **more}
    return {name: runs(*values) for name, values in found.items()}


def test_a_ratio_is_a_part_of_the_gain_over_the_floor():
    # (-10 - -45) / (-5 - -45) = 35 / 40, on every seed, so that the interval is that figure.
    reacher = ends([-10] * 3, ceiling=[-5] * 3, floor=[-45] * 3)
    verdict = Ratio("ours", SCALE, least=0.9).judge(SETTINGS, reacher)
    assert verdict.asked == "Ours (`ours`): ≥ 0.9 of the gain over Floor of Ceiling"
    assert (verdict.reached, verdict.passed) == ("0.88 (0.88 to 0.88): -10.0, between -45.0 and -5.0", False)
    assert Ratio("ours", SCALE, least=0.85).judge(SETTINGS, reacher).passed is True


def test_a_part_is_of_what_the_better_ppo_gained():
    # 90 of 100 would do; of 120 it is 0.75.
    settings = ends([90] * 3, scaled=[120] * 3)
    verdict = Ratio("ours", SCALE, least=0.9).judge(SETTINGS, settings)
    assert (verdict.reached, verdict.passed) == ("0.75 (0.75 to 0.75): 90.0, between 0.0 and 120.0", False)
    assert verdict.asked.endswith("of Scaled")


@pytest.mark.parametrize("scaled", [(), (10, 10)])
def test_a_part_passes_only_when_every_ppo_that_could_be_better_has_run(scaled):
    verdict = Ratio("ours", SCALE, least=0.5).judge(SETTINGS, ends([90] * 3, scaled=scaled))
    assert verdict.passed is None and verdict.reached.startswith("0.90")


def test_a_ratio_passes_only_if_the_lower_end_of_its_interval_does():
    # Mean 0.9; a sample of nothing but the lowest seed, 0.8, has a chance of 1 in 27, more than the tail of 1 in 40.
    found = ends([80, 90, 100])
    assert Ratio("ours", SCALE, least=0.9).judge(SETTINGS, found).passed is False
    assert Ratio("ours", SCALE, least=0.8).judge(SETTINGS, found).passed is True


def test_the_interval_counts_what_is_uncertain_in_ppo_and_in_the_floor():
    certain = Ratio("ours", SCALE, least=1).judge(SETTINGS, ends([100] * 3))
    of_ppo = Ratio("ours", SCALE, least=1).judge(SETTINGS, ends([100] * 3, ceiling=[80, 100, 120]))
    of_floor = Ratio("ours", SCALE, least=0.5).judge(SETTINGS, ends([50] * 3, floor=[-30, 0, 30]))
    assert (certain.passed, of_ppo.passed, of_floor.passed) == (True, False, False)


def test_four_seeds_have_an_interquartile_mean_with_an_interval_and_three_a_mean_with_a_range():
    assert str(SCALE.part("ours", ends([0, 60, 80, 500]))).startswith("0.70 [")  # of the middle two
    assert str(SCALE.part("ours", ends([0, 60, 90]))) == "0.50 (0.00 to 0.90)"


def test_nothing_is_a_part_where_ppo_gained_nothing():
    verdict = Ratio("ours", SCALE, least=0).judge(SETTINGS, ends([5] * 3, ceiling=[0] * 3, floor=[1] * 3))
    assert (verdict.reached, verdict.passed) == ("PPO gained nothing over the untrained policy", None)


def test_the_worst_seed_is_asked_for_by_itself():
    found = ends([100, 100, 40])
    verdict = Ratio("ours", SCALE, least=0.5, worst=True).judge(SETTINGS, found)
    assert verdict.asked == "Ours (`ours`), the worst of 3 seeds: ≥ 0.5 of the gain over Floor of Ceiling"
    assert (verdict.reached, verdict.passed) == ("0.40: 40.0, between 0.0 and 100.0", False)
    assert Ratio("ours", SCALE, least=0.4, worst=True).judge(SETTINGS, found).passed is True


def test_a_scale_may_measure_something_other_than_the_true_return():
    found = {name: [{"metres": str(value)}] * 3 for name, value in (("ours", 3), ("ceiling", 5), ("floor", 1))}
    assert Scale(("ceiling",), "floor", "metres").part("ours", found).middle == 0.5


def test_a_figure_is_reached_by_the_lower_end_of_the_interval_over_all_seeds():
    asked = Reaches("ours", least=-180)
    assert asked.judge(SETTINGS, {"ours": runs(-160, -170, -180)}).passed is True
    assert asked.judge(SETTINGS, {"ours": runs(-150, -160, -181)}).passed is False
    assert asked.judge(SETTINGS, {"ours": runs(-171, -180, -190)}).reached == "-180.3 (-190.0 to -171.0)"
    assert asked.judge(SETTINGS, {"ours": runs(-100)}).passed is None


def test_names_are_listed_as_in_a_sentence():
    some = ([], ["a"], ["a", "b"], ["a", "b", "c"])
    assert [listed(names) for names in some] == ["none", "a", "a and b", "a, b and c"]


FIVE = {name: Setting(name.capitalize(), {}, seeds=(0, 1, 2, 3, 4)) for name in ("ours", "control")}


@pytest.mark.parametrize(("control", "passed"), [([9] * 5, True), ([11] * 5, True), ([12] * 5, False)])
def test_alike_means_that_the_whole_interval_of_the_difference_is_within_the_margin(control, passed):
    found = {"control": runs(*control), "ours": runs(*[9] * 5)}
    assert Alike("control", "ours", margin=2).judge(FIVE, found).passed is passed


def test_a_difference_that_is_uncertain_is_not_alike():
    found = {"control": runs(*[9] * 5), "ours": runs(0, 9, 9, 9, 60)}
    verdict = Alike("control", "ours", margin=2).judge(FIVE, found)
    assert verdict.passed is False and verdict.reached.startswith("9.0 to 9.0, difference [")
    assert verdict.reached.endswith("probability of improvement 0.50")


def test_fewer_than_five_seeds_are_never_called_alike():
    verdict = Alike("control", "ours", margin=9).judge(SETTINGS, {"control": runs(9, 9, 9), "ours": runs(9, 9, 9)})
    assert verdict.passed is None

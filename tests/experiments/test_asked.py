from experiments.harness.asked import Alike, Ratio, Reaches, Seeds, listed
from experiments.harness.settings import Bound, Setting

HELD = (Bound("length", least=475), Bound("distance", most=0.25))
SETTINGS = {
    name: Setting(name.capitalize(), {}, seeds=(0, 1, 2), threshold=HELD) for name in ("ours", "ceiling", "control")
}


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
    asked = [Seeds("ours", least=1), Ratio("ours", "ceiling", least=0.5), Alike("ours", "ceiling")]
    few = {"ours": [{"true_return_mean": "5", "length": "500", "distance": "0"}], "ceiling": runs(5, 5, 5)}
    assert [a.judge(SETTINGS, few).passed for a in asked] == [None] * 3
    assert [a.judge(SETTINGS, {}).reached for a in asked] == ["not run"] * 3


def test_ratio_is_of_interquartile_means():
    verdict = Ratio("ours", "ceiling", least=0.9).judge(
        SETTINGS, {"ours": runs(80, 90, 100), "ceiling": runs(*[100] * 3)}
    )
    assert (verdict.reached, verdict.passed) == ("0.90: 90.0 of 100.0", True)
    verdict = Ratio("ours", "ceiling", least=0.9).judge(
        SETTINGS, {"ours": runs(80, 89, 100), "ceiling": runs(*[100] * 3)}
    )
    assert verdict.passed is False


def test_a_figure_is_reached_by_the_interquartile_mean_of_all_seeds():
    asked = Reaches("ours", least=-180)
    assert asked.judge(SETTINGS, {"ours": runs(-170, -180, -190)}).passed is True
    assert asked.judge(SETTINGS, {"ours": runs(-171, -180, -190)}).reached == "-180.3"
    assert asked.judge(SETTINGS, {"ours": runs(-171, -180, -190)}).passed is False
    assert asked.judge(SETTINGS, {"ours": runs(-100)}).passed is None


def test_above_a_floor_the_ratio_is_of_what_was_gained():
    reacher = {"ours": runs(-10, -10, -10), "ceiling": runs(-5, -5, -5), "control": runs(-45, -45, -45)}
    verdict = Ratio("ours", "ceiling", least=0.9, floor="control").judge(SETTINGS, reacher)
    assert verdict.asked == "Ours (`ours`): ≥ 0.9 of the way from Control to Ceiling"
    assert (verdict.reached, verdict.passed) == ("0.88: -10.0, between -45.0 and -5.0", False)
    verdict = Ratio("ours", "ceiling", least=0.85, floor="control").judge(SETTINGS, reacher)
    assert verdict.passed is True
    assert Ratio("ours", "ceiling", least=0, floor="control").judge(SETTINGS, reacher | {"control": []}).passed is None


def test_below_the_floor_words_say_so_instead_of_a_negative_ratio():
    reacher = {"ours": runs(-60, -60, -60), "ceiling": runs(-5, -5, -5), "control": runs(-45, -45, -45)}
    verdict = Ratio("ours", "ceiling", least=0.9, floor="control").judge(SETTINGS, reacher)
    assert (verdict.reached, verdict.passed) == ("worse than Control: -60.0 against -45.0", False)


def test_names_are_listed_as_in_a_sentence():
    some = ([], ["a"], ["a", "b"], ["a", "b", "c"])
    assert [listed(names) for names in some] == ["none", "a", "a and b", "a, b and c"]


def test_alike_means_that_the_intervals_overlap():
    same = Alike("control", "ours").judge(SETTINGS, {"control": runs(9, 9, 9), "ours": runs(8, 9, 10)})
    assert same.passed is True and same.reached.endswith("probability of improvement 0.50")
    other = Alike("control", "ours").judge(SETTINGS, {"control": runs(9, 9, 9), "ours": runs(20, 21, 22)})
    assert other.passed is False
    assert other.reached == "9.0 [9.0, 9.0] to 21.0 [20.0, 22.0]; probability of improvement 0.00"

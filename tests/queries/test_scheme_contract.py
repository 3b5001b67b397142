import numpy as np
import pytest

from rlhf_gym.contracts.schemes import check_scheme, check_value
from rlhf_gym.queries import by_value
from rlhf_gym.registry import SCHEMES, make


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "insertion"])  # which has no candidates
def test_every_registered_scheme_keeps_the_contract(name):
    check_scheme(make("query.scheme", name, {}))


@pytest.mark.parametrize("name", ["disagreement", "entropy", "mutual_information", "value_disagreement"])
def test_a_scheme_of_scores_values_a_candidate_by_itself(name):
    check_value(make("query.scheme", name, {}))


def test_a_scheme_of_features_keeps_the_contract():
    check_scheme(by_value(lambda candidates: candidates.features.std(axis=(1, 2))))


@pytest.mark.parametrize(
    ("scheme", "rule"),
    [
        (lambda c, n, rng: np.arange(n + 1), "as many are chosen as asked for"),
        (lambda c, n, rng: np.zeros(n, int), "no candidate is chosen twice"),
        (lambda c, n, rng: np.arange(n) * 1.0, "whole numbers"),
        (lambda c, n, rng: np.arange(n) - 1, "from 0 to N - 1"),
        (lambda c, n, rng: np.arange(n) + len(c), "from 0 to N - 1"),
        (lambda c, n, rng: (c.scores.sort(axis=1), np.arange(n))[1], "is not changed"),
        (lambda c, n, rng: np.random.default_rng().permutation(len(c))[:n], "the same generator"),
        (lambda c, n, rng: np.arange(n) if c.scores.any() else np.zeros(n, int), "all or nothing"),
    ],
)
def test_a_scheme_that_breaks_a_rule_is_told_which(scheme, rule):
    with pytest.raises(AssertionError, match=rule):
        check_scheme(scheme)


def test_certain_members_that_saturate_in_single_precision_are_noticed():
    # What passed a contract with doubles: the loop's float32 probabilities are exactly 1, and log(0) is no value.
    def entropy(candidates):
        p = candidates.probabilities.astype(np.float32).mean(axis=0)[:, 0].clip(1e-9, 1 - 1e-9)
        with np.errstate(divide="ignore", invalid="ignore"):
            return -(p * np.log(p) + (1 - p) * np.log(1 - p))

    with pytest.raises(ValueError, match="expected one finite number for each"):
        check_scheme(by_value(entropy))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (lambda c: np.arange(len(c)), "its own candidate alone"),
        (lambda c: c.scores[0, :, 0], "left and right are alike"),
    ],
)
def test_a_value_that_looks_elsewhere_is_told(value, rule):
    with pytest.raises(AssertionError, match=rule):
        check_value(by_value(value))

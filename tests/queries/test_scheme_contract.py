import numpy as np
import pytest

from rlhf_gym.contracts.schemes import check_selector
from rlhf_gym.queries import SELECTORS


@pytest.mark.parametrize("name", SELECTORS)
def test_every_selector_keeps_the_contract(name):
    check_selector(SELECTORS[name])


@pytest.mark.parametrize(
    ("selector", "rule"),
    [
        (lambda p: p.mean(), "one value a candidate"),
        (lambda p: np.full(p.shape[1], np.nan), "values are finite"),
        (lambda p: p.mean(axis=0), "left and right are alike"),
        (lambda p: np.arange(p.shape[1]), "its own candidate alone"),
        (lambda p: np.abs(p[0] - 0.5), "all members are alike"),
    ],
)
def test_a_selector_that_breaks_a_rule_is_told_which(selector, rule):
    with pytest.raises(AssertionError, match=rule):
        check_selector(selector)

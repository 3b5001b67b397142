"""Public names of 0.1.0: the same, elsewhere with a warning, or gone and named in the changelog."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from rlhf_gym.rlhf import RLHF

ROOT = Path(__file__).parents[2]
SAME = {
    "rlhf_gym": "RLHF Answer Preference Query RLHFConfig Round Segment Trajectory",
    "rlhf_gym.envs": "Episode FixedHorizon LearnedReward Recorder RewardFunction SeededEpisodes VecLearnedReward "
    "frames_per_second make_env make_vec_env replay write_clip",
    "rlhf_gym.queries": "apportion choose_queries christiano constant",
    "rlhf_gym.rewards": "Bootstrap RewardFit RewardLearner RewardModel fit_reward_model",
}
MOVED = {
    "rlhf_gym.feedback": "Counts Goal OracleTeacher PreferenceStore RandomTeacher Teacher goal_rewards load_goal",
    "rlhf_gym.feedback.contracts": "STORE_RULES TEACHER_RULES check_store check_teacher example_queries same_query",
}
GONE = {  # what has taken their place is called otherwise
    "rlhf_gym.agents": "improve make_ppo",
    "rlhf_gym.queries": "SCHEDULES SELECTORS disagreement sample_queries uniform",
    "rlhf_gym.rewards": "agreement preference_logits preference_loss",
}


def named(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(module, name) for module, names in table.items() for name in names.split()]


@pytest.mark.parametrize("module, name", named(SAME))
def test_what_0_1_0_gave_is_given_under_its_name(module: str, name: str) -> None:
    assert getattr(import_module(module), name)


@pytest.mark.parametrize("module, name", named(MOVED))
def test_what_has_moved_is_found_with_a_warning_that_says_where(module: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"^{module}\.{name} is (\S+) now; write that") as told:
        found = getattr(import_module(module), name)
    today = re.search(r" is (\S+) now", str(told[0].message)).group(1)  # type: ignore[union-attr]
    place, _, attribute = today.rpartition(".")
    assert found is getattr(import_module(place), attribute)
    assert told[0].filename == __file__  # where it has to be mended


@pytest.mark.parametrize("module, name", named(GONE))
def test_what_is_gone_is_named_in_the_changelog(module: str, name: str) -> None:
    assert not hasattr(import_module(module), name)
    assert f"`{name}`" in (ROOT / "CHANGELOG.md").read_text()


def test_a_name_that_never_was_is_refused_as_by_any_module() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Oracle'"):
        from rlhf_gym.feedback import Oracle  # type: ignore[attr-defined]  # noqa: F401


def test_judge_is_evaluate_with_a_warning() -> None:
    class Run:
        def evaluate(self) -> str:
            return "evaluated"

    with pytest.warns(DeprecationWarning, match="RLHF.judge is RLHF.evaluate now") as told:
        assert RLHF.judge(Run()) == "evaluated"  # type: ignore[arg-type]
    assert told[0].filename == __file__

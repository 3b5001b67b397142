"""A run directory, an export or a database from somebody else runs no code, until this user says so."""

import base64
import importlib
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from stable_baselines3 import PPO

from rlhf_gym import RLHF, RLHFConfig, cli
from rlhf_gym.agents import load_actor
from rlhf_gym.config.code import code_named
from rlhf_gym.contracts import example_queries
from rlhf_gym.envs import replay
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer
from rlhf_gym.rewards import RewardModel
from rlhf_gym.segments import Origin
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.exchange import export
from rlhf_gym.trust import check_trusted, digest, is_trusted, trust, trusting

SMALL: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "labels": 8,
    "total_timesteps": 456,  # 200 of warm-up, 2 rollouts of 128
    "segment_length": 10,
    "query": {"rounds": 2, "warm_up_steps": 200},
    "reward": {"network_options": {"hidden": [8]}, "steps": 2, "batch_size": 4},
    "agent": {"n_envs": 4, "net_arch": [8], "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 2},
}
RAN = "ran.txt"
MODULE = f"""
from pathlib import Path

import gymnasium

Path({RAN!r}).write_text("imported")
gymnasium.register("Evil-v0", entry_point="gymnasium.envs.classic_control.cartpole:CartPoleEnv", max_episode_steps=50)

def thing(*args, **kwargs):
    raise SystemExit("ran")
"""


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has run nothing so far."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RLHF_GYM_TRUST", raising=False)
    monkeypatch.setattr("rlhf_gym.trust._known", set())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short run."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    rlhf = RLHF(RLHFConfig.from_dict({**SMALL, "run_dir": str(run_dir)}))
    rlhf.learn()
    rlhf.close()
    return run_dir


@pytest.fixture
def received(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody: None) -> Iterator[Path]:
    """A run directory from somebody else, a module of theirs beside it, opened where both lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil_module.py").write_text(MODULE)
    shutil.copytree(finished, tmp_path / "run")
    yield tmp_path / "run"
    sys.modules.pop("evil_module", None)
    gymnasium.registry.pop("Evil-v0", None)


def change(run_dir: Path, **settings: Any) -> None:
    """Lay settings over those of a run."""
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    for group, value in settings.items():
        config[group] = {**config[group], **value} if isinstance(value, dict) else value
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    told = json.loads((run_dir / "provenance.json").read_text())
    told.pop("settings", None)  # with which the settings are compared, where they are there
    (run_dir / "provenance.json").write_text(json.dumps(told))


class Evil:
    """What cloudpickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo unpickled >{RAN}",)


def poison(policy: Path, name: str = "policy_class") -> None:
    """Put a pickle that runs a command into a policy.zip."""
    with zipfile.ZipFile(policy) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    data = json.loads(members["data"])
    data[name] = {":type:": "x", ":serialized:": base64.b64encode(pickle.dumps(Evil())).decode()}
    members["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(policy, "w") as archive:
        for one, content in members.items():
            archive.writestr(one, content)


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    capsys.readouterr()
    status = cli.main([str(word) for word in words])
    return status, capsys.readouterr().err.strip()


CRAFTED = [
    ("evaluate", {"env_id": "evil_module:Evil-v0"}, "env_id 'evil_module:Evil-v0'"),
    ("watch", {"env_id": "evil_module:Evil-v0"}, "env_id 'evil_module:Evil-v0'"),
    ("evaluate", {"algo": "evil_module:thing"}, "algo 'evil_module:thing'"),
    ("evaluate", {"feedback": {"goal": "evil_module:thing"}}, "feedback.goal 'evil_module:thing'"),
    ("export", {"env_id": "evil_module:Evil-v0"}, "env_id 'evil_module:Evil-v0'"),
    ("relearn", {"env_id": "evil_module:Evil-v0"}, "env_id 'evil_module:Evil-v0'"),
    ("quality", {"feedback": {"store": "postgresql://else.where/x"}}, "feedback.store 'postgresql://else.where/x'"),
    ("label", {"feedback": {"store": "sqlite:////home/me/mail.db"}}, "feedback.store 'sqlite:////home/me/mail.db'"),
]
UNFINISHED = [
    ({"teacher": "os:system", "teacher_options": {"command": f"echo ran >{RAN}"}}, "teacher 'os:system'"),
    ({"reward": {"network": "evil_module:thing"}}, "reward.network 'evil_module:thing'"),
    ({"reward": {"more": {"evil_module:thing": {}}}}, "reward.more 'evil_module:thing'"),
    ({"kind": "comparison=0.5,evil_module:thing=0.5"}, "evil_module:thing"),
    ({"method": "evil_module:thing"}, "method 'evil_module:thing'"),
    ({"teacher": "panel", "teacher_options": {"each": [{"teacher": "evil_module:thing"}]}}, "'evil_module:thing'"),
    ({"teacher": "judge", "teacher_options": {"url": "http://else.where"}}, "teacher_options.url 'http://else.where'"),
]


@pytest.mark.parametrize(("verb", "settings", "shown"), CRAFTED)
def test_a_verb_runs_no_code_that_somebody_elses_settings_name(
    verb: str, settings: dict[str, Any], shown: str, received: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(received, **settings)
    status, err = said(capsys, verb, received)
    assert status == 2 and shown in err and "say --trust" in err and "\n" not in err
    assert not Path(RAN).exists()


@pytest.mark.parametrize(("settings", "shown"), UNFINISHED)
def test_nor_do_resume_and_load(settings: dict[str, Any], shown: str, received: Path) -> None:
    change(received, **settings)
    with pytest.raises(BadInput, match="say --trust") as refused:
        RLHF.load(received)
    assert shown in str(refused.value)
    (received / "summary.json").unlink()
    with pytest.raises(BadInput, match="say --trust") as refused:
        RLHF.resume(received)
    assert shown in str(refused.value) and not Path(RAN).exists()


def test_what_is_trusted_once_is_run_and_not_asked_for_again(
    received: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(received, env_id="evil_module:Evil-v0")
    assert said(capsys, "evaluate", received, "--n-episodes", 1)[0] == 2
    assert said(capsys, "evaluate", received, "--n-episodes", 1, "--trust")[0] == 0
    assert Path(RAN).read_text() == "imported" and "RLHF_GYM_TRUST" not in os.environ
    assert said(capsys, "evaluate", received, "--n-episodes", 1)[0] == 0


def test_a_module_of_the_same_name_in_another_place_is_another(
    received: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(["evil_module:thing"])
    assert is_trusted("evil_module:thing") and not is_trusted("evil_module:other")
    (tmp_path / "else").mkdir()
    shutil.move("evil_module.py", "else/evil_module.py")
    monkeypatch.chdir("else")
    importlib.invalidate_caches()
    assert not is_trusted("evil_module:thing")


def test_of_a_module_that_is_not_there_nothing_runs_and_an_address_is_no_module(nobody: None) -> None:
    assert is_trusted("nobodys_module:thing")
    for address in ("postgresql://else.where/x", "http://else.where", "sqlite:///mail.db", "localhost:8000/v1"):
        assert not is_trusted(address)


def test_what_a_user_runs_in_python_needs_no_word_later(nobody: None, tmp_path: Path) -> None:
    config = RLHFConfig.from_dict({**SMALL, "feedback": {"goal": f"{__name__}:goal"}, "run_dir": str(tmp_path / "run")})
    RLHF(config).close()
    RLHF.resume(tmp_path / "run").close()
    assert f"{__name__}:goal" in (tmp_path / "state" / "rlhf_gym" / "trusted").read_text()


def goal(observations: Any, actions: Any, next_observations: Any) -> Any:
    return np.zeros(len(observations))


def test_python_says_trust_where_the_command_line_does(received: Path) -> None:
    change(received, feedback={"goal": f"{__name__}:goal"})
    with pytest.raises(BadInput, match="in Python trust=True"):
        RLHF.load(received)
    RLHF.load(received, trust=True).close()
    RLHF.load(received).close()


def test_a_home_that_cannot_be_written_is_in_nobodys_way(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", os.devnull)
    trust(["json:loads"])
    assert is_trusted("json:loads") and not is_trusted("json:load")


def test_a_policy_that_runs_code_when_it_is_unpickled_is_played_without(
    received: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = said(capsys, "evaluate", received, "--n-episodes", 2, "--json"), capsys
    for name in ("policy_class", "observation_space", "lr_schedule", "extra"):
        poison(received / "policy.zip", name)
    for verb in (["evaluate", received, "--n-episodes", 2], ["evaluate", received, "--reward", "--n-episodes", 1]):
        assert said(capsys, *verb)[0] == 0
    RLHF.load(received).close()
    assert before[0][0] == 0 and not Path(RAN).exists()


@pytest.mark.parametrize("name", ["policy_class", "policy_kwargs", "observation_space", "action_space", "use_sde"])
def test_a_policy_file_to_start_from_runs_nothing(name: str, received: Path) -> None:
    poison(received / "policy.zip", name)
    with pytest.raises(BadInput, match=r"holds code beside the policy, (posix|nt):system, .*--trust"):
        load_actor(received / "policy.zip")
    config = RLHFConfig.from_dict({**SMALL, "agent": {**SMALL["agent"], "start": str(received)}})
    with pytest.raises(BadInput, match="holds code"):
        RLHF(config)
    assert not Path(RAN).exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("numpy", "load"),
        ("stable_baselines3.common.save_util", "json_to_data"),
        ("stable_baselines3.common.policies", "io.open"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("gymnasium", "make"),
        ("rlhf_gym.files", "write_text"),
        ("functools", "partial"),
    ],
)
def test_of_a_pickle_nothing_but_harmless_classes_is_found(module: str, name: str) -> None:
    from rlhf_gym.agents.unpickled import Strange, _Unpickler

    with pytest.raises(Strange):
        _Unpickler(__import__("io").BytesIO()).find_class(module, name)


def test_code_of_ones_own_in_a_policy_is_trusted_by_the_file(nobody: None, tmp_path: Path) -> None:
    class Mine(PPO.policy_aliases["MlpPolicy"]):  # type: ignore[misc,name-defined]
        pass

    PPO(Mine, "CartPole-v1", n_steps=8, batch_size=8).save(tmp_path / "mine.zip")
    with pytest.raises(BadInput, match="holds code beside the policy"):
        load_actor(tmp_path / "mine.zip")
    trust([digest(tmp_path / "mine.zip")])
    assert type(load_actor(tmp_path / "mine.zip")).__name__ == "Mine"


def test_a_reward_model_imports_no_network_of_somebody_elses(received: Path) -> None:
    place = received / "reward_model"
    described = json.loads((place / "model.json").read_text())
    (place / "model.json").write_text(json.dumps({**described, "network": "evil_module:thing"}))
    for read in (RewardModel.load, lambda place: RLHF.load(place.parent)):
        with pytest.raises(BadInput, match="names network 'evil_module:thing'"):
            read(place)
    assert not Path(RAN).exists()


def test_an_environment_or_a_kind_that_a_database_names_is_not_imported(received: Path) -> None:
    query = example_queries(1)[0]
    origin = Origin("evil_module:Evil-v0", 0)
    segment = replace(query.options[0], origin=origin)
    with pytest.raises(BadInput, match="names env_id 'evil_module:Evil-v0'"):
        replay(segment, draw=False)
    with PreferenceStore(received / "preferences.db") as store:
        store.post([replace(query, id="strange", options=(segment, segment))])
        store.record("strange", Answer.LEFT, teacher="ann")
    import sqlite3

    with sqlite3.connect(received / "preferences.db") as database:
        database.execute("UPDATE queries SET kind = 'evil_module:thing' WHERE id = 'strange'")
    with pytest.raises(BadInput, match="names kind 'evil_module:thing'"):
        RLHF.load(received)
    assert not Path(RAN).exists()


def test_plain_figures_of_somebody_elses_run_are_drawn_without_a_word(
    received: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(received, env_id="evil_module:Evil-v0", teacher="evil_module:thing")
    assert said(capsys, "plot", received, "--output", "curve.png") == (0, "")
    assert said(capsys, "quality", received) == (0, "")
    assert not Path(RAN).exists()


def test_the_settings_of_somebody_elses_run_are_theirs_and_a_file_of_ones_own_is_ones_own(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(received, teacher="evil_module:thing")
    status, err = said(capsys, "train", "--config", received / "config.yaml", "--run-dir", "new")
    assert status == 2 and "names teacher 'evil_module:thing'" in err and not Path(RAN).exists()
    shutil.copy(received / "config.yaml", "mine.yaml")
    with pytest.raises(SystemExit, match="ran"):
        cli.parse(["train", "--config", "mine.yaml", "--run-dir", "new"]).run()


LINKS: list[tuple[str, Callable[[Path, Path], None]]] = [
    ("a link out of it", lambda place, out: place.symlink_to(out)),
    ("a pipe", lambda place, out: os.mkfifo(place)),
]


@pytest.mark.parametrize(("what", "make"), LINKS, ids=[what for what, _ in LINKS])
@pytest.mark.parametrize("name", ["clips", "policy.gif", "checkpoints/1", "token"])
def test_a_directory_that_leads_elsewhere_is_refused(
    what: str, make: Callable[[Path, Path], None], name: str, received: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "diary").write_text("mine")
    (received / name).parent.mkdir(exist_ok=True)
    make(received / name, tmp_path / "diary")
    for verb in ("evaluate", "watch", "label", "export"):
        status, err = said(capsys, verb, received)
        assert (status, name in err) == (2, True), err
    assert (tmp_path / "diary").read_text() == "mine"


def test_links_within_a_directory_and_to_the_directory_are_fine(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (received / "best.zip").symlink_to("policy.zip")
    (tmp_path / "link").symlink_to(received)
    assert said(capsys, "evaluate", tmp_path / "link", "--n-episodes", 1)[0] == 0


def test_an_archive_that_unpacks_to_more_than_it_is_isnt_read(received: Path) -> None:
    with zipfile.ZipFile(received / "policy.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more", bytes(10_000_000))
    with pytest.raises(BadInput, match=r"bytes and unpacks to \d+"):
        load_actor(received / "policy.zip")
    with pytest.raises(BadInput, match=r"bytes and unpacks to \d+"):
        RLHF.load(received)


def test_layers_that_are_not_in_the_file_are_not_made(received: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(received, agent={"net_arch": [200_000, 200_000]})
    status, err = said(capsys, "evaluate", received)
    assert status == 2 and "isn't as large as net_arch (200000, 200000) says" in err


def test_what_settings_name_is_found_wherever_it_stands() -> None:
    options = {"each": [{"teacher": "a.b:c"}, "d:e"], "f:g": 1, "rule": "speed: high", "data": "minari:x"}
    config = RLHFConfig(teacher="panel", teacher_options=options, env_kwargs={"where": "x:y"})
    assert code_named(config) == {
        "teacher_options.each.0.teacher": "a.b:c",
        "teacher_options.each.1": "d:e",
        "teacher_options": "f:g",
        "env_kwargs.where": "x:y",
    }
    assert code_named(replace(config, env_id="m:Id-v0"), "env_id") == {"env_id": "m:Id-v0"}
    check_trusted({}, "nobody")


def test_trusting_ends(nobody: None) -> None:
    with trusting(True):
        assert os.environ["RLHF_GYM_TRUST"] == "1"
        with trusting(False):
            assert is_trusted("json:loads")
    assert "RLHF_GYM_TRUST" not in os.environ and is_trusted("json:loads") and not is_trusted("os:system")


def test_exported_preferences_of_a_run_are_read_whatever_they_name(received: Path, tmp_path: Path) -> None:
    origin = Origin("evil_module:Evil-v0", 0)
    queries = [
        replace(query, options=tuple(replace(option, origin=origin) for option in query.options))
        for query in example_queries(2)
    ]
    with PreferenceStore() as store:
        store.post(queries)
        store.record_all([query.id for query in queries], [Answer.LEFT] * 2, teacher="ann")
        export(store, tmp_path / "export", parquet=False)
    assert cli.main(["import", str(tmp_path / "export"), "--store", f"sqlite:///{tmp_path}/new.db"]) == 0
    assert not Path(RAN).exists()

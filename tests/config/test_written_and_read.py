"""Settings are the same after they were written and read, or refused before the run begins."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import read_yaml
from rlhf_gym.errors import BadInput


def there_and_back(tmp_path, **settings):
    config = RLHFConfig(**settings)
    config.to_yaml(tmp_path / "config.yaml")
    assert RLHFConfig.from_yaml(tmp_path / "config.yaml") == config
    return config


KWARGS = {
    "size": (3, (4, 5)),
    "gravity": np.float64(9.81),
    "count": np.int64(3),
    "on": np.bool_(True),
    "map": Path("maps") / "one.txt",
    "deep": {"a": [{"b": (np.float32(0.1), None)}]},
    "texts": ["3e-4", "1e6", ".5e3", "0x10", "on", "null", "2001-01-01", "a: b", "", "é"],
    "numbers": [3e-4, 1e6, 1e22, 5e-324, 2**70, math.inf, -0.0],
}


def test_keyword_arguments_are_the_same_in_python_yaml_and_json(tmp_path):
    found = there_and_back(tmp_path, env_kwargs=KWARGS).env_kwargs
    assert json.loads(json.dumps(found)) == found
    assert found["size"] == [3, [4, 5]] and found["map"] == "maps/one.txt"
    assert [type(found[name]) for name in ("gravity", "count", "on")] == [float, int, bool]
    assert found["deep"]["a"][0]["b"] == [float(np.float32(0.1)), None]
    assert found["texts"] == KWARGS["texts"] and found["numbers"] == KWARGS["numbers"]
    assert RLHFConfig.from_dict({"env_kwargs": KWARGS}).env_kwargs == found


@pytest.mark.parametrize(
    "value, told",
    [
        ({"map": {1: "a"}}, "env_kwargs.map has the name 1, which is no text; use texts as names, such as '1'"),
        ({"goal": np.zeros(2)}, "env_kwargs.goal is array([0., 0.]), which can't be written down .* use its tolist()"),
        (
            {"a": [{"b": {1, 2}}]},
            "env_kwargs.a[0].b is {1, 2}, which can't be written down and read again; use numbers",
        ),
        ({"a": math.nan}, "env_kwargs.a is nan, which can't be written down and read again"),
        ({"a": b"bytes"}, "env_kwargs.a is b'bytes', which can't be written down and read again"),
        ({"a": print}, "env_kwargs.a is <built-in function print>, which can't be written down"),
    ],
)
def test_what_would_come_back_as_something_else_is_refused_in_one_line(value, told):
    for make in (lambda: RLHFConfig(env_kwargs=value), lambda: RLHFConfig.from_dict({"env_kwargs": value})):
        with pytest.raises(BadInput) as caught:
            make()
        start, _, end = told.partition(" .* ")
        assert str(caught.value).startswith(start) and end in str(caught.value) and "\n" not in str(caught.value)


def test_an_option_that_can_not_be_written_is_refused_by_name(tmp_path):
    config = RLHFConfig(teacher_options={"of": object()})
    with pytest.raises(BadInput, match="^teacher_options.of is <object .*, which can't be written down"):
        config.to_yaml(tmp_path / "config.yaml")
    assert not (tmp_path / "config.yaml").exists()
    there_and_back(tmp_path, method_options={"alpha": np.float32(0.5)})


def test_numbers_are_read_as_people_write_them(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "total_timesteps: 1e5\nreward: {learning_rate: 3e-4}\nagent:\n  options: {learning_rate: 1E-3, gamma: .99}\n"
        "env_kwargs: {gravity: 1e1, name: '1e1'}\n"
    )
    config = RLHFConfig.from_yaml(tmp_path / "mine.yaml")
    assert (config.total_timesteps, type(config.total_timesteps)) == (100_000, int)
    assert (config.reward.learning_rate, config.agent.options["learning_rate"]) == (3e-4, 1e-3)
    assert config.env_kwargs == {"gravity": 10.0, "name": "1e1"}


def test_whole_numbers_may_be_written_as_floats_in_python_too_and_others_not():
    config = RLHFConfig(total_timesteps=6e4, labels=np.int64(7))
    assert [(n, type(n)) for n in (config.total_timesteps, config.labels)] == [(60_000, int), (7, int)]
    with pytest.raises(BadInput, match="total_timesteps is 60000.5; expected int"):
        RLHFConfig(total_timesteps=60_000.5)


def test_a_folder_and_what_is_not_there_are_told_in_words(tmp_path):
    with pytest.raises(BadInput, match=r"is a folder; use a file of settings, such as .*config\.yaml$"):
        read_yaml(tmp_path)
    with pytest.raises(BadInput, match=r"no\.yaml can't be read: No such file or directory$"):
        read_yaml(tmp_path / "no.yaml")


def test_a_name_that_is_said_twice_is_refused_and_one_laid_over_an_alias_isn_t(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("labels: 5\nseed: 1\nlabels: 9\n")
    with pytest.raises(BadInput, match=r"settings\.yaml can't be read: line 3 says labels once more; say it once"):
        read_yaml(file)
    file.write_text("one: &one {a: 1, b: 2}\nother: {<<: *one, b: 3}\n")
    assert read_yaml(file)["other"] == {"a": 1, "b": 3}

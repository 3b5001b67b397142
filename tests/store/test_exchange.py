"""What was exported comes back bit for bit, and what is damaged doesn't come back at all."""

import importlib.util
import json
import math
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from gymnasium import spaces
from pyarrow import parquet

from rlhf_gym.arrays import array_from_json, array_to_json
from rlhf_gym.contracts import example_queries
from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import OWN, Answer, Preference, Query
from rlhf_gym.rewards import Bootstrap, RewardModel, fit_reward_model
from rlhf_gym.segments import Segment
from rlhf_gym.spaces import space_from_json, space_to_json
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.batches import AT_ONCE
from rlhf_gym.store.exchange import Exported, export, import_preferences, read_preferences, read_spaces
from rlhf_gym.store.exchange.card import Contents, data_card
from rlhf_gym.store.rows import query_to_row, segment_to_row
from rlhf_gym.teachers import OracleTeacher

SPACES = (spaces.Box(np.float32([-4.8, -np.inf]), np.float32([4.8, np.inf])), spaces.Discrete(2))
FORMATS = ["preferences.jsonl", "preferences.parquet"]


def everything(store):
    """All that the preferences of a store hold, in a form that `==` compares bit for bit, NaN included."""
    said = [(p.answer, p.teacher, p.shown_at, p.answered_at) for p in store.preferences()]
    return said, [whole(p.query) for p in store.preferences()]


def whole(query):
    return query_to_row(query), [segment_to_row(segment) for segment in query.options]


@pytest.fixture(params=[False, True], ids=["discrete", "box"])
def store(request):
    """Six queries, five of them answered, one of them by two people."""
    with PreferenceStore() as opened:
        opened.post(example_queries(6, box=request.param))
        for i, answer in enumerate([*Answer, Answer.LEFT]):
            opened.record(f"0-{i}", answer, teacher="ann", shown_at=i + 0.1, answered_at=i + 0.7)
        opened.record("0-0", Answer.RIGHT, teacher="Bób", answered_at=1e9 + 1 / 3)
        yield opened


@pytest.fixture
def folder(store, tmp_path):
    export(store, tmp_path / "export", spaces=SPACES)
    return tmp_path / "export"


@pytest.mark.parametrize("name", ["", *FORMATS])
def test_preferences_come_back_bit_for_bit(store, folder, name):
    with PreferenceStore() as other:
        assert import_preferences(folder / name, other) == 6
        assert everything(other) == everything(store)
        assert other.pending() == []


def strange_floats(dtype):
    """Not finite, of either sign, smallest, largest, and a NaN like no other."""
    kind = np.finfo(dtype)
    odd = np.array([kind.max]).astype(dtype).view(f"u{np.dtype(dtype).itemsize}") + 2  # past infinity
    plain = [math.nan, -math.nan, math.inf, -math.inf, -0.0, 0.0, kind.smallest_subnormal, kind.max, 0.1, 1 / 3]
    return np.concatenate([np.array(plain, dtype), odd.view(dtype)])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64", "uint64", "bool"])
def test_every_number_of_every_dtype_comes_back_bit_for_bit(tmp_path, name, dtype):
    values = strange_floats(dtype) if dtype.startswith("float") else np.array([0, 1, 1], dtype)
    if dtype[-1].isdigit() and "int" in dtype:
        values = np.array([np.iinfo(dtype).min, 0, np.iinfo(dtype).max], dtype)
    steps = len(values)
    segment = Segment(values[[0, *range(steps)]], values, np.resize(values, steps), steps, False, values[:0])
    with PreferenceStore() as store, PreferenceStore() as other:
        store.post(
            [Query((segment, segment), id="q", value=math.nan), Query((segment, segment), id="r", value=-math.inf)]
        )
        store.record_all(["q", "r"], [Answer.TIE] * 2, teacher="ann", answered_at=0.0)
        export(store, tmp_path / "export")
        other.add(read_preferences(tmp_path / "export" / name))  # an import refuses what can't be fitted
        assert everything(other) == everything(store)


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_come_back(tmp_path, name):
    rng = np.random.default_rng(0)
    pictures = rng.integers(256, size=(4, 8, 6, 3), dtype=np.uint8)
    one = Segment(pictures, rng.integers(3, size=3), rng.normal(size=3), 5, True, np.zeros(0, np.int64))
    with PreferenceStore() as store, PreferenceStore() as other:
        store.post([Query((one, replace(one, observations=pictures[::-1])), id="q")])
        store.record("q", Answer.LEFT, teacher="ann")
        export(store, tmp_path)
        import_preferences(tmp_path / name, other)
        assert everything(other) == everything(store)


def test_lines_are_json_that_any_reader_takes(folder):
    def refuse(name):
        raise AssertionError(f"{name} is Python's own")

    for line in (folder / "preferences.jsonl").read_text().splitlines():
        assert json.loads(line, parse_constant=refuse)["options"][0]["observations"]["dtype"] == "float32"
    json.loads((folder / "manifest.json").read_text(), parse_constant=refuse)


def test_importing_twice_changes_nothing(store, folder):
    with PreferenceStore() as other:
        import_preferences(folder, other)
        before = everything(other), len(other.history())
        assert import_preferences(folder, other) == 0
        assert (everything(other), len(other.history())) == before
    before = everything(store)
    assert import_preferences(folder, store) == 0
    assert everything(store) == before


def test_what_is_missing_is_added_to_what_is_there(store, folder):
    with PreferenceStore() as other:
        other.post(example_queries(2, box=store.query("0-0").left.actions.ndim > 1))
        other.record("0-0", Answer.LEFT, teacher="ann", shown_at=0.1, answered_at=0.7)
        assert import_preferences(folder, other) == 5
        assert sorted(p.query.id for p in other.preferences()) == ["0-0", "0-0", "0-1", "0-2", "0-3", "0-4"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda store, q: store.post([replace(q, policy_step=9)]),
            "query '0-1' is in the store already and is another",
        ),
        (
            lambda store, q: (store.post([q]), store.record(q.id, Answer.TIE, teacher="ann", shown_at=1.1)),
            "answer of 'ann' to query '0-1' is 'tie' in the store and 'right' in what is to be added",
        ),
        (
            lambda store, q: (store.post([q]), store.record(q.id, Answer.RIGHT, teacher="ann", answered_at=8.0)),
            "shown_at of 'ann' to query '0-1' is None in the store and 1.1 in",
        ),
    ],
)
def test_what_contradicts_the_store_is_refused_and_nothing_of_it_taken(store, folder, change, message):
    with PreferenceStore() as other:
        change(other, store.query("0-1"))
        before = everything(other), other.counts()
        with pytest.raises(ValueError, match=message) as refused:
            import_preferences(folder, other)
        assert "\n" not in str(refused.value)
        assert (everything(other), other.counts()) == before


@pytest.fixture(scope="module")
def long_export(tmp_path_factory):
    """So many preferences that they aren't read, written or added all at once, and all of the same segments."""
    [first] = example_queries(1)
    queries = [replace(first, id=f"long-{i}") for i in range(AT_ONCE + 20)]
    with PreferenceStore() as opened:
        opened.post(queries)
        opened.record_all([query.id for query in queries], [Answer.LEFT] * len(queries), teacher="ann")
        opened.record(queries[3].id, None, teacher="ann")
        folder = tmp_path_factory.mktemp("long") / "export"
        export(opened, folder)
    return folder, [query.id for query in queries if query is not queries[3]]


@pytest.mark.parametrize("name", FORMATS)
def test_a_long_export_comes_and_goes_a_part_at_a_time(long_export, name):
    folder, ids = long_export
    with PreferenceStore() as other:
        assert import_preferences(folder / name, other) == len(ids)
        assert [preference.query.id for preference in other.each_preference()] == ids
        assert [preference.query.id for preference in other.each_preference(at_once=7)] == ids
    alive, most = weakref.WeakSet(), 0
    for preference in Exported(folder / name):
        alive.add(preference.query)
        most = max(most, len(alive))
    assert most <= AT_ONCE


@pytest.mark.parametrize("name", FORMATS)
def test_a_contradiction_in_a_later_part_leaves_nothing_of_the_first(long_export, name):
    folder, ids = long_export
    with PreferenceStore() as other:
        [last] = [preference.query for preference in Exported(folder / name) if preference.query.id == ids[-1]]
        other.post([replace(last, policy_step=9)])
        with pytest.raises(BadInput, match=f"query {ids[-1]!r} is in the store already and is another"):
            import_preferences(folder / name, other)
        assert other.counts().asked == 1


def test_arrays_that_differ_in_a_later_part_are_refused_too(tmp_path):
    with PreferenceStore() as opened:
        opened.post(
            [*(replace(example_queries(1)[0], id=str(i)) for i in range(AT_ONCE)), *example_queries(1, box=True)]
        )
        opened.record_all([*map(str, range(AT_ONCE)), "0-0"], [Answer.LEFT] * (AT_ONCE + 1), teacher="ann")
        with pytest.raises(BadInput, match=r"actions are int64 .* here and float32 .* there.*Parquet"):
            export(opened, tmp_path / "export")
    assert not list(tmp_path.iterdir())


def damaged(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-200], "line 6 of .* can't be read: "),
        (lambda text: "\n" + text, "line 1 of .* can't be read: Expecting value"),
        (lambda text: damaged(text, '"answer"', '"anser"'), "line 1 of .* it lacks 'answer'"),
        (
            lambda text: damaged(text, '"right", "teacher"', '"neither", "teacher"'),
            "line 2 of .*'neither' is none; use left, right",
        ),
        (lambda text: damaged(text, '"float32"', '"object"'), "dtype is 'object'; expected one of bool, float16"),
        (lambda text: damaged(text, '"length": 5', '"length": 0'), "a segment of length 0 came with"),
        (lambda text: damaged(text, '"length": 5', '"length": true'), "length is True; expected int"),
        (lambda text: damaged(text, '"values": [[', '"values": [[null, '), "values don't fill the shape"),
        (lambda text: damaged(text, '"terminated": true', '"terminated": 1'), "terminated is 1; expected bool"),
        (lambda text: damaged(text, '"value": 0.0', '"value": NaN'), "NaN is no JSON"),
        (lambda text: "[" * 100_000 + text, "line 1 of .* can't be read: "),
        (lambda text: "7\n" + text, "line 1 of .* can't be read: it is int; expected an object"),
        (lambda text: text.encode("utf-16"), "line 1 of .* can't be read: "),
        (lambda text: "", "is empty"),
    ],
)
def test_damaged_lines_are_refused_in_one_line(folder, tmp_path, change, reason):
    changed = change((folder / "preferences.jsonl").read_text())
    path = tmp_path / "alone.jsonl"
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with PreferenceStore() as other:
        with pytest.raises(ValueError, match=reason) as refused:
            import_preferences(path, other)
        assert "\n" not in str(refused.value) and str(path) in str(refused.value)
        assert other.counts().asked == 0


@pytest.mark.parametrize("cut", [0, 100, -1, -100])
def test_a_parquet_file_cut_short_is_refused_in_one_line(folder, tmp_path, cut):
    path = tmp_path / "alone.parquet"
    path.write_bytes((folder / "preferences.parquet").read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"alone\.parquet can't be read: ") as refused:
        read_preferences(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1], "segments are 0 times missing among int64; expected structs"),
        ([{"actions": [1]}], "it lacks 'observations'"),
        ([{"observations": 1}], "arrays are int64; expected lists"),
        ([{"observations": ["text"]}], "numbers are missing, or no numbers: string, 0 missing"),
        ([{"observations": [1.0, None]}], "numbers are missing, or no numbers: double, 1 missing"),
        ([{"observations": None}, {"observations": [1.0]}], "numbers are missing, or no numbers: double, 1 missing"),
        ([None, {"observations": [1.0]}], "segments are 1 times missing"),
    ],
)
def test_a_parquet_file_of_something_else_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "other.parquet"
    parquet.write_table(pa.table({"left": content, "right": content}), path)
    with pytest.raises(ValueError, match=reason) as refused:
        read_preferences(path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


def test_a_parquet_file_without_a_preference_is_refused(folder, tmp_path):
    table = parquet.read_table(folder / "preferences.parquet")
    parquet.write_table(table.slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="none.parquet is empty"):
        read_preferences(tmp_path / "none.parquet")


def test_rows_of_a_parquet_file_may_be_picked_and_put_together_by_other_tools(store, folder, tmp_path):
    table = parquet.read_table(folder / "preferences.parquet")
    picked = pa.concat_tables([table.slice(4), table.slice(1, 2)])
    parquet.write_table(picked, tmp_path / "picked.parquet", row_group_size=1)
    found = [whole(p.query) for p in read_preferences(tmp_path / "picked.parquet")]
    assert found == [everything(store)[1][i] for i in (4, 5, 1, 2)]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_changed_since_the_export_is_refused(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} isn't what was exported .*sha256.*; restore it from a copy"):
        read_preferences(folder / name)


def test_nothing_to_read_is_told_in_one_line(tmp_path):
    (tmp_path / "notes.txt").touch()
    for place in (tmp_path, tmp_path / "notes.txt", tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="(holds no preferences|isn't there); use a folder that export wrote"):
            read_preferences(place)


def test_an_export_is_never_overwritten(store, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=r"already holds an export \(preferences.jsonl, .*\); name another directory"):
        export(store, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_store_without_answers_is_not_exported(tmp_path):
    with PreferenceStore() as store, pytest.raises(ValueError, match="no answers to export"):
        export(store, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_preferences_of_two_environments_go_out_as_lines_and_into_no_store_together(tmp_path):
    with PreferenceStore() as store, PreferenceStore() as other:
        store.post([*example_queries(1, seed=1), *example_queries(1, seed=2, box=True)])
        store.record_all(["1-0", "2-0"], [Answer.LEFT] * 2, teacher="ann")
        with pytest.raises(
            ValueError, match=r"actions are int64 .* here and float32 of shape \('n', 2\) there.*Parquet"
        ):
            export(store, tmp_path / "export")
        assert not (tmp_path / "export").exists()
        export(store, tmp_path / "export", parquet=False)
        with pytest.raises(ValueError, match="preference 2, query '2-0'.*keep each environment.*a store of its own"):
            import_preferences(tmp_path / "export", other)
        assert other.counts().asked == 0


def test_a_reward_model_is_fitted_to_an_export_with_no_environment_at_hand(tmp_path):
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(80, 2, 11, 2)).astype(np.float32)
    with PreferenceStore() as store:
        for i, both in enumerate(seen):
            left, right = (
                Segment(one, rng.integers(2, size=10), np.full(10, np.nan), 10, False, np.zeros(0, np.int64))
                for one in both
            )
            store.post([Query((left, right), id=str(i))])
            likes_left = left.observations[:-1, 0].sum() > right.observations[:-1, 0].sum()
            store.record(str(i), Answer.LEFT if likes_left else Answer.RIGHT, teacher="ann")
        export(store, tmp_path / "export", spaces=SPACES)

    preferences, found = read_preferences(tmp_path / "export"), read_spaces(tmp_path / "export")
    model = RewardModel(*found, hidden=(16,))
    fit = fit_reward_model(
        model, choices(preferences[:60]), bootstrap=Bootstrap(model.ensemble_size, seed=0), rng=rng, steps=200
    )
    left, right = (
        np.array([model.reward_function()(o[:-1], a, o[1:]).sum() for o, a in sides])
        for sides in (
            [(p.query.left.observations, p.query.left.actions) for p in preferences[60:]],
            [(p.query.right.observations, p.query.right.actions) for p in preferences[60:]],
        )
    )
    assert fit.n == 60
    right_ones = (left > right) == [p.answer is Answer.LEFT for p in preferences[60:]]
    assert right_ones.mean() >= 0.8  # of 20 it hasn't seen; by chance less than once in 100 times


@pytest.mark.parametrize(
    "space",
    [
        SPACES[0],
        spaces.Box(-1, 1, (3,), np.float64),
        spaces.Box(0, 255, (4, 4, 3), np.uint8),
        spaces.Discrete(5),
        spaces.Discrete(3, start=-1),
    ],
    ids=str,
)
def test_spaces_come_back(space):
    found = space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))
    assert found == space and found.dtype == space.dtype
    if isinstance(space, spaces.Box):
        assert found.low.tobytes() == space.low.tobytes() and found.high.tobytes() == space.high.tobytes()


def test_a_space_that_no_reward_model_takes_is_refused(store, tmp_path):
    with pytest.raises(ValueError, match="a MultiBinary can't be exported; reward models take Box and Discrete"):
        export(store, tmp_path / "export", spaces=(SPACES[0], spaces.MultiBinary(3)))
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"type": "Text"}, "a space is 'Text'; expected Box or Discrete"),
        ({"type": "Discrete", "n": -1, "start": 0}, "described wrongly"),
        ({"type": "Discrete"}, "described wrongly: 'n'"),
        ({**space_to_json(SPACES[0]), "shape": [3]}, "described wrongly"),
    ],
)
def test_a_space_that_is_described_wrongly_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        space_from_json(content)


def test_an_export_without_spaces_says_so(store, tmp_path):
    export(store, tmp_path / "export")
    with pytest.raises(ValueError, match="doesn't say which spaces it is about"):
        read_spaces(tmp_path / "export")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "sha256": 3}', '{"format": 3, "sha256": {}}'])
def test_a_damaged_manifest_is_refused(folder, content):
    (folder / "manifest.json").write_text(content)
    for read in (read_preferences, read_spaces):
        with pytest.raises(ValueError, match=r"manifest\.json (can't be read: |is of format 3 and .* reads 1 and 2)"):
            read(folder)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([300], "too large for uint8"),
        ([-1], "too large for uint8"),
        ([10**30], "too large for uint8"),
        ([1.5], "1.5 is among the values of an array of uint8"),
        ([True], "True is among"),
        ([None], "None is among"),
        (["NaN"], "'NaN' is among"),
        ([[1]], r"\[1\] is among"),
        ([1, 2], "don't fill the shape"),
        (7, "don't fill the shape"),
    ],
)
def test_values_that_are_no_array_of_the_dtype_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        array_from_json({"dtype": "uint8", "shape": [1], "values": values})


@pytest.mark.parametrize("value", [1e39, 10**400, "nan", "0x1ffffffff", "-0x1", True, None])
def test_values_that_are_no_float_are_refused(value):
    with pytest.raises(ValueError, match="too large for float32|is among the values of an array of float32"):
        array_from_json({"dtype": "float32", "shape": [1], "values": [value]})


def test_a_float_may_be_written_as_briefly_as_anybody_likes():
    found = array_from_json({"dtype": "float32", "shape": [2], "values": [0.1, 1]})
    assert found.tobytes() == np.float32([0.1, 1]).tobytes()
    assert array_to_json(found)["values"] == [0.10000000149011612, 1.0]


def test_the_data_card_says_what_is_in_the_folder(folder):
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    settings = yaml.safe_load(front)
    assert settings["configs"][0]["data_files"] == [{"split": "train", "path": "preferences.parquet"}]
    assert settings["size_categories"] == ["n<1K"]
    assert "# Preferences over segments of Example-v0" in text
    assert "6 preferences by 2 teachers" in text and "2 left, 2 right, 1 tie, 1 skip" in text
    assert "segments of 5 steps" in text


@pytest.mark.parametrize(
    ("n", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (200_000, "100K<n<1M"), (5_000_000, "1M<n<10M"), (10**9, "n>1B")]
)
def test_the_size_classes_are_the_hub_s(n, name):
    contents = Contents(n, teachers={"ann"}, options={2}, lengths={5})
    assert f"- {name}\n" in data_card(contents, "preferences.jsonl")


def test_the_data_card_tells_the_learned_rewards_own_answers_apart(store, tmp_path):
    own = [Preference(replace(query, why=OWN), Answer.LEFT, OWN) for query in store.queries(["0-0", "0-1"])]
    store.add([replace(p, query=replace(p.query, id=f"own-{i}", repeats=None)) for i, p in enumerate(own)])
    export(store, tmp_path / "export", parquet=False)
    text = (tmp_path / "export" / "README.md").read_text()
    assert "6 preferences by 2 teachers, and 2 by the learned reward itself, which are no labels" in text


@pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="datasets isn't installed")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("by", ["folder", "file"])
def test_hugging_face_reads_the_folder(store, folder, tmp_path, monkeypatch, by):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    copy, cache = shutil.copytree(folder, tmp_path / "copy"), str(tmp_path / "cache")
    if by == "folder":
        loaded = load_dataset(str(copy), split="train", cache_dir=cache)
    else:
        loaded = load_dataset("parquet", data_files=str(copy / "preferences.parquet"), split="train", cache_dir=cache)
    assert loaded.column_names[:2] == ["options", "answer"]
    assert loaded["answer"] == [p.answer.value for p in store.preferences()]
    for row, preference in zip(loaded.with_format("numpy"), store.preferences(), strict=True):
        np.testing.assert_array_equal(row["options"][0]["observations"], preference.query.left.observations)


EARLIER = Path(__file__).parents[1] / "data" / "earlier" / "export"
"""What the code of format 1, with `left` and `right`, exported."""


@pytest.mark.parametrize("name", ["", *FORMATS])
def test_an_export_of_format_1_is_read_bit_for_bit(tmp_path, name):
    copy = shutil.copytree(EARLIER, tmp_path / "export")
    with PreferenceStore() as expected, PreferenceStore() as store:
        expected.post(example_queries(4))
        for i, answer in enumerate(Answer):
            expected.record(f"0-{i}", answer, teacher="ann", shown_at=i + 0.25, answered_at=i + 0.5)
        expected.record("0-1", Answer.TIE, teacher="bob", answered_at=9.0)
        assert import_preferences(copy / name, store) == 5
        assert everything(store) == everything(expected)
    observation, action = read_spaces(copy)
    assert (observation.shape, action.n) == ((4,), 2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1], "options are 0 times missing among int64; expected lists"),
        ([None, [{"actions": [1]}]], "options are 1 times missing among list"),
        ([[1]], "segments are 0 times missing among int64; expected structs"),
        ([[{"actions": [1]}]], "it lacks 'observations'"),
    ],
)
def test_a_parquet_file_with_other_options_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "other.parquet"
    parquet.write_table(pa.table({"options": content}), path)
    with pytest.raises(ValueError, match=reason) as refused:
        read_preferences(path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


@pytest.mark.parametrize("name", FORMATS)
def test_rankings_posted_and_answered_by_the_oracle_come_back_and_give_choices(tmp_path, name):
    queries = [*example_queries(12, kind="ranking"), *example_queries(2, seed=1)]
    oracle = OracleTeacher()
    with PreferenceStore() as store, PreferenceStore() as other:
        store.post(queries)
        store.record_all([q.id for q in queries], oracle.answer(queries), teacher="oracle")
        store.record("0-0", Answer.SKIP, teacher="ann")
        export(store, tmp_path / "export")
        assert import_preferences(tmp_path / "export" / name, other) == 15
        assert everything(other) == everything(store)
        said = choices(other.preferences())
        card = (tmp_path / "export" / "README.md").read_text()
    # Twice 3 to 8 options, one choice fewer each, and two comparisons; the skip gives none.
    assert len(said) == 2 * (2 + 3 + 4 + 5 + 6 + 7) + 2
    for choice in said:  # normal rewards don't tie: the best of what is left was chosen
        best = max(choice.options, key=lambda segment: segment.true_return)
        assert choice.options[choice.target.index(1)] is best
    assert "12 ranking" in card and "`options` to a teacher, 2 to 8 segments of 5 steps" in card and "1 skip" in card


def test_a_record_that_is_not_of_its_kind_is_refused(folder, tmp_path):
    line = (folder / "preferences.jsonl").read_text().splitlines()[0]
    for old, new, reason in (
        ('"kind": "comparison"', '"kind": "ranking"', "query '0-0' has 2 options; a ranking shows 3 to 8"),
        (
            '"kind": "comparison"',
            '"kind": "rating"',
            "query '0-0' has 2 options; a rating shows 1",
        ),
        ('"answer": "left"', '"answer": "[1,0]"', "is none; use left, right"),
    ):
        (tmp_path / "alone.jsonl").write_text(damaged(line, old, new))
        with pytest.raises(ValueError, match=f"line 1 of .* can't be read: .*{reason}"):
            read_preferences(tmp_path / "alone.jsonl")

"""One page for all runs of a store: each query comes with its own run's words, and progress counts all."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rlhf_gym.contracts import example_queries
from rlhf_gym.labelling import ClipCache, Desk
from rlhf_gym.labelling.page import SHOWS, make_app
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore, StoredRun
from rlhf_gym.verbs.labelling import Label, _token

RUNS = {
    "upright": StoredRun("upright", "CartPole-v1", labels=2, instructions="stay up", draw="states"),
    "far": StoredRun("far", "Hopper-v5", labels=1, instructions="go far", levels=("bad", "fair", "good")),
}
HERE = "http://127.0.0.1:8765"


@pytest.fixture
def stores(tmp_path):
    """Those of two runs, the second of which asks for ratings."""
    url = tmp_path / "shared.db"
    with PreferenceStore(url, run=RUNS["upright"]) as upright, PreferenceStore(url, run=RUNS["far"]) as far:
        upright.post(example_queries(2))
        far.post(example_queries(1, kind="rating-3"))
        yield {"upright": upright, "far": far, "url": url}


@pytest.fixture
def page(stores, room):
    with (
        PreferenceStore(stores["url"]) as both,
        TestClient(make_app(Desk(both, room.clips, kinds=SHOWS)), base_url=HERE) as client,
    ):
        yield client


def answer(page, who, query_id, said):
    return page.post("/api/answers", json={"who": who, "query_id": query_id, "answer": said})


def test_each_query_comes_with_the_words_and_levels_of_its_own_run(page):
    seen = []
    for said in ("left", "right", "3/3"):
        told = page.post("/api/next", json={"who": "Ann"}).json()
        seen.append((told["query"]["id"], told["instructions"], told["query"]["levels"]))
        assert answer(page, "Ann", told["query"]["id"], said).status_code == 200
    assert seen == [("0-0", "stay up", []), ("0-1", "stay up", []), ("2:0-0", "go far", ["bad", "fair", "good"])]
    undone = page.post("/api/undo", json={"who": "Ann"}).json()
    assert (undone["query"]["id"], undone["instructions"]) == ("2:0-0", "go far")


def test_answers_reach_their_run_and_progress_counts_all(page, stores):
    answer(page, "Ann", "0-1", "tie")
    progress = answer(page, "Bob", "2:0-0", "1/3").json()
    assert (progress["answered"], progress["labels"], progress["waiting"], progress["by_you"]) == (2, 3, 1, 1)
    assert stores["upright"].standing("0-1") == {"Ann": Answer.TIE}
    assert list(stores["far"].standing("0-0")) == ["Bob"] and stores["far"].counts().labels == 1
    assert page.get("/api/runs").json() == [
        {"name": "upright", "env_id": "CartPole-v1", "labels": 2, "answered": 1, "waiting": 1},
        {"name": "far", "env_id": "Hopper-v5", "labels": 1, "answered": 1, "waiting": 0},
    ]


def test_quality_is_one_runs_at_a_time(page):
    answer(page, "Ann", "0-1", "tie")
    answer(page, "Bob", "2:0-0", "1/3")
    people = {
        run: [person["who"] for person in page.get(f"/api/quality{run}").json()["people"]]
        for run in ("", "?run=upright", "?run=far")
    }
    assert people == {"": ["Ann"], "?run=upright": ["Ann"], "?run=far": ["Bob"]}
    refused = page.get("/api/quality?run=nope")
    assert (refused.status_code, refused.json()) == (404, {"detail": "there is no such run"})


def test_clips_are_drawn_as_the_querys_run_has_it(stores, tmp_path):
    with (
        PreferenceStore(stores["url"]) as both,
        ClipCache(tmp_path / "clips", draw=lambda query: both.run_of(query.id).draw) as clips,
    ):
        drawn = [clips._settings_of(query)["draw"] for query in both.pending()]
    assert drawn == ["states", "states", "auto"]


def test_label_takes_a_store_alone_and_one_run_of_it_by_name(stores, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{stores['url']}"
    with Label(store=url, web=True).desk() as desk:
        assert {query.id for query in desk.upcoming("Ann")} == {"0-0", "0-1", "2:0-0"}
        desk.release("Ann")
        assert desk.progress("Ann").labels == 3
    with Label(store=url, of_run="far", web=True).desk() as desk:
        [query] = desk.upcoming("Ann")
        assert (query.kind, desk.levels_of(query)) == ("rating-3", ["bad", "fair", "good"])
        assert (desk.instructions_for(query), desk.progress("Ann").labels) == ("go far", 1)
    assert desk._clips.directory == Path("clips") / "clips"
    assert len(_token(Label(store=url).folder)) > 20  # though nobody made the folder

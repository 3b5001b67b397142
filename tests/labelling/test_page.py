import asyncio
import io
import json
import math
import re
import socket
import sqlite3
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from rlhf_gym.config import RLHFConfig
from rlhf_gym.contracts import example_queries
from rlhf_gym.errors import BadInput
from rlhf_gym.labelling import ClipCache, Desk
from rlhf_gym.labelling import clips as clips_module
from rlhf_gym.labelling.page import SHOWS, Access, app, guard, is_loopback, make_app, new_token, serve
from rlhf_gym.labelling.page.app import STATIC
from rlhf_gym.labelling.page.serve import _bind
from rlhf_gym.preferences import Answer, Level, Ranking, Stop
from rlhf_gym.registry import KINDS
from rlhf_gym.segments import Origin
from rlhf_gym.store import PreferenceStore
from rlhf_gym.verbs.labelling import Label

SERVING = sys.modules["rlhf_gym.labelling.page.serve"]  # the package has a function of that name
HERE = "http://127.0.0.1:8765"


@pytest.fixture
def page(room):
    with TestClient(make_app(room.desk), base_url=HERE) as client:
        yield client


def said(response, status):
    """The one line of a refusal."""
    assert response.status_code == status
    assert list(response.json()) == ["detail"] and "\n" not in response.json()["detail"]
    return response.json()["detail"]


def test_a_store_that_can_only_be_read_is_told_to_the_browser_and_the_log(tmp_path, caplog):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(1))
    read_only = f"sqlite:///file:{tmp_path / 'preferences.db'}?mode=ro&uri=true"
    with PreferenceStore(read_only) as store, ClipCache(tmp_path / "clips") as clips:
        with TestClient(make_app(Desk(store, clips)), base_url=HERE) as client:
            for _ in range(2):
                told = said(client.post("/api/next", json={"who": "Ann"}), 503)
                assert told == "the store can't be used just now; ask again"
    assert len(caplog.messages) == 1 and "can't be written to: attempt to write a readonly database" in caplog.text


# Questions and answers


def test_next_gives_a_query_what_comes_after_and_what_to_look_for(page):
    told = page.post("/api/next", json={"who": "Ann"}).json()
    assert told == {
        "query": {"id": "0-0", "kind": "comparison", "options": 2, "levels": []},
        "ahead": ["0-1", "0-2"],
        "instructions": "stay up",
        "progress": {"answered": 0, "by_you": 0, "labels": 5, "waiting": 6, "median_seconds": None},
    }


def test_an_answer_is_in_the_store_when_the_request_returns(page, room):
    given = {"who": "Ann", "query_id": "0-0", "answer": "tie", "seconds": 2.5}
    progress = page.post("/api/answers", json=given).json()
    assert room.store.standing("0-0") == {"Ann": Answer.TIE}
    assert (progress["answered"], progress["by_you"], progress["waiting"]) == (1, 1, 5)
    assert progress["median_seconds"] >= 2.5  # and what the request took
    assert page.get("/api/progress", params={"who": "Bob"}).json()["by_you"] == 0


def test_two_people_label_side_by_side_until_nothing_is_left(page, room):
    done = {"Ann": [], "Bob": []}
    for turn in range(6):
        who = ("Ann", "Bob")[turn % 2]
        query_id = page.post("/api/next", json={"who": who}).json()["query"]["id"]
        page.post("/api/answers", json={"who": who, "query_id": query_id, "answer": "left"})
        done[who].append(query_id)
    assert sorted(done["Ann"] + done["Bob"]) == [f"0-{i}" for i in range(6)]
    assert page.post("/api/next", json={"who": "Ann"}).json()["query"] is None


def test_a_query_that_somebody_else_holds_is_refused(page, room):
    page.post("/api/next", json={"who": "Ann"})
    given = {"who": "Bob", "query_id": "0-0", "answer": "left"}
    assert said(page.post("/api/answers", json=given), 409) == "query 0-0 is with Ann; ask for the next one"
    assert room.store.standing("0-0") == {}


def test_undo_takes_back_what_was_answered_in_the_window_it_is_pressed_in(page, room):
    for query_id in ("0-0", "0-1"):
        page.post("/api/answers", json={"who": "Ann", "query_id": query_id, "answer": "right"})
    pressed = {"who": "Ann", "answered": []}
    assert page.post("/api/undo", json=pressed).json()["query"] is None
    assert page.post("/api/undo", json=pressed | {"answered": ["0-0"]}).json()["query"]["id"] == "0-0"
    assert page.post("/api/undo", json={"who": "Ann"}).json()["query"]["id"] == "0-1"


def test_a_window_that_is_opened_is_told_what_it_may_take_back_and_an_undo_sent_twice_takes_one_back(page, room):
    for query_id in ("0-1", "0-0", "0-2"):
        page.post("/api/answers", json={"who": "Ann", "query_id": query_id, "answer": "right"})
    answered = page.get("/api/answered", params={"who": "Ann"}).json()
    assert answered == ["0-1", "0-0", "0-2"]
    for _ in range(2):
        undone = page.post("/api/undo", json={"who": "Ann", "answered": answered}).json()
        assert undone["query"]["id"] == "0-2"
    assert list(room.store.standing("0-0")) == ["Ann"]


def test_a_query_in_view_is_reserved_for_as_long_as_the_page_says_so(page, room):
    room.store.claim("Ann", lease=0)  # and it has run out
    looking = {"who": "Ann", "query_id": "0-0"}
    assert page.post("/api/reserve", json=looking).json() == {"reserved": True}
    assert page.post("/api/reserve", json=looking | {"who": "Bob"}).json() == {"reserved": False}
    assert room.store.holders("0-0") == {"Ann"}
    assert page.post("/api/next", json={"who": "Bob"}).json()["query"]["id"] == "0-1"


def test_undo_gives_the_last_query_back_and_null_where_there_is_none(page, room):
    assert page.post("/api/undo", json={"who": "Ann"}).json()["query"] is None
    page.post("/api/answers", json={"who": "Ann", "query_id": "0-0", "answer": "right"})
    told = page.post("/api/undo", json={"who": "Ann"}).json()
    assert told["query"]["id"] == "0-0" and told["progress"]["answered"] == 0
    assert room.store.standing("0-0") == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"answer": "LEFT"},
        {"answer": 1},
        {"seconds": -1},
        {"seconds": "3"},
        {"seconds": 1e9},
        {"who": ""},
        {"who": " Ann"},
        {"who": "A\x00nn"},
        {"who": "A\nnn"},
        {"who": "x" * 61},
        {"query_id": 3},
        {"query_id": "0-0\x00"},
        {"more": 1},
    ],
    ids=str,
)
def test_an_answer_that_is_not_as_described_is_refused(page, room, wrong):
    given = {"who": "Ann", "query_id": "0-0", "answer": "left", **wrong}
    if not wrong:
        del given["answer"]
    assert said(page.post("/api/answers", json=given), 422).startswith(("body.", "This name"))
    assert room.store.history() == []


@pytest.mark.parametrize("who", ["", " Ann", "A\nnn", "A\x9bnn", "A  nn", "x" * 61])
def test_a_name_that_can_not_be_kept_is_refused_in_plain_words_by_page_and_terminal(page, who):
    told = said(page.post("/api/next", json={"who": who}), 422)
    assert told == "This name can't be used: use 1 to 60 visible characters, with single spaces between words"
    if who:
        with pytest.raises(BadInput, match="^who is .*; use 1 to 60 visible characters"):
            Label(who=who).name  # noqa: B018


def test_a_name_is_the_same_person_however_its_accents_were_typed(page, room):
    for who, query_id in (("\u00e1nn", "0-0"), ("a\u0301nn", "0-1")):
        page.post("/api/answers", json={"who": who, "query_id": query_id, "answer": "left"})
    assert [room.store.standing(f"0-{i}") for i in range(2)] == [{"\u00e1nn": Answer.LEFT}] * 2
    assert Label(who="a\u0301nn").name == "\u00e1nn"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"who": 1e999}', b"\xff\xfe", b'{"who": "\\ud800"}'])
def test_a_body_that_is_no_such_message_is_refused(page, body):
    assert page.post("/api/next", content=body, headers={"content-type": "application/json"}).status_code in (400, 422)


# Kinds of query


@pytest.fixture
def asks(room):
    """A function from a kind to a page that asks queries of it alone, with words for three levels."""
    with ExitStack() as stack:

        def serve(kind):
            room.store.drop(f"0-{i}" for i in range(6))
            room.store.post(example_queries(2, seed=1, kind=kind))
            desk = Desk(room.store, room.clips, kinds=[kind], levels=("bad", "fair", "good"))
            return stack.enter_context(TestClient(make_app(desk), base_url=HERE))

        yield serve


@pytest.mark.parametrize(
    ("kind", "options", "levels"),
    [
        ("comparison", 2, []),
        ("ranking", 3, []),
        ("rating", 1, ["1", "2", "3", "4", "5"]),
        ("rating-3", 1, ["bad", "fair", "good"]),
        ("switch_off", 1, []),
    ],
)
def test_a_query_tells_its_kind_its_number_of_options_and_its_levels(asks, kind, options, levels):
    page = asks(kind)
    told = page.post("/api/next", json={"who": "Ann"}).json()["query"]
    assert told == {"id": "1-0", "kind": kind, "options": options, "levels": levels}
    clip = page.get("/api/clips?query_id=1-0").json()
    assert len(clip["options"]) == options
    assert all(page.get(option["url"]).headers["content-type"] == "image/jpeg" for option in clip["options"])
    page.post("/api/answers", json={"who": "Ann", "query_id": "1-0", "answer": "skip"})
    assert page.post("/api/undo", json={"who": "Ann"}).json()["query"] == told


@pytest.mark.parametrize(
    ("kind", "text", "means"),
    [
        ("comparison", "right", Answer.RIGHT),
        ("ranking", "[2,[0,1]]", Ranking(((2,), (0, 1)))),
        ("rating", "4/5", Level(4, 5)),
        ("rating-3", "3/3", Level(3, 3)),
        ("switch_off", "8/8", Stop(8, 8)),
        ("switch_off", "skip", Answer.SKIP),
    ],
)
def test_an_answer_is_the_text_of_the_querys_kind(asks, room, kind, text, means):
    given = {"who": "Ann", "query_id": "1-0", "answer": text}
    assert asks(kind).post("/api/answers", json=given).status_code == 200
    assert room.store.standing("1-0") == {"Ann": means}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("comparison", "4/5"),
        ("ranking", "left"),
        ("ranking", "[0,0,1]"),
        ("ranking", "[0,1]"),
        ("ranking", "[0,1,2,3]"),
        ("rating", "6/5"),
        ("rating", "0/5"),
        ("rating-3", "3/5"),
        ("switch_off", "9/8"),
        ("switch_off", "3/4"),
    ],
)
def test_what_is_no_answer_to_a_query_of_that_kind_is_refused(asks, room, kind, text):
    given = {"who": "Ann", "query_id": "1-0", "answer": text}
    assert said(asks(kind).post("/api/answers", json=given), 422).startswith("body.answer: ")
    assert room.store.history() == []


def test_every_kind_of_feedback_is_shown_in_the_words_of_the_runs_settings(tmp_path):
    assert set(SHOWS) == set(KINDS)
    feedback = {"levels": ["bad", "fair", "good"], "instructions": "Keep it up."}
    settings = {"env_id": "CartPole-v1", "labels": 7, "kind": "rating-3", "teacher": "web", "feedback": feedback}
    RLHFConfig.from_dict(settings).to_yaml(tmp_path / "config.yaml")
    PreferenceStore(tmp_path / "preferences.db").close()
    with Label(tmp_path, web=True).desk() as desk:
        assert (desk.kinds, desk.levels) == (SHOWS, ("bad", "fair", "good"))
        assert (desk.labels, desk.instructions) == (7, "Keep it up.")


# Clips


def test_a_clip_tells_how_to_play_it_and_where_its_pictures_are(page):
    told = page.get("/api/clips?query_id=0-0").json()
    assert (told["width"], told["height"], told["milliseconds"], told["slowdown"]) == (8, 4, 50, 1)
    left, right = told["options"]
    assert left == {"name": "left", "url": "/api/clips/left?query_id=0-0", "columns": 2, "order": [0, 1, 1], "lived": 1}
    picture = page.get(right["url"])
    assert picture.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(picture.content)) as sheet:
        assert sheet.size == (16, 4) and sheet.getpixel((0, 0)) == (160, 160, 160)


@pytest.mark.parametrize(
    "id_", ["a/b", "..", "%2e%2e", "q?x#y&z", "a\\b", "tab\tid", "two\nlines", "x" * 5000, "é", " ", ""]
)
def test_the_page_takes_every_id_that_the_store_takes(page, room, id_):
    room.store.drop(f"0-{i}" for i in range(6))
    room.store.post([replace(room.store.query("0-0"), id=id_)])
    assert page.post("/api/next", json={"who": "Ann"}).json()["query"]["id"] == id_
    clip = page.get("/api/clips", params={"query_id": id_}).json()
    assert clip["query_id"] == id_ and page.get(clip["options"][0]["url"]).status_code == 200
    page.post("/api/answers", json={"who": "Ann", "query_id": id_, "answer": "left"})
    assert room.store.standing(id_) == {"Ann": Answer.LEFT}
    assert page.post("/api/undo", json={"who": "Ann", "answered": [id_]}).json()["query"]["id"] == id_


def test_a_clip_that_is_not_drawn_yet_is_to_be_asked_for_again(page, room, monkeypatch):
    monkeypatch.setattr(app, "CLIP_SECONDS", 0.1)
    room.clips.late.add("0-0")
    assert "isn't ready after 0.1 s; ask again" in said(page.get("/api/clips?query_id=0-0"), 202)
    assert "ask again" in said(page.get("/api/clips/left?query_id=0-0"), 202)


def test_who_waits_for_a_clip_keeps_the_query(page, room, monkeypatch):
    monkeypatch.setattr(app, "CLIP_SECONDS", 0.1)
    room.clips.late.add("0-0")
    room.store.claim("ann", lease=2.0)
    said(page.get("/api/clips?query_id=0-0"), 202)
    time.sleep(2.1)
    assert room.store.holders("0-0") == {"ann"}


def test_a_clip_that_can_not_be_drawn_says_why(page, room):
    room.clips.undrawable.add("0-0")
    assert said(page.get("/api/clips?query_id=0-0"), 409) == "query 0-0 can't be shown: nobody knows how"


@pytest.fixture
def patience(monkeypatch):
    """However busy this machine is, what can't be drawn is told at the first request."""
    monkeypatch.setattr(app, "CLIP_SECONDS", 600.0)


@pytest.mark.usefixtures("patience")
def test_a_client_is_told_that_a_clip_can_not_be_written_and_the_log_where(room, tmp_path, caplog):
    (tmp_path / "no folder").touch()
    with ClipCache(tmp_path / "no folder" / "clips", draw="states") as clips:
        with TestClient(make_app(Desk(room.store, clips)), base_url=HERE) as page:
            told = said(page.get("/api/clips?query_id=0-0"), 409)
    assert told == "query 0-0 can't be shown just now, as its clip can't be written; the server's log says why"
    assert str(tmp_path / "no folder") in caplog.text


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("env_id", "told"), [("Elsewhere-v0", True), ("/srv/secret:Elsewhere-v0", False)])
def test_why_a_clip_can_not_be_drawn_is_told_unless_it_names_a_file(room, tmp_path, caplog, env_id, told):
    one = room.store.query("0-0")
    room.store.post([replace(one, id="far", options=(replace(one.left, origin=Origin(env_id, 0)), one.right))])
    with ClipCache(tmp_path / "clips") as clips, TestClient(make_app(Desk(room.store, clips)), base_url=HERE) as page:
        why = said(page.get("/api/clips?query_id=far"), 409)
    assert why.startswith("query far can't be shown: ") is told
    assert (env_id in why) is told and (env_id in caplog.text) is not told


@pytest.mark.usefixtures("patience")
def test_a_client_is_told_that_a_damaged_clip_stays_damaged_and_the_log_where(room, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(clips_module.shutil, "rmtree", lambda *_, **__: None)  # as where it can't be removed
    with ClipCache(tmp_path / "drawn", draw="states") as clips:
        drawn = clips.wait(room.store.query("0-0"), timeout=600).directory
        (drawn / "clip.json").write_text("{}")
        with TestClient(make_app(Desk(room.store, clips)), base_url=HERE) as page:
            told = said(page.get("/api/clips?query_id=0-0"), 409)
    assert told == "the clip of query 0-0 can't be read; the server's log says why"
    assert f"remove {drawn}" in caplog.text


def test_a_client_is_not_told_where_a_damaged_store_is_and_the_log_is(room, tmp_path, caplog):
    file = tmp_path / "preferences.db"
    with PreferenceStore(file) as store:
        store.post(example_queries(1))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE segments SET arrays = x'746f726e'")
    connection.close()
    with PreferenceStore(file) as store, TestClient(make_app(Desk(store, room.clips)), base_url=HERE) as page:
        assert "the server's log says why" in said(page.get("/api/clips?query_id=0-0"), 500)
    assert f"{file} is damaged" in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/clips?query_id=none",
        "/api/clips/left?query_id=none",
        "/api/clips/left?query_id=..%2f..%2fetc%2fpasswd",
        "/api/clips?query_id=%00",
    ],
)
def test_only_queries_of_the_store_have_clips(page, path):
    assert page.get(path).status_code in (404, 422)


def test_a_clip_has_the_options_of_its_query(page):
    assert page.get("/api/clips/middle?query_id=0-0").status_code == 422
    assert said(page.get("/api/clips/c?query_id=0-0"), 404) == "query '0-0' has no option c; use left, right"


def test_an_answer_to_an_unknown_query_is_refused(page):
    given = {"who": "Ann", "query_id": "none", "answer": "left"}
    assert "query 'none' is not in the store" in said(page.post("/api/answers", json=given), 404)


# Dashboard


def test_the_curve_is_the_rounds_so_far_with_null_for_what_does_not_exist(room):
    app = make_app(room.desk, curve=lambda: [{"round": 0.0, "true_return": math.nan}])
    with TestClient(app, base_url=HERE) as page:
        assert page.get("/api/curve").json() == [{"round": 0, "true_return": None}]


def test_quality_is_told_per_person(page, room):
    room.store.record("0-0", Answer.LEFT, teacher="Ann", shown_at=10, answered_at=13)
    [ann] = page.get("/api/quality").json()["people"]
    assert (ann["who"], ann["answers"], ann["seconds"]) == ("Ann", 1, [3, 3, 3])


# What is served besides


def test_nothing_is_loaded_from_elsewhere_and_nothing_inline_runs(page):
    for path in ("/", "/dashboard"):
        answer = page.get(path)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", answer.text)
    for file in STATIC.iterdir():
        served = page.get(f"/static/{file.name}")
        assert served.status_code == 200 and served.content == file.read_bytes()
        assert set(re.findall(r"https?://[^\s\"')]+", served.text)) <= {"http://www.w3.org/2000/svg"}


def test_fastapis_own_pages_which_load_from_elsewhere_are_not_there(page):
    assert [page.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


def test_the_page_asks_only_for_what_lies_beside_it_so_that_a_proxy_may_put_a_path_before_it():
    for file in STATIC.iterdir():
        if file.suffix in (".html", ".js"):
            assert not re.search(r"""(href|src)="/|["'`]/(api|static|dashboard)""", file.read_text()), file.name


def test_the_api_describes_itself(page):
    described = page.get("/openapi.json").json()["paths"]
    assert set(described) == {
        "/api/next",
        "/api/answers",
        "/api/undo",
        "/api/reserve",
        "/api/answered",
        "/api/progress",
        "/api/clips",
        "/api/clips/{option}",
        "/api/games",
        "/api/games/step",
        "/api/games/send",
        "/api/curve",
        "/api/quality",
        "/api/runs",
    }


# Who may come in

PATHS = [
    "/",
    "/dashboard",
    "/static/page.js",
    "/openapi.json",
    "/api/curve",
    "/api/clips/left?query_id=0-0",
    "/nowhere",
]


@pytest.fixture
def guarded(room):
    with TestClient(make_app(room.desk, token="s3cret"), base_url="http://labels.example:80") as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer é"}, {"cookie": "x"}]
)
def test_without_the_token_nothing_is_answered_but_401(guarded, path, headers):
    headers = {name: value.encode() for name, value in headers.items()}
    assert "a token is needed" in said(guarded.get(path, headers=headers), 401)
    assert guarded.post(path, headers=headers, json={"who": "Ann"}).status_code == 401
    assert guarded.get(path, params={"token": "wrong"}).status_code == 401


def test_a_browser_without_the_token_is_told_so_by_a_page(guarded):
    told = guarded.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert told.status_code == 401 and told.headers["content-type"].startswith("text/html")
    assert "<p>A token is needed: open the address" in told.text


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(guarded):
    answer = guarded.get("/?token=s3cret", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    kept = answer.headers["set-cookie"].lower()
    assert "httponly" in kept and "samesite=strict" in kept
    assert guarded.get("/").status_code == 200  # the client has kept it
    assert guarded.post("/api/next", json={"who": "Ann"}).json()["query"]["id"] == "0-0"
    guarded.cookies.clear()
    assert guarded.get("/").status_code == 401


def test_only_pages_take_the_token_from_the_address(guarded):
    assert guarded.get("/api/curve", params={"token": "s3cret"}).status_code == 401
    assert guarded.get("/dashboard?token=s3cret", follow_redirects=False).headers["location"] == "dashboard"


def test_a_program_brings_the_token_as_bearer(guarded):
    bearer = {"authorization": "Bearer s3cret"}
    assert guarded.get("/openapi.json", headers=bearer).status_code == 200
    assert guarded.post("/api/next", json={"who": "Crowd"}, headers=bearer).json()["query"]["id"] == "0-0"


def test_a_cookie_of_another_token_does_not_open(guarded, room):
    with TestClient(make_app(room.desk, token="other"), base_url="http://labels.example:80") as other:
        other.get("/?token=other")
        guarded.cookies.update(other.cookies)
    assert guarded.get("/").status_code == 401


@pytest.mark.parametrize("other", ['g_state={"i_l":0}', "a=b c", 'x="unclosed', "foo", "p@th=1", "n=\xe9", "=", ""])
def test_cookies_of_other_applications_lock_nobody_out(guarded, other):
    own = guarded.get("/?token=s3cret", follow_redirects=False).headers["set-cookie"].split(";")[0]
    guarded.cookies.clear()
    for sent in (f"{other}; {own}", f"{own}; {other}"):
        assert guarded.get("/", headers={"cookie": sent.encode("latin-1")}).status_code == 200
    assert guarded.get("/", headers={"cookie": other.encode("latin-1")}).status_code == 401


def test_whoever_follows_a_link_from_elsewhere_is_asked_again_once(guarded):
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = guarded.get("/", headers=elsewhere)
    assert answer.status_code == 401 and 'http-equiv="refresh"' in answer.text
    assert "refresh" not in guarded.get("/", headers={"sec-fetch-site": "same-origin"}).text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "", "127.0.0.1.evil.example", "[::1", "8.8.8.8"])
def test_without_a_token_only_this_machines_own_names_are_answered(page, host):
    assert "on the machine it runs on only" in said(page.get("/api/curve", headers={"host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8765", "[::1]:8765", "127.0.0.2"])
def test_this_machines_own_names_are_answered(page, host):
    assert page.get("/api/curve", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null", "http://localhost:8765"])
@pytest.mark.parametrize("path", ["/api/next", "/api/answers", "/api/undo"])
def test_another_sites_page_can_not_answer_in_anybodys_name(page, room, path, origin):
    given = {"who": "Ann", "query_id": "0-0", "answer": "left"} if path == "/api/answers" else {"who": "Ann"}
    assert "another web site" in said(page.post(path, json=given, headers={"origin": origin}), 403)
    assert room.store.history() == []
    assert page.post(path, json=given, headers={"origin": HERE}).status_code == 200


def test_with_the_token_too_another_site_is_refused(guarded):
    headers = {"authorization": "Bearer s3cret", "origin": "http://evil.example"}
    assert guarded.post("/api/next", json={"who": "Ann"}, headers=headers).status_code == 403


# What comes in


@pytest.mark.parametrize("path", ["/api/next", "/api/answers", "/api/undo", "/api/games/step", "/nowhere"])
@pytest.mark.parametrize("told", [True, False], ids=["length told", "in pieces"])
def test_a_body_larger_than_any_message_is_refused_in_one_line(page, path, told):
    read = []

    def pieces():
        for _ in range(1000):
            read.append(1)
            yield b" " * 1024

    sent = page.post(path, content=b" " * 70_000 if told else pieces(), headers={"content-type": "application/json"})
    assert said(sent, 413) == "the body has more than 65536 bytes, and no message has so many"
    assert sent.headers["connection"] == "close"


async def ask(app, method, address, receive):
    """The status with which an app answers a request, whose body comes from `receive`."""
    told = []

    async def send(message):
        told.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    path, _, query = address.partition("?")
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}
    await app(scope, receive, send)
    return told[0]["status"]


def test_the_rest_of_a_body_that_is_too_large_is_not_read(room):
    read = []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b" " * 1024, "more_body": True}

    assert asyncio.run(ask(make_app(room.desk), "POST", "/api/next", receive)) == 413
    assert len(read) == 65


def test_a_body_that_does_not_come_is_not_waited_for(room, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.01)
    assert asyncio.run(ask(make_app(room.desk), "POST", "/api/next", asyncio.Event().wait)) == 408


def test_clips_that_are_waited_for_keep_no_thread_from_answers(room):
    room.clips.late.update(f"0-{i}" for i in range(6))
    page, given = make_app(room.desk), {"who": "Ann", "query_id": "0-0", "answer": "left"}

    def body(text=""):
        async def receive():
            return {"type": "http.request", "body": text.encode()}

        return receive

    async def crowd():
        waiting = [asyncio.ensure_future(ask(page, "GET", f"/api/clips?query_id=0-{i % 6}", body())) for i in range(60)]
        await asyncio.sleep(0)
        assert await ask(page, "POST", "/api/answers", body(json.dumps(given))) == 200
        assert not any(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(crowd())


def test_a_clip_that_was_removed_between_is_to_be_asked_for_again(page, room):
    (room.clips.directory / "left.jpg").unlink()
    assert "ask again" in said(page.get("/api/clips/left?query_id=0-0"), 202)


# Behind a proxy, and in a frame


@pytest.fixture
def proxied(room):
    access = Access(root_path="/label/", allowed_hosts=["Labels.example", "b.example:8443"])
    with TestClient(make_app(room.desk, access=access), base_url="http://labels.example") as client:
        yield client


@pytest.mark.parametrize("before", ["", "/label"], ids=["left out", "passed on"])
def test_a_proxy_may_pass_the_root_path_on_or_leave_it_out(proxied, before):
    assert "<title>Labelling</title>" in proxied.get(f"{before}/").text
    assert proxied.get(f"{before}/static/page.js").status_code == 200
    assert proxied.post(f"{before}/api/next", json={"who": "Ann"}).json()["query"]["id"] == "0-0"
    left, _ = proxied.get(f"{before}/api/clips?query_id=0-0").json()["options"]
    assert left["url"] == "/label/api/clips/left?query_id=0-0" and proxied.get(left["url"]).status_code == 200


def test_the_root_path_without_its_slash_leads_to_the_page(proxied):
    answer = proxied.get("/label?token=x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/label/?token=x")
    assert proxied.get("/labelled").status_code == 404


def test_the_slash_comes_before_the_token_is_asked_for(room):
    app = make_app(room.desk, token="s3cret", access=Access(root_path="/label"))
    with TestClient(app, base_url="https://labels.example") as page:
        answer = page.get("/label?token=s3cret", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (308, "/label/?token=s3cret")


def test_the_api_says_under_which_path_it_is_served(proxied):
    assert proxied.get("/openapi.json").json()["servers"] == [{"url": "/label"}]


@pytest.mark.parametrize(
    ("host", "status"),
    [("labels.example", 200), ("labels.example:81", 200), ("b.example", 200), ("c.example", 403), ("127.0.0.1", 200)],
)
def test_only_hosts_that_are_named_are_answered(proxied, host, status):
    assert proxied.get("/api/curve", headers={"host": host}).status_code == status


@pytest.mark.parametrize("host", ["labels.example", "127.0.0.1:8765"])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://labels.example", 200),
        ("https://b.example:8443", 200),
        ("https://labels.example:444", 403),
        ("https://b.example", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_the_pages_own_names_may_answer_whether_or_not_the_proxy_passes_its_host_on(proxied, host, origin, status):
    headers = {"host": host, "origin": origin}
    assert proxied.post("/api/next", json={"who": "Ann"}, headers=headers).status_code == status


def test_the_cookie_is_for_the_root_path_alone(room):
    app = make_app(room.desk, token="s3cret", access=Access(root_path="/label"))
    with TestClient(app, base_url="https://labels.example") as page:
        kept = page.get("/label/?token=s3cret", follow_redirects=False)
        assert kept.headers["location"] == "./" and "path=/label;" in kept.headers["set-cookie"].lower()
        assert page.get("/label/").status_code == 200
        assert page.get("/").status_code == 401


def test_nobody_frames_the_page_unless_named(page, room):
    assert "frame-ancestors 'none'" in page.get("/").headers["content-security-policy"]
    access = Access(frame_ancestors=["https://worker.mturk.com", "self"])
    with TestClient(make_app(room.desk, token="s3cret", access=access), base_url="https://labels.example") as framed:
        answer = framed.get("/?token=s3cret", follow_redirects=False)
        assert answer.headers["content-security-policy"].endswith("frame-ancestors https://worker.mturk.com 'self'")
        kept = answer.headers["set-cookie"].lower()
        assert "samesite=none" in kept and "secure" in kept and "partitioned" in kept and "httponly" in kept
        elsewhere = {"origin": "https://worker.mturk.com"}  # may show it, and not answer
        assert framed.post("/api/next", json={"who": "Ann"}, headers=elsewhere).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"root_path": "label"},
        {"root_path": "/la bel"},
        {"root_path": "/a/../b"},
        {"root_path": "//evil.example"},
        {"root_path": "/api"},
        {"allowed_hosts": ["https://labels.example"]},
        {"allowed_hosts": ["labels.example/"]},
        {"allowed_hosts": ["*"]},
        {"allowed_hosts": [""]},
        {"frame_ancestors": ["*"]},
        {"frame_ancestors": ["https://a.example; script-src *"]},
        {"frame_ancestors": ["a.example"]},
        {"frame_ancestors": [""]},
    ],
    ids=str,
)
def test_what_is_no_such_path_host_or_site_is_refused_in_one_line(wrong):
    with pytest.raises(BadInput, match="; expected |; use another") as refusal:
        Access(**wrong)
    assert "\n" not in str(refusal.value)


def test_connections_send_each_packet_at_once():
    with (
        _bind("127.0.0.1", 0) as bound,
        socket.create_connection(bound.getsockname()),
        bound.accept()[0] as served,
    ):
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_connection_that_asks_for_nothing_is_dropped(monkeypatch, room):
    monkeypatch.setattr(SERVING, "HEAD_SECONDS", 0.05)
    bound = _bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(room.desk), http=SERVING._Protocol, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        with (
            socket.create_connection(bound.getsockname()) as silent,
            socket.create_connection(bound.getsockname()) as slow,
        ):
            slow.sendall(b"GET / HT")
            for one in (silent, slow):
                one.settimeout(60)
                with suppress(ConnectionResetError):
                    assert one.recv(1) == b""
    finally:
        server.should_exit = True
        thread.join()


def test_tokens_are_long_and_never_the_same():
    assert len(new_token()) >= 32 and new_token() != new_token()


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("a.example", False)],
)
def test_which_addresses_only_this_machine_reaches(host, own):
    assert is_loopback(host) is own


def test_a_port_that_is_taken_is_told_in_one_line(room):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ValueError, match=rf"host 127.0.0.1, port {port} can't be served on: .*; use another --port"
        ):
            serve(make_app(room.desk), host="127.0.0.1", port=port, started=print)

"""Live play: people's keys, an environment, and a segment that replays."""

import io
import itertools
import threading

import numpy as np
import pytest
from fastapi.testclient import TestClient
from gymnasium import spaces
from PIL import Image

from rlhf_gym.contracts import example_queries
from rlhf_gym.envs import make_env, replay
from rlhf_gym.kinds import choices, find_kind
from rlhf_gym.labelling import Desk, playing
from rlhf_gym.labelling.controls import controls
from rlhf_gym.labelling.games import Games
from rlhf_gym.labelling.page import SHOWS, make_app, plays
from rlhf_gym.labelling.playing import Game, NoGame
from rlhf_gym.preferences import Answer, Preference, Query, Shown
from rlhf_gym.segments import Ending, Origin, Trajectory
from rlhf_gym.store import PreferenceStore

HERE = "http://127.0.0.1:8765"


def episode(env_id, seed, steps=30, act=None):
    """An episode of random actions, as a recorder keeps it."""
    env = make_env(Origin(env_id, seed))
    env.action_space.seed(seed)
    observations, actions, rewards, ending = [env.reset(seed=seed)[0].copy()], [], [], Ending.UNFINISHED
    while ending is Ending.UNFINISHED and len(actions) < steps:
        actions.append(env.action_space.sample() if act is None else act)
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        observations.append(observation.copy())
        rewards.append(reward)
        ending = Ending.TERMINATED if terminated else Ending.TRUNCATED if truncated else ending
    env.close()
    return Trajectory(np.array(observations), np.array(actions), np.float32(rewards), ending, Origin(env_id, seed))


def demonstration(env_id="CartPole-v1", *, length=6):
    return Query(tuple(episode(env_id, seed).cut(1, length) for seed in range(3)), id="d", kind="demonstration")


def correction(env_id="CartPole-v1", *, length=6, start=3):
    return Query((episode(env_id, 4).cut(start, length),), id="c", kind="correction")


def play(game, actions):
    for action in actions:
        game.step(action, at=game.steps)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_a_correction_goes_on_from_where_the_option_starts_and_replays(env_id):
    query = correction(env_id)
    game = Game(query, seed=0)
    play(game, [1, 0, 1, 0, 1, 0])
    assert game.over and game.enough
    made = game.segment()
    game.close()
    assert (made.length, made.lived, made.start) == (6, 6, 3) and made.actions.tolist() == [1, 0, 1, 0, 1, 0]
    assert made.origin == query.options[0].origin
    replay(made, draw=False)  # or it raises
    [choice] = choices([Preference(query, Shown(made))])
    assert choice.options == (made, query.options[0]) and choice.target == (1, 0)
    for name in ("observations", "actions", "rewards"):
        assert getattr(made, name).dtype == getattr(query.options[0], name).dtype
    kind = find_kind("correction")
    assert kind.parse(kind.text(Shown(made)), 1) == Shown(made)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_a_demonstration_is_the_last_steps_played_from_a_reset_and_replays(env_id):
    game = Game(demonstration(env_id), seed=7)
    play(game, [0, 1] * 5)
    assert not game.over and game.enough
    made = game.segment()
    assert (made.length, made.lived, made.start, made.terminated) == (6, 6, 4, False)
    assert made.origin == Origin(env_id, 7)
    replay(made, draw=False)
    game.close()


def test_an_episode_that_ends_early_is_over_and_marked_as_ended():
    game = Game(correction(length=60, start=0), seed=0)
    play(game, [0] * 20)
    assert game.over and game.enough and game.steps < 20
    made = game.segment()
    assert made.terminated and made.lived == game.steps and made.length == 60
    replay(made, draw=False)
    game.close()


def test_too_short_a_play_is_no_answer_yet():
    game = Game(demonstration(), seed=0)
    play(game, [0, 1, 0])
    assert not game.enough
    with pytest.raises(NoGame, match="3 steps are played; play 6, or until the episode ends"):
        game.segment()
    game.close()


def test_a_step_that_is_asked_for_twice_is_made_once_and_one_out_of_turn_not_at_all():
    game = Game(demonstration(), seed=0)
    for _ in range(2):
        game.step(1, at=0)
    assert game.steps == 1
    for at in (2, 7):
        with pytest.raises(NoGame, match=f"the game is at step 1, not at {at}"):
            game.step(1, at=at)
    with pytest.raises(ValueError, match="action is 2; CartPole-v1 has Discrete"):
        game.step(2, at=1)
    assert game.steps == 1
    game.close()


def test_pictures_show_the_present_state():
    game = Game(correction(), seed=0, width=120)
    before = game.picture()
    with Image.open(io.BytesIO(before)) as picture:
        assert picture.format == "JPEG" and picture.size == (120, 80)
    play(game, [1] * 5)
    assert game.picture() != before
    game.close()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (example_queries(1, kind="correction")[0], "has no origin from which it could be played"),
        (example_queries(1)[0], "is a comparison; played are demonstration and correction"),
        (correction("Pendulum-v1"), r"Pendulum-v1 has actions Box\(.*; by keys are played those with Discrete"),
    ],
)
def test_what_can_not_be_played_is_refused_in_one_line(query, why):
    with pytest.raises(ValueError, match=why) as refused:
        Game(query, seed=0)
    assert "\n" not in str(refused.value)


def test_a_segment_that_does_not_replay_is_not_played():
    query = correction()
    query.options[0].earlier_actions.flags.writeable = True
    query.options[0].earlier_actions[:] = 1 - query.options[0].earlier_actions
    with pytest.raises(ValueError, match="CartPole-v1 doesn't replay"):
        Game(query, seed=0)


@pytest.mark.parametrize(
    ("env_id", "n", "keys", "idle"),
    [
        ("CartPole-v1", 2, {"ArrowLeft": "push left", "ArrowRight": "push right"}, (0, 1)),
        ("my_envs:MountainCar-v0", 3, {"ArrowLeft": "accelerate left", "ArrowRight": "accelerate right"}, (1,)),
        (
            "LunarLander-v3",
            4,
            {"ArrowLeft": "fire left engine", "ArrowUp": "fire main engine", "ArrowRight": "fire right engine"},
            (0,),
        ),
        ("Mine-v0", 3, {"ArrowLeft": "action 0", "ArrowRight": "action 2"}, (1,)),
    ],
)
def test_keys_mean_actions(env_id, n, keys, idle):
    found = controls(spaces.Discrete(n), env_id)
    assert {control.key: control.name for control in found.keys} == keys and found.idle == idle
    assert sorted([*(control.action for control in found.keys), *idle])[:: 2 if n == 2 else 1] == list(range(n))


@pytest.mark.parametrize("space", [spaces.Discrete(5), spaces.Discrete(2, start=1), spaces.Box(-1, 1, (1,))])
def test_other_actions_have_no_keys(space):
    with pytest.raises(ValueError, match="by keys are played those with Discrete"):
        controls(space, "Mine-v0")


# Games under way


@pytest.fixture
def closed(monkeypatch):
    """Games that were closed, in order."""
    found, close = [], Game.close
    monkeypatch.setattr(Game, "close", lambda game: (found.append(game), close(game))[1])
    return found


def test_a_person_plays_one_game_and_no_more_are_under_way_than_allowed(closed):
    games, query = Games(rng=np.random.default_rng(0), most=2, spare_seconds=-1), demonstration()
    first = games.begin("ann", query)
    again = games.begin("ann", query)
    assert closed == [first] and games.find("ann", "d") is again
    bob = games.begin("bob", query)
    games.find("ann", "d")  # lately
    games.begin("cid", query)
    assert closed == [first, bob] and len(games) == 2
    for person, query_id in (("bob", "d"), ("ann", "other")):
        with pytest.raises(NoGame, match=f"{person} plays no game of query '{query_id}' any more"):
            games.find(person, query_id)
    games.close()
    assert len(closed) == 4 and len(games) == 0


def test_a_newcomer_ends_nobodys_game_while_it_is_played(closed):
    games, query = Games(rng=np.random.default_rng(0), most=2), demonstration()
    ann = games.begin("ann", query)
    games.begin("bob", query)
    with pytest.raises(NoGame, match="2 people are playing just now; begin again in a minute, or skip it"):
        games.begin("cid", query)
    assert closed == [] and games.find("ann", "d") is ann
    games.begin("ann", query)  # another one of her own
    assert closed == [ann] and len(games) == 2
    games.close()


def test_a_game_that_nobody_plays_any_more_is_ended(closed):
    games = Games(rng=np.random.default_rng(0), idle_seconds=-1)
    game = games.begin("ann", demonstration())
    with pytest.raises(NoGame):
        games.find("ann", "d")
    assert closed == [game]


def test_demonstrations_begin_differently():
    games = Games(rng=np.random.default_rng(0))
    starts = [games.begin("ann", demonstration()).picture() for _ in range(3)]
    assert len(set(starts)) == 3
    games.close()


def test_a_game_has_an_end(monkeypatch):
    monkeypatch.setattr(playing, "MOST_STEPS", 8)
    game = Game(demonstration("MountainCar-v0"), seed=0)
    play(game, [0] * 8)
    game.step(0, at=8)
    assert game.over and game.steps == 8
    game.close()


# By way of the page


@pytest.fixture
def page(room):
    room.store.drop(f"0-{i}" for i in range(6))
    room.store.post([correction(), demonstration()])
    with TestClient(make_app(Desk(room.store, room.clips, kinds=SHOWS)), base_url=HERE) as client:
        yield client


def test_an_answer_is_played_by_requests(page, room):
    asked = {"who": "Ann", "query_id": "c"}
    begun = page.post("/api/games", json=asked).json()
    assert [control["key"] for control in begun["controls"]] == ["ArrowLeft", "ArrowRight"]
    assert (begun["frames_per_second"], begun["idle"]) == (50, [0, 1])
    frame = begun["frame"]
    assert page.post("/api/games/send", json=asked).status_code == 409
    for action in itertools.islice(itertools.cycle([0, 1]), 6):
        frame = page.post("/api/games/step", json={**asked, "at": frame["steps"], "action": action}).json()
    assert (frame["steps"], frame["length"], frame["over"], frame["enough"]) == (6, 6, True, True)
    assert page.post("/api/games/send", json={**asked, "seconds": 9.0}).json()["by_you"] == 1
    said = room.store.standing("c")["Ann"]
    assert isinstance(said, Shown) and said.segment.actions.tolist() == [0, 1, 0, 1, 0, 1]
    assert page.post("/api/undo", json={"who": "Ann"}).json()["query"]["id"] == "c"
    assert room.store.standing("c") == {}
    assert page.post("/api/games/send", json=asked).status_code == 409  # the game is over and gone


def test_a_query_that_is_being_played_stays_with_its_player(page, room):
    asked = {"who": "Ann", "query_id": "c"}
    page.post("/api/games", json=asked)
    room.store.release("Ann")  # as if her lease had run out
    page.post("/api/games/step", json={**asked, "at": 0, "action": 0})
    assert room.store.holders("c") == {"Ann"}


def test_a_played_answer_that_is_sent_again_is_the_same(page, room):
    asked = {"who": "Ann", "query_id": "c"}
    page.post("/api/games", json=asked)
    for at in range(6):
        page.post("/api/games/step", json={**asked, "at": at, "action": 0})
    first, again = (page.post("/api/games/send", json=asked) for _ in range(2))
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(room.store.history()) == 1
    assert page.post("/api/games/send", json={**asked, "who": "Bob"}).status_code == 409


def test_an_environment_that_hangs_keeps_a_few_seats_and_nobodys_answers(page, room, monkeypatch):
    query = room.store.pending(1)[0].id
    monkeypatch.setattr(plays, "STEP_SECONDS", 0.05)
    hung, goes_on = threading.BoundedSemaphore(plays.MOST_AT_ONCE), threading.Event()

    def hang(games, person, query):
        hung.acquire(blocking=False)
        goes_on.wait(60)
        raise NoGame("it is over")

    monkeypatch.setattr(Games, "begin", hang)
    try:
        for _ in range(plays.MOST_AT_ONCE):
            told = page.post("/api/games", json={"who": "Ann", "query_id": query})
            assert told.status_code == 409 and "hasn't answered within 0.05 s" in told.json()["detail"]
        assert not hung.acquire(blocking=False)  # all seats are taken
        told = page.post("/api/games", json={"who": "Bob", "query_id": query})
        assert told.status_code == 409 and told.json()["detail"].startswith("8 steps are being played just now")
        assert page.get("/api/progress", params={"who": "Bob"}).status_code == 200
    finally:
        goes_on.set()


def test_a_game_is_ended_though_a_step_of_it_hangs(monkeypatch):
    monkeypatch.setattr(playing, "CLOSE_SECONDS", 0.01)
    game = Game(demonstration(), seed=0)
    with game._lock:  # as a step that is under way holds it
        game.close()
    game.step(0, at=0)
    game.close()


def test_what_is_played_is_not_typed(page, room):
    given = {"who": "Ann", "query_id": "c", "answer": "{}"}
    refused = page.post("/api/answers", json=given)
    assert refused.status_code == 422 and "is played" in refused.json()["detail"]
    page.post("/api/answers", json={**given, "answer": "skip"})
    assert room.store.standing("c") == {"Ann": Answer.SKIP}


def test_a_query_that_can_not_be_played_says_why(page, room):
    room.store.post([Query(correction("Pendulum-v1").options, id="p", kind="correction")])
    refused = page.post("/api/games", json={"who": "Ann", "query_id": "p"})
    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("query p can't be played here: Pendulum-v1 has actions Box")


def test_a_game_is_not_sent_for_a_query_that_somebody_else_has(page, room):
    asked = {"who": "Ann", "query_id": "d"}
    frame = page.post("/api/games", json=asked).json()["frame"]
    while not frame["enough"]:
        frame = page.post("/api/games/step", json={**asked, "at": frame["steps"], "action": 0}).json()
    room.store.record("d", Answer.SKIP, teacher="Bob")
    assert page.post("/api/games/send", json=asked).status_code == 409


def test_an_answer_that_was_played_comes_back_from_the_store(tmp_path):
    query = correction()
    game = Game(query, seed=0)
    play(game, [0, 1] * 3)
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post([query])
        store.record("c", Shown(game.segment()), teacher="Ann")
    with PreferenceStore(tmp_path / "preferences.db") as store:
        [kept] = store.preferences()
    assert kept.answer == Shown(game.segment())
    game.close()

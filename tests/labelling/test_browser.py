"""The page in a real browser. RLHF_GYM_REQUIRE_CHROMIUM=1 makes a missing browser a failure instead of a skip."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import uvicorn

from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import make_env, replay
from rlhf_gym.labelling import ClipCache, Desk
from rlhf_gym.labelling.page import SHOWS, make_app
from rlhf_gym.labelling.page.app import STATIC
from rlhf_gym.preferences import Answer, Level, Query, Ranking, Stop
from rlhf_gym.runs import metrics_so_far
from rlhf_gym.segments import Ending, Origin, Trajectory
from rlhf_gym.store import PreferenceStore

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SERVE = "import sys; from rlhf_gym.cli import main; sys.exit(main())"


def missing(what):
    if os.environ.get("RLHF_GYM_REQUIRE_CHROMIUM") == "1":
        pytest.fail(f"{what}, and RLHF_GYM_REQUIRE_CHROMIUM is 1")
    pytest.skip(f"{what}; the page was not tried in a browser")


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright isn't installed (pip install playwright)")
    if CHROMIUM is None:
        missing("chromium isn't installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def heeding_keys_at_once(route):
    """Serve the page's script as it is, except that it heeds answers to a query from its first moment in view."""
    script = (STATIC / "page.js").read_text()
    assert "GLANCE = 300;" in script
    route.fulfill(body=script.replace("GLANCE = 300;", "GLANCE = 0;"), content_type="text/javascript")


@pytest.fixture
def tab(browser):
    """A page of a person of its own, on which nothing may go wrong unseen."""
    faults = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(120_000)  # the first clip waits for a process to begin
    context.route("**/static/page.js", heeding_keys_at_once)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def episode(seed, env_id="CartPole-v1"):
    env = make_env(Origin(env_id, seed))
    env.action_space.seed(seed)
    observations, actions, terminated = [env.reset(seed=seed)[0].copy()], [], False
    while not terminated and len(actions) < 100:
        actions.append(env.action_space.sample())
        observation, _, terminated, _, _ = env.step(actions[-1])
        observations.append(observation.copy())
    ending = Ending.TERMINATED if terminated else Ending.UNFINISHED
    return Trajectory(np.array(observations), np.array(actions), np.ones(len(actions)), ending, Origin(env_id, seed))


def asking(kind, options, *, first=0, n=2, env_id="CartPole-v1"):
    """Queries of a kind, named q0 and so on."""
    return [
        Query(tuple(episode(i * options + j, env_id).cut(0, 6) for j in range(options)), id=f"q{i}", kind=kind)
        for i in range(first, first + n)
    ]


def queries(n, *, first=0):
    return [
        Query((episode(2 * i).cut(0, 6), episode(2 * i + 1).cut(2, 6)), id=f"q{i}") for i in range(first, first + n)
    ]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    with ClipCache(tmp_path_factory.mktemp("clips"), width=120, films=False) as opened:
        yield opened


@pytest.fixture
def serving(clips):
    """Gives the address of a page over a store, served from this process."""
    with ExitStack() as stack:

        def serve(store, *, curve=tuple, **desk):
            app = make_app(Desk(store, clips, **desk), curve=curve)
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
            bound = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            return f"http://127.0.0.1:{bound.getsockname()[1]}/"

        yield serve


@pytest.fixture
def store(tmp_path):
    """Four queries, q0 to q3."""
    with PreferenceStore(tmp_path / "preferences.db") as opened:
        opened.post(queries(4))
        yield opened


@contextmanager
def labelling(run_dir, *flags):
    """The address of `rlhf-gym label --web`, in a process of its own; and the process."""
    command = [sys.executable, "-c", SERVE, "label", str(run_dir), "--web", "--width", "120", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield re.search(r"open (\S+) to label", server.stdout.readline()).group(1), server
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)


def begin(tab, address, who="Ann", first="q0"):
    tab.goto(address)
    tab.fill("#who", who)
    tab.keyboard.press("Enter")
    shows(tab, first)


def shows(tab, query_id):
    tab.wait_for_selector(f"#query[data-query={query_id}]:visible canvas[data-tick]")


def press(tab, key, then):
    tab.keyboard.press(key)
    shows(tab, then)


def test_queries_are_labelled_by_keys_undone_and_followed_by_rest_which_ends_by_itself(tab, store, serving):
    begin(tab, serving(store, labels=4))
    press(tab, "ArrowLeft", then="q1")
    press(tab, "ArrowRight", then="q2")
    press(tab, "Backspace", then="q1")
    assert store.standing("q1") == {}
    press(tab, "=", then="q2")
    press(tab, "Space", then="q3")
    tab.keyboard.press("ArrowDown")
    tab.wait_for_selector("#rest:visible")
    said = {f"q{i}": store.standing(f"q{i}").get("Ann") for i in range(4)}
    assert said == {"q0": Answer.LEFT, "q1": Answer.TIE, "q2": Answer.SKIP, "q3": Answer.TIE}
    assert "3 of 4 labels · 3 by you" in tab.text_content("#standing")
    assert all(p.answered_at > p.shown_at for p in store.preferences())
    store.post(queries(1, first=4))
    shows(tab, "q4")
    tab.reload()  # the name is remembered
    shows(tab, "q4")


def test_undo_takes_back_the_answer_of_its_own_window(tab, store, serving):
    address = serving(store, labels=4)
    begin(tab, address)
    press(tab, "ArrowLeft", then="q1")
    other = tab.context.new_page()
    other.goto(address)
    shows(other, "q1")
    press(other, "ArrowLeft", then="q2")
    press(tab, "Backspace", then="q0")
    assert store.standing("q0") == {} and store.standing("q1") == {"Ann": Answer.LEFT}
    press(other, "Backspace", then="q1")
    assert store.standing("q1") == {}
    other.close()


# Calls `happens` the moment q1 is in view, which no hand can answer as fast.
WHEN_Q1_IS_SHOWN = """
    const query = document.getElementById("query");
    new MutationObserver(async (_, seeing) => {
      if (query.dataset.query !== "q1") return;
      seeing.disconnect();
      for (let i = 0; i < 100; i++) await null; // until the page takes answers again
      happens();
    }).observe(query, { attributes: true, attributeFilter: ["data-query"] });
"""


def test_a_second_press_of_a_key_does_not_answer_a_query_that_nobody_has_seen(tab, store, serving):
    tab.context.unroute("**/static/page.js")
    begin(tab, serving(store))
    tab.wait_for_timeout(400)
    press_again = 'document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }))'
    tab.evaluate(f"() => {{ const happens = () => {press_again}; {WHEN_Q1_IS_SHOWN} }}")
    press(tab, "ArrowLeft", then="q1")
    tab.wait_for_timeout(400)
    assert (tab.get_attribute("#query", "data-query"), store.standing("q1")) == ("q1", {})
    press(tab, "ArrowRight", then="q2")
    assert store.standing("q1") == {"Ann": Answer.RIGHT}


def test_the_second_click_of_a_double_click_does_not_answer_the_next_query(tab, store, serving):
    begin(tab, serving(store))
    click_again = (
        'document.querySelector("[data-answer=left]").dispatchEvent(new MouseEvent("click", '
        "{ detail: 2, bubbles: true }))"
    )
    tab.evaluate(f"() => {{ const happens = () => {click_again}; {WHEN_Q1_IS_SHOWN} }}")
    tab.click("[data-answer=left]")
    shows(tab, "q1")
    tab.wait_for_timeout(300)
    assert (tab.get_attribute("#query", "data-query"), store.standing("q1")) == ("q1", {})
    tab.click("[data-answer=right]")
    shows(tab, "q2")
    assert store.standing("q1") == {"Ann": Answer.RIGHT}


def test_an_answer_that_is_refused_says_so_where_it_is_seen(tab, store, serving):
    begin(tab, serving(store))
    store.record("q0", Answer.TIE, teacher="Bob")
    press(tab, "ArrowLeft", then="q1")
    assert tab.is_visible("#notice") and "Your last answer doesn't count" in tab.text_content("#notice")
    assert tab.text_content("#said") != "Left is better."
    press(tab, "ArrowRight", then="q2")
    assert not tab.is_visible("#notice") and store.standing("q0") == {"Bob": Answer.TIE}


def test_undo_says_what_it_did_where_it_is_seen(tab, store, serving):
    begin(tab, serving(store))
    tab.keyboard.press("Backspace")
    tab.wait_for_selector("#notice:visible:text('There is nothing to undo.')")
    press(tab, "ArrowLeft", then="q1")
    assert not tab.is_visible("#notice")
    press(tab, "Backspace", then="q0")
    assert tab.is_visible("#notice") and "is taken back" in tab.text_content("#notice")


def test_an_undo_after_a_reload_whose_reply_is_lost_takes_one_answer_back(tab, store, serving):
    begin(tab, serving(store))
    press(tab, "ArrowLeft", then="q1")
    press(tab, "ArrowLeft", then="q2")
    tab.reload()
    shows(tab, "q2")
    done = []

    def lose_the_first(route):
        if done:
            return route.continue_()
        done.append(route.fetch().status)
        return route.abort()

    tab.route("**/api/undo", lose_the_first)
    press(tab, "Backspace", then="q1")
    assert done == [200] and store.standing("q1") == {} and store.standing("q0") == {"Ann": Answer.LEFT}


def test_a_query_stays_reserved_while_it_is_in_view(tab, store, serving):
    tab.clock.install()
    begin(tab, serving(store))
    with tab.expect_request("**/api/reserve") as asked:
        tab.clock.fast_forward(46_000)
    assert asked.value.post_data_json == {"who": "Ann", "query_id": "q0"}


def test_a_clip_whose_pictures_are_damaged_can_be_skipped(tab, store, serving):
    empty = {"body": b"", "content_type": "image/jpeg"}
    tab.route(re.compile("/api/clips/left.*q0$"), lambda route: route.fulfill(**empty))
    tab.goto(serving(store))
    tab.fill("#who", "Ann")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#notice:visible:text('You can only skip it')")
    press(tab, "Space", then="q1")
    assert store.standing("q0") == {"Ann": Answer.SKIP}


def test_a_clip_that_is_not_ready_is_asked_for_again_after_a_pause(tab, store, serving):
    asked = []

    def not_ready(route):
        asked.append(route.request.url)
        route.fulfill(status=202, json={"detail": "ask again"})

    tab.route(re.compile("/api/clips.*q0$"), not_ready)
    tab.goto(serving(store))
    tab.fill("#who", "Ann")
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(1500)
    assert 1 <= len(asked) <= 6


def test_who_has_answered_what_is_left_is_told_that_it_needs_others(tab, store, serving):
    store.drop([f"q{i}" for i in range(4)])
    store.post([replace(queries(1)[0], id="k0")], people=2)
    begin(tab, serving(store), first="k0")
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_selector("#rest:visible")
    assert "What is left needs answers of other people." in tab.text_content("#rest-text")


def test_who_comes_when_as_many_play_as_may_is_told_to_try_again(tab, store, asked):
    full = {"status": 409, "json": {"detail": "8 people are playing just now; begin again in a minute, or skip it"}}
    tab.route("**/api/games", lambda route: route.fulfill(**full))
    begin(tab, asked(*asking("correction", 1)), first="k0")
    tab.wait_for_selector("text=try again with A in a minute")
    tab.unroute("**/api/games")
    tab.keyboard.press("a")
    played(tab, 0)


@pytest.mark.parametrize(
    ("waits_for", "key", "then"),
    [
        ("**/api/answers", "ArrowLeft", "continue_"),
        ("**/api/next", "ArrowLeft", "continue_"),
        ("**/api/next", "ArrowLeft", "abort"),
        ("**/api/undo", "Backspace", "continue_"),
    ],
)
def test_what_is_still_awaited_leaves_a_name_that_is_being_typed_alone(tab, store, serving, waits_for, key, then):
    store.post(queries(1, first=4))
    begin(tab, serving(store, labels=1))
    held = []
    tab.route(waits_for, lambda route: held.append(route))
    with tab.expect_request(waits_for):
        tab.keyboard.press(key)
    tab.click("#rename")
    getattr(held[0], then)()
    tab.wait_for_timeout(500)
    assert tab.is_visible("#who") and not tab.is_visible("#query") and not tab.is_visible("#rest")
    tab.unroute(waits_for)
    tab.fill("#who", "Bob")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#query:visible canvas[data-tick]")
    bobs = tab.get_attribute("#query", "data-query")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("text=1 by you")
    assert store.standing(bobs) == {"Bob": Answer.RIGHT} and set(store.standing("q0")) <= {"Ann"}


def test_both_clips_are_in_step_and_move(tab, store, serving):
    begin(tab, serving(store, instructions="Keep the pole up."))
    assert tab.text_content("#instructions") == "Keep the pole up."
    seen = tab.evaluate(
        """async () => {
             const [left, right] = ["left", "right"].map((id) => document.getElementById(id));
             const seen = [];
             for (let i = 0; i < 60; i++) {
               await new Promise(requestAnimationFrame);
               seen.push([left.dataset.tick, right.dataset.tick]);
             }
             return seen;
           }"""
    )
    assert all(left == right for left, right in seen)
    assert len({left for left, _ in seen}) > 2
    colours = tab.evaluate(
        """() => ["left", "right"].map((id) => {
             const canvas = document.getElementById(id);
             const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
             return [canvas.width, canvas.height, new Set(all).size];
           })"""
    )
    assert all(width == 120 and height == 80 and n > 5 for width, height, n in colours)


def test_pictures_stand_still_where_motion_is_unwelcome(tab, store, serving):
    tab.emulate_media(reduced_motion="reduce")
    begin(tab, serving(store))
    tab.wait_for_timeout(2600)
    last = tab.get_attribute("#left", "data-tick")
    tab.wait_for_timeout(400)
    assert tab.get_attribute("#left", "data-tick") == last != "0"
    tab.keyboard.press("r")
    tab.wait_for_timeout(200)
    assert int(tab.get_attribute("#left", "data-tick")) < int(last)


def test_everything_is_reached_by_tab_and_the_space_bar_means_the_button_in_focus(tab, store, serving):
    begin(tab, serving(store))
    reached = []
    for key in [*["Tab"] * 8, *["Shift+Tab"] * 8]:  # from the top, then back to the name
        tab.keyboard.press(key)
        reached.append(tab.evaluate("document.activeElement.textContent.trim().split(/\\s+/).join(' ')"))
        ring = "e => parseFloat(getComputedStyle(e).outlineWidth)"
        assert tab.locator(":focus").evaluate(ring) >= 2
    for name in ("About equal", "Can’t tell", "Undo", "Replay", "Pause", "Dashboard", "Not you?"):
        assert any(name in one for one in reached), (name, reached)
    tab.focus("[data-answer=tie]")
    press(tab, "Space", then="q1")
    assert store.standing("q0") == {"Ann": Answer.TIE}
    tab.click("[data-answer=left]")  # a click leaves the space bar free for skipping
    shows(tab, "q2")
    press(tab, "Space", then="q3")
    assert (store.standing("q1"), store.standing("q2")) == ({"Ann": Answer.LEFT}, {"Ann": Answer.SKIP})


def test_a_screen_reader_is_told_what_is_there_and_what_happens(tab, store, serving):
    begin(tab, serving(store))
    assert tab.get_by_role("img", name="Left clip").is_visible()
    for name in ("Left", "Right", "About equal", "Can’t tell", "Undo", "Replay", "Pause"):
        assert tab.get_by_role("button", name=name).is_visible()
    press(tab, "ArrowRight", then="q1")
    assert tab.get_by_role("status").text_content() == "Right is better."


WINDOWS = [(360, 640), (390, 844), (844, 390), (1280, 800)]


@pytest.mark.parametrize(("width", "height"), WINDOWS)
def test_it_fits_the_window_and_is_labelled_by_touch(tab, store, serving, width, height):
    tab.set_viewport_size({"width": width, "height": height})
    begin(tab, serving(store))
    room = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert room[0] <= width and room[1] <= height
    for control in tab.locator("#query button").all():
        box = control.bounding_box()
        assert box["height"] >= 40 and box["x"] >= 0 and box["x"] + box["width"] <= width
    assert min(tab.locator(f"#{side}").bounding_box()["height"] for side in ("left", "right")) > 100
    tab.click("#right")  # the clip itself
    shows(tab, "q1")
    assert store.standing("q0") == {"Ann": Answer.RIGHT}


@pytest.fixture
def asked(store, serving):
    """A function from queries to the address of a page that asks nothing else."""

    def serve(*asked, **desk):
        store.drop([f"q{i}" for i in range(4)])
        store.post([replace(query, id=f"k{i}") for i, query in enumerate(asked)])
        return serving(store, kinds=SHOWS, **desk)

    return serve


def places(tab):
    return tab.locator(".place").all_text_contents()


def test_clips_are_ranked_by_keys(tab, store, asked):
    begin(tab, asked(*asking("ranking", 4)), first="k0")
    assert places(tab) == ["", "", "", ""]
    for key in "2", "1", "=", "4":
        tab.keyboard.press(key)
    assert places(tab) == ["1st =", "1st =", "", "3rd"]
    tab.keyboard.press("1")  # out again
    assert places(tab) == ["", "1st", "", "2nd"]
    tab.keyboard.press("Enter")
    assert "2 clips have no place yet" in tab.text_content("#answers") and store.history() == []
    tab.keyboard.press("Backspace")  # the one placed last
    assert places(tab) == ["", "1st", "", ""]
    for key in "4", "1", "=":
        tab.keyboard.press(key)
    press(tab, "Enter", then="k1")  # the only one left is the last
    assert store.standing("k0") == {"Ann": Ranking(((1,), (0, 3), (2,)))}
    assert places(tab) == ["", "", "", ""]
    press(tab, "Backspace", then="k0")
    assert store.standing("k0") == {}
    press(tab, "Space", then="k1")
    assert store.standing("k0") == {"Ann": Answer.SKIP}


def test_clips_are_ranked_by_clicks(tab, store, asked):
    begin(tab, asked(*asking("ranking", 3)), first="k0")
    assert tab.is_disabled(".send") and tab.is_disabled("[data-do=tie]")
    tab.click("#c")  # the clip itself
    tab.click("[data-place='0']")
    tab.click("[data-place='1']")
    assert places(tab) == ["2nd", "3rd", "1st"]
    tab.click("[data-do=tie]")
    assert places(tab) == ["2nd =", "2nd =", "1st"]
    tab.click(".send")
    shows(tab, "k1")
    assert store.standing("k0") == {"Ann": Ranking(((2,), (0, 1)))}
    assert len(set(tab.locator("canvas").evaluate_all("all => all.map(one => one.dataset.tick)"))) == 1


def middle(tab, option):
    box = tab.locator(f"#{option}").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(tab, option, onto, *, drop=True):
    to = middle(tab, onto)
    tab.mouse.move(*middle(tab, option))
    tab.mouse.down()
    tab.mouse.move(*to, steps=5)
    if drop:
        tab.mouse.up()


def row(tab):
    """Names of the clips as they are seen, from left to right."""
    boxes = {
        option: tab.locator(f"#{option}").bounding_box() for option in "abcdefgh" if tab.query_selector(f"#{option}")
    }
    return "".join(sorted(boxes, key=lambda option: (round(boxes[option]["y"]), boxes[option]["x"])))


def test_clips_are_dragged_into_order(tab, store, asked):
    begin(tab, asked(*asking("ranking", 4)), first="k0")
    drag(tab, "d", onto="a")
    assert (row(tab), places(tab)) == ("dabc", ["2nd", "3rd", "4th", "1st"])  # the row is the order
    drag(tab, "a", onto="c")
    assert (row(tab), places(tab)) == ("dbca", ["4th", "2nd", "3rd", "1st"])
    assert "Best first: 4, then 2, then 3, then 1." in tab.text_content("#answers")
    tab.click("#b")  # out, as ever
    assert (row(tab), places(tab)) == ("dcab", ["3rd", "", "2nd", "1st"])
    tab.keyboard.press("2")
    press(tab, "Enter", then="k1")
    assert store.standing("k0") == {"Ann": Ranking(((3,), (2,), (0,), (1,)))}
    assert (row(tab), places(tab)) == ("abcd", ["", "", "", ""])
    ticks = tab.locator("canvas").evaluate_all("all => all.map(one => one.dataset.tick)")
    assert len(set(ticks)) == 1


def test_a_clip_dragged_between_two_that_are_the_same_is_the_same(tab, store, asked):
    begin(tab, asked(*asking("ranking", 4)), first="k0")
    for key in "3", "1", "=":
        tab.keyboard.press(key)
    drag(tab, "b", onto="a", drop=False)  # once it is held, the row shows the order so far, and b is before c, a and d
    assert tab.locator("figure.dragged").get_attribute("data-option") == "b"
    tab.mouse.move(*middle(tab, "c"), steps=5)
    tab.mouse.up()
    assert (row(tab), places(tab)) == ("cbad", ["1st =", "1st =", "1st =", "4th"])
    drag(tab, "b", onto="d")
    assert (row(tab), places(tab)) == ("cadb", ["1st =", "4th", "1st =", "3rd"])


def test_a_clip_that_is_let_go_where_it_was_or_by_escape_has_no_place(tab, store, asked):
    begin(tab, asked(*asking("ranking", 3)), first="k0")
    drag(tab, "b", onto="b")  # not moved: a click
    assert (row(tab), places(tab)) == ("abc", ["", "1st", ""])
    tab.keyboard.press("Backspace")
    x, y = middle(tab, "b")
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 20, y, steps=3)
    tab.mouse.up()  # dragged, and back
    assert (row(tab), places(tab)) == ("abc", ["", "", ""])
    drag(tab, "c", onto="a", drop=False)
    tab.keyboard.press("Escape")
    tab.mouse.up()
    assert row(tab) == "abc" and tab.is_disabled(".send") and tab.locator("figure.dragged").count() == 0


def test_clips_are_dragged_by_touch_on_a_phone(tab, store, asked):
    tab.set_viewport_size({"width": 390, "height": 844})
    begin(tab, asked(*asking("ranking", 3)), first="k0")
    cdp = tab.context.new_cdp_session(tab)
    cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    (x, y), to = middle(tab, "c"), middle(tab, "a")

    def touch(kind, *points):
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    touch("touchStart", (x, y))
    for share in (0.1, 0.5, 1.0):
        touch("touchMove", (x + share * (to[0] - x), y + share * (to[1] - y)))
    touch("touchEnd")
    tab.wait_for_function("document.querySelector('.place').textContent")
    assert (row(tab), places(tab)) == ("cab", ["2nd", "3rd", "1st"])
    tab.click(".send")
    shows(tab, "k1")
    assert store.standing("k0") == {"Ann": Ranking(((2,), (0,), (1,)))}


def test_a_reload_in_the_middle_of_a_ranking_loses_nothing_that_was_sent(tab, store, asked):
    begin(tab, asked(*asking("ranking", 3)), first="k0")
    for key in "3", "1":
        tab.keyboard.press(key)
    press(tab, "Enter", then="k1")
    tab.keyboard.press("2")
    tab.reload()
    shows(tab, "k1")
    assert places(tab) == ["", "", ""]
    assert store.standing("k0") == {"Ann": Ranking(((2,), (0,), (1,)))} and store.standing("k1") == {}


def test_a_clip_is_rated_in_the_researchers_words_or_by_number(tab, store, asked):
    address = asked(*asking("rating-3", 1), *asking("rating", 1), levels=("falls", "wobbles", "steady"))
    begin(tab, address, first="k0")
    assert tab.locator(".levels span").all_text_contents() == ["falls", "wobbles", "steady"]
    tab.keyboard.press("4")  # of which there is none
    press(tab, "3", then="k1")
    assert tab.text_content("#said") == "Rated steady."
    tab.click("text=wobbles")
    shows(tab, "k2")
    assert tab.locator(".levels button").all_text_contents() == ["1", "2", "3", "4", "5"]
    press(tab, "5", then="k3")
    press(tab, "Backspace", then="k2")
    press(tab, "1", then="k3")
    said = [store.standing(f"k{i}")["Ann"] for i in range(3)]
    assert said == [Level(3, 3), Level(2, 3), Level(1, 5)]


def test_a_clip_is_stopped_by_keys(tab, store, asked):
    begin(tab, asked(*asking("switch_off", 1, n=3)), first="k0")
    tab.keyboard.press("Enter")
    assert "Say first when" in tab.text_content("#answers") and store.history() == []
    tab.keyboard.press("p")  # at whatever moment it stands still
    tick = int(tab.get_attribute("#a", "data-tick"))
    tab.keyboard.press("Space")
    marked = tab.locator(".parts .lived").count()
    lived = store.query("k0").options[0].lived
    assert marked == (8 if tick >= lived else min(7, 8 * tick // lived + 1))
    tab.keyboard.press("l")
    assert "runs to its end" in tab.text_content("#answers")
    for key in "ArrowLeft", "ArrowLeft":
        tab.keyboard.press(key)
    assert tab.locator(".parts .lived").count() == 6 and tab.get_attribute("#pause", "aria-pressed") == "true"
    assert int(tab.get_attribute("#a", "data-tick")) == int(6 / 8 * lived + 0.5)
    press(tab, "Enter", then="k1")
    assert store.standing("k0") == {"Ann": Stop(6, 8)}
    assert tab.locator(".parts .lived").count() == 0  # nothing is chosen for it
    tab.keyboard.press("l")
    press(tab, "Enter", then="k2")
    assert store.standing("k1") == {"Ann": Stop(8, 8)}
    press(tab, "Backspace", then="k1")
    press(tab, "s", then="k2")
    assert store.standing("k1") == {"Ann": Answer.SKIP}


def test_a_clip_is_stopped_by_clicks(tab, store, asked):
    begin(tab, asked(*asking("switch_off", 1, n=3)), first="k0")
    tab.click("#a")  # the clip itself
    assert tab.locator(".parts .lived").count() > 0
    tab.click("[data-after='3']")
    tab.click(".send")
    shows(tab, "k1")
    tab.click("text=Stop here")
    tab.click("text=Let it run")
    tab.click(".send")
    shows(tab, "k2")
    assert [store.standing(f"k{i}")["Ann"] for i in range(2)] == [Stop(3, 8), Stop(8, 8)]


def test_kinds_follow_each_other_on_one_page(tab, store, asked):
    kinds = [asking("comparison", 2), asking("ranking", 3), asking("switch_off", 1), asking("comparison", 2)]
    begin(tab, asked(*(kind[0] for kind in kinds), instructions="Keep it up."), first="k0")
    press(tab, "ArrowLeft", then="k1")
    assert "Put the clips in order" in tab.text_content("#pace")
    for key in "1", "2":
        tab.keyboard.press(key)
    press(tab, "Enter", then="k2")
    press(tab, "Backspace", then="k1")
    press(tab, "s", then="k2")
    tab.keyboard.press("l")
    press(tab, "Enter", then="k3")
    assert tab.locator("canvas").count() == 2 and "Which clip does better?" in tab.text_content("#pace")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("#rest:visible")
    said = [store.standing(f"k{i}")["Ann"] for i in range(4)]
    assert said == [Answer.LEFT, Answer.SKIP, Stop(8, 8), Answer.RIGHT]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ranking", 3),
        ("ranking", 8),
        ("rating-3", 1),
        ("rating-9", 1),
        ("switch_off", 1),
        ("demonstration", 8),
        ("correction", 1),
    ],
)
def test_every_kind_fits_the_window(tab, asked, kind, options):
    words = ("falls over at once", "wobbles", "steady") if kind == "rating-3" else ()
    begin(tab, asked(*asking(kind, options), levels=words, instructions="Keep the pole up."), first="k0")
    for width, height in WINDOWS:
        tab.set_viewport_size({"width": width, "height": height})
        tab.wait_for_timeout(100)
        room = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert room[0] <= width and room[1] <= height, (width, height)
        for control in tab.locator("#query button").all():
            box = control.bounding_box()
            assert box["height"] >= 40 and box["width"] >= 32 and box["x"] >= 0, (width, height, control.text_content())
            assert box["x"] + box["width"] <= width and box["y"] + box["height"] <= height
        tallest = 30 if kind == "demonstration" else 60 if options > 3 else 80
        assert min(one.bounding_box()["height"] for one in tab.locator("canvas").all()) > tallest, (width, height)


PHONES = [(320, 568), (360, 640), (640, 360)]
BROKEN = """() => [...document.querySelectorAll("#query button")].flatMap((button) => {
  const words = document.createTreeWalker(button, NodeFilter.SHOW_TEXT), broken = [];
  while (words.nextNode()) for (const { 0: word, index } of words.currentNode.data.matchAll(/\\S+/g)) {
    const range = new Range();
    range.setStart(words.currentNode, index);
    range.setEnd(words.currentNode, index + word.length);
    if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) broken.push(word);
  }
  return broken;
})"""


SEVEN = ("unsatisfactory", "disappointing", "needs improvement", "satisfactory", "good", "very good", "extraordinary")


@pytest.mark.parametrize(("kind", "options"), [("ranking", 3), ("ranking", 8), ("rating-7", 1), ("switch_off", 1)])
def test_on_a_small_phone_buttons_break_no_word_and_fill_the_window(tab, asked, kind, options):
    words = SEVEN if kind == "rating-7" else ()
    begin(tab, asked(*asking(kind, options), levels=words), first="k0")
    for width, height in PHONES:
        tab.set_viewport_size({"width": width, "height": height})
        assert tab.evaluate(BROKEN) == [], (width, height)
        boxes = [one.bounding_box() for one in tab.locator("#query button").all()]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes), (width, height)
        lowest = [box for box in boxes if box["y"] == boxes[-1]["y"]]
        assert max(box["x"] + box["width"] for box in lowest) > 0.9 * width, (width, height)


def test_on_a_small_phone_the_number_of_a_clip_hides_little_of_it(tab, asked):
    begin(tab, asked(*asking("ranking", 6)), first="k0")
    tab.set_viewport_size({"width": 320, "height": 568})
    for clip, name in zip(tab.locator("canvas").all(), tab.locator("figure .stacked").all(), strict=True):
        assert name.bounding_box()["width"] < 0.25 * clip.bounding_box()["width"]


LONG = "Which one keeps the pole upright without moving away from the middle? " * 3 + "If both fall, the later one."


@pytest.mark.parametrize(("width", "height"), PHONES)
def test_long_instructions_are_cut_with_a_button_for_the_rest_and_the_name_stays(tab, store, serving, width, height):
    tab.set_viewport_size({"width": width, "height": height})
    begin(tab, serving(store, instructions=LONG), who="W" * 60)
    unfold, heading = tab.locator("#unfold"), tab.locator("h1")
    cut = "heading => heading.scrollHeight > heading.clientHeight + 1"
    assert unfold.text_content() == "… more" and heading.evaluate(cut)
    room = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert room == [width, height]
    unfold.click()
    assert not heading.evaluate(cut) or heading.evaluate("heading => getComputedStyle(heading).overflowY") == "auto"
    assert heading.bounding_box()["height"] > 70 and unfold.text_content() == "less"
    unfold.click()
    assert heading.evaluate(cut)
    assert tab.is_visible("text=You are WWW")
    tab.click("#rename")
    assert tab.is_visible("#who")


def test_short_instructions_have_no_button_for_the_rest(tab, store, serving):
    tab.set_viewport_size({"width": 320, "height": 568})
    begin(tab, serving(store, instructions="Keep the pole up."))
    assert not tab.is_visible("#unfold")


def test_a_name_that_can_not_be_kept_is_refused_in_plain_words(tab, store, serving):
    tab.goto(serving(store))
    tab.fill("#who", "a\x80b")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#notice:visible")
    assert "This name can't be used: use 1 to 60 visible characters" in tab.text_content("#notice")


def test_a_browser_without_the_token_is_shown_a_page(tab, tmp_path, store):
    with labelling(tmp_path, "--port", "0", "--token", "--root-path", "/label") as (address, _):
        assert tab.goto(address.split("?")[0]).status == 401
        assert "A token is needed: open the address with the token" in tab.text_content("body")
        tab.goto(address)
        assert tab.is_visible("#who") and tab.url.endswith("/label/")


def played(tab, steps):
    tab.wait_for_selector(f"#live[data-steps='{steps}']")


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_a_correction_is_played_by_keys(tab, store, asked, env_id):
    begin(tab, asked(*asking("correction", 1, env_id=env_id)), first="k0")
    played(tab, 0)
    assert tab.is_disabled(".send")
    tab.keyboard.down("ArrowRight")
    played(tab, 6)
    tab.keyboard.up("ArrowRight")
    tab.wait_for_selector("text=All 6 steps are played")
    tab.keyboard.press("a")  # again
    played(tab, 0)
    tab.keyboard.down("ArrowLeft")
    played(tab, 6)
    tab.keyboard.up("ArrowLeft")
    press(tab, "Enter", then="k1")
    made = store.standing("k0")["Ann"].segment
    assert made.actions.tolist() == [0] * 6
    replay(made, draw=False)  # or it raises
    assert np.array_equal(made.observations[0], store.query("k0").options[0].observations[0])
    played(tab, 0)
    press(tab, "Backspace", then="k0")
    assert store.standing("k0") == {}
    press(tab, "s", then="k1")
    assert store.standing("k0") == {"Ann": Answer.SKIP}


def test_a_demonstration_is_played_by_touch_and_its_last_steps_are_sent(tab, store, asked):
    begin(tab, asked(*asking("demonstration", 3, env_id="MountainCar-v0")), first="k0")
    played(tab, 0)
    assert tab.locator(".arrows button").all_text_contents() == ["←accelerate left", "→accelerate right"]
    tab.click("[data-do=faster]")
    tab.hover("text=accelerate right")
    tab.mouse.down()
    while int(tab.get_attribute("#live", "data-steps")) < 9:
        tab.wait_for_timeout(50)
    tab.mouse.up()
    tab.click("#live")  # stands still
    tab.wait_for_selector("text=stands still")
    steps = int(tab.get_attribute("#live", "data-steps"))
    assert f"{steps} steps; the last 6 are sent" in tab.text_content("#answers")
    tab.click(".send")
    shows(tab, "k1")
    made = store.standing("k0")["Ann"].segment
    assert (made.lived, made.start) == (6, steps - 6)
    assert set(made.earlier_actions.tolist()) | set(made.actions.tolist()) <= {1, 2}
    replay(made, draw=False)


def test_what_can_not_be_played_says_so_and_can_only_be_skipped(tab, store, asked):
    begin(tab, asked(*asking("correction", 1, env_id="Pendulum-v1")), first="k0")
    tab.wait_for_selector("text=can't be played here")
    assert "Pendulum-v1 has actions Box" in tab.text_content("#answers")
    for key in "ArrowLeft", "Enter":
        tab.keyboard.press(key)
    assert store.history() == []
    press(tab, "s", then="k1")
    assert store.standing("k0") == {"Ann": Answer.SKIP}


def test_an_answer_outlives_the_server_it_was_meant_for(tab, store, tmp_path):
    with labelling(tmp_path, "--port", "0") as (address, server):
        begin(tab, address)
        server.kill()
        server.wait()
        tab.keyboard.press("ArrowLeft")
        tab.wait_for_selector("#notice:visible")
        assert "connection is lost" in tab.text_content("#notice")
        assert store.history() == []
    port = re.search(r":(\d+)/", address).group(1)
    with labelling(tmp_path, "--port", port):
        shows(tab, "q1")
        assert not tab.is_visible("#notice")
        assert [given.answer for given in store.history()] == [Answer.LEFT]


def test_a_ranking_outlives_the_server_that_was_shot_in_the_middle_of_it(tab, store, tmp_path):
    store.drop([f"q{i}" for i in range(4)])
    store.post([replace(query, id=f"k{i}") for i, query in enumerate(asking("ranking", 3, n=3))])
    with labelling(tmp_path, "--port", "0") as (address, server):
        begin(tab, address, first="k0")
        for key in "2", "1":
            tab.keyboard.press(key)
        press(tab, "Enter", then="k1")
        tab.keyboard.press("3")
        server.kill()  # -9
        server.wait()
        tab.keyboard.press("1")
        assert places(tab) == ["2nd", "", "1st"]  # nothing is asked of the server meanwhile
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#notice:visible")
        assert [given.query_id for given in store.history()] == ["k0"]
    with labelling(tmp_path, "--port", re.search(r":(\d+)/", address).group(1)):
        shows(tab, "k2")
        said = {given.query_id: given.answer for given in store.history()}
        assert said == {"k0": Ranking(((1,), (0,), (2,))), "k1": Ranking(((2,), (0,), (1,)))}
        assert len(store.history()) == 2


def test_a_run_that_is_over_says_so_where_its_server_has_gone_and_all_labels_are_there(tab, store, tmp_path):
    RLHFConfig.for_env("CartPole-v1", labels=4).to_yaml(tmp_path / "config.yaml")
    for number in range(3):
        store.record(f"q{number}", Answer.LEFT, teacher="Bob")
    with labelling(tmp_path, "--port", "0") as (address, _):
        begin(tab, address, first="q3")
        tab.keyboard.press("ArrowLeft")
        tab.wait_for_selector("#undo-rest:visible")
        assert "appears here by itself" in tab.text_content("#rest-text")
    tab.wait_for_selector("#undo-rest", state="hidden")
    assert tab.text_content("#rest-title") == "All labels are there. Thank you!"
    assert tab.text_content("#rest-text") == "The run is over. You may close this page."
    assert not tab.is_visible("#notice")
    with labelling(tmp_path, "--port", re.search(r":(\d+)/", address).group(1)):  # it was not quite over
        tab.wait_for_selector("#undo-rest:visible")


def test_a_query_that_can_not_be_drawn_says_so_and_can_only_be_skipped(tab, store, serving):
    store.drop([f"q{i}" for i in range(4)])
    wrong, right = queries(2, first=4)
    left = replace(wrong.left, observations=wrong.left.observations + 1)
    store.post([replace(wrong, options=(left, wrong.right)), right])
    tab.goto(serving(store))
    tab.fill("#who", "Ann")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#notice:visible")
    assert "CartPole-v1 doesn't replay" in tab.text_content("#notice")
    tab.keyboard.press("ArrowLeft")
    press(tab, "Space", then="q5")
    assert store.standing("q4") == {"Ann": Answer.SKIP} and not tab.is_visible("#notice")


def test_queries_of_any_id_are_shown(tab, store, serving):
    store.drop([f"q{i}" for i in range(4)])
    ids = ["a/b", "..", "?x#y", "\u00e9" * 400]
    store.post([replace(query, id=id_) for query, id_ in zip(queries(4), ids, strict=True)])
    tab.goto(serving(store))
    tab.fill("#who", "Ann")
    for id_, key in zip(ids, ["Enter", *["ArrowLeft"] * 3], strict=True):
        press_for(tab, key, id_)
    press_for(tab, "Backspace", ids[2])
    assert [store.standing(id_) for id_ in ids] == [{"Ann": Answer.LEFT}, {"Ann": Answer.LEFT}, {}, {}]


def press_for(tab, key, id_):
    tab.keyboard.press(key)
    tab.wait_for_selector(f'#query[data-query="{id_}"]:visible canvas[data-tick]')


def test_a_query_that_is_given_but_never_found_is_not_asked_for_without_a_pause(tab, store, serving):
    asked = []
    unknown = {"status": 404, "json": {"detail": "query 'q0' is not in the store; use another"}}
    tab.route(re.compile("/api/clips.*q0$"), lambda route: route.fulfill(**unknown))
    tab.on("request", lambda request: asked.append(request.url) if "/api/next" in request.url else None)
    tab.goto(serving(store))
    tab.fill("#who", "Ann")
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(2500)
    assert 1 <= len(asked) <= 4


def test_a_link_with_the_token_opens_from_another_site(tab, store, tmp_path):
    with labelling(tmp_path, "--port", "0", "--token") as (address, _), mail(address) as elsewhere:
        assert "?token=" in address
        tab.goto(elsewhere)
        tab.click("a")
        tab.wait_for_selector("#who:visible")
        assert "token" not in tab.url
        assert "rlhf_gym_" not in tab.evaluate("document.cookie")  # scripts can't read it
        tab.fill("#who", "Ann")
        tab.keyboard.press("Enter")
        shows(tab, "q0")


@contextmanager
def mail(address):
    """A page of another site that links to `address`."""

    class Mail(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f'<a href="{address}">label</a>'.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Mail) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_the_dashboard_shows_people_and_the_curve(tab, store, serving, tmp_path):
    (tmp_path / "metrics.csv").write_text("env_steps,labels,true_return\n100,2,20.5\n200,4,nan\n300,4,41\n400,5")
    for i, seconds in enumerate((2, 3, 9)):
        store.record(f"q{i}", Answer.LEFT, teacher="Ann", shown_at=100, answered_at=100 + seconds)
    tab.goto(serving(store, labels=4, curve=partial(metrics_so_far, tmp_path)) + "dashboard")
    tab.wait_for_selector("#people tr")
    assert tab.locator("#people td").all_text_contents()[:4] == ["Ann", "3", "3.0", "100 %"]
    assert tab.locator("#figures dd").all_text_contents()[:4] == ["3 of 4", "1", "1", "3.0"]
    assert tab.locator("svg circle").count() == 2  # nan is no point, and the last line isn't finished


def test_the_next_pair_is_shown_at_once(tab, store, serving):
    begin(tab, serving(store))
    waits = []
    for number in range(1, 4):
        tab.wait_for_timeout(1500)  # somebody looks
        press(tab, "ArrowLeft", then=f"q{number}")
        waits.append(int(tab.get_attribute("#query", "data-wait")))
    assert np.median(waits) < 1000  # 80 ms on two idle cores; tests run beside others

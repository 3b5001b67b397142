"""The judge, asked through the real client, at a server of the tests' own that speaks the protocol."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.contracts import check_teacher, example_queries
from rlhf_gym.preferences import Answer, Query, Ranking
from rlhf_gym.segments import Origin, Segment
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers.accounts import account
from rlhf_gym.teachers.judge import JudgeTeacher
from rlhf_gym.teachers.variables import variables_of

pytest.importorskip("openai")
KEY = "sk-of-the-tests-0123"
GIVEN = {"model": "judge-1", "principles": "Stay upright.", "key_variable": "OPENAI_API_KEY"}


class Endpoint(ThreadingHTTPServer):
    """Gives out its replies one after the other, the last one for ever; a number is an error's status."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.raw = None
        self.replies, self.requests = ['{"reason": "it stays upright", "answer": "left"}'], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.requests.append({"path": self.path, "key": self.headers["Authorization"], **asked})
        reply = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
        status = reply if isinstance(reply, int) else 200
        content = {"error": {"message": "not now", "type": "test", "code": None, "param": None}}
        if status == 200:
            message = {"role": "assistant", "content": reply}
            content = {
                "id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time()), "model": asked["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
            }  # fmt: skip
        body = (server.raw or json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "0.01")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def judge(endpoint):
    made = []

    def make(**options):
        made.append(JudgeTeacher(**{**GIVEN, "url": endpoint.url, **options}))
        return made[-1]

    yield make
    for teacher in made:
        if "_client" in vars(teacher):
            teacher._client.close()


def segment(*positions, length=None, actions=None):
    lived = len(positions) - 1
    states = np.zeros((lived + 1, 4), np.float32)
    states[:, 0] = positions
    return Segment(
        observations=states,
        actions=np.array(actions) if actions else np.zeros(lived, np.int64),
        rewards=np.ones(lived),
        length=length or lived,
        terminated=length is not None,
        earlier_actions=np.zeros(0, np.int64),
        origin=Origin("CartPole-v1", 1),
    )


QUERY = Query((segment(0, 0.25, 1.5, 2, actions=[0, 1, 1]), segment(0, 2.4, length=3)), id="q")
RANKING = Query((segment(0, 1), segment(0, 2), segment(0, 3)), id="r", kind="ranking")


def test_the_account_is_a_table_of_named_variables():
    assert account(QUERY) == (
        "Segment left:\n"
        "step | cart_position | cart_velocity | pole_angle | pole_angular_velocity | action\n"
        "1 | 0.25 | 0 | 0 | 0 | left\n"
        "2 | 1.5 | 0 | 0 | 0 | right\n"
        "3 | 2 | 0 | 0 | 0 | right\n\n"
        "Segment right:\n"
        "step | cart_position | cart_velocity | pole_angle | pole_angular_velocity | action\n"
        "1 | 2.4 | 0 | 0 | 0 | left\n"
        "The episode ended for good after step 1 of 3."
    )
    few = account(QUERY, variables=["cart_position"], rows=2).splitlines()
    assert few[:4] == ["Segment left:", "step | cart_position", "1 | 0.25", "3 | 2"]
    assert "Segment 2:" in account(RANKING)


def test_actions_of_opposite_signs_have_names_of_their_own():
    names = ("torque_minus_1", "torque_0", "torque_plus_1")
    assert variables_of("Acrobot-v1").actions == names
    states, actions = np.zeros((4, 6), np.float32), np.array([0, 1, 2])
    acted = Segment(states, actions, np.zeros(3), 3, False, actions[:0], Origin("Acrobot-v1", 0))
    assert [line.rpartition(" | ")[2] for line in account(Query((acted, acted), id="q")).splitlines()[2:5]] == [*names]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Ant-v5", "Hopper-v5", "Reacher-v5"])
def test_no_two_variables_have_one_name(env_id):
    names = variables_of(env_id).names
    assert len(set(names)) == len(names) and all(name.isidentifier() for name in names)


def test_what_an_environment_is_made_with_is_heeded():
    kwargs = {"exclude_current_positions_from_observation": False}
    states = np.zeros((2, 12), np.float32)
    actions = np.zeros((1, 3), np.float32)
    segment = Segment(states, actions, np.zeros(1), 1, False, actions[:0], Origin("Hopper-v5", 0, kwargs))
    assert account(Query((segment, segment), id="q")).splitlines()[1].startswith("step | rootx | rootz | rooty | ")


def test_actions_that_are_vectors_are_variables_and_nobody_s_environment_has_numbers():
    (asked,) = example_queries(1, box=True)
    head = account(Query(asked.options, id="q")).splitlines()[1]
    assert head == "step | observation_0 | observation_1 | observation_2 | observation_3 | action_0 | action_1"


def test_it_is_asked_by_the_protocol_with_the_principles_and_the_account(judge, endpoint):
    assert judge().answer([QUERY]) == [Answer.LEFT]
    (request,) = endpoint.requests
    assert (request["path"], request["model"], request["key"]) == ("/v1/chat/completions", "judge-1", f"Bearer {KEY}")
    system, user = request["messages"]
    assert (system["role"], user["role"], user["content"]) == ("system", "user", account(QUERY))
    assert "Stay upright." in system["content"] and '"left", "right", "tie"' in system["content"]


def test_principles_may_be_a_file(judge, endpoint, tmp_path):
    (tmp_path / "principles.txt").write_text("Go home.\n")
    judge(principles=str(tmp_path / "principles.txt")).answer([QUERY])
    assert "better:\n\nGo home.\n\nYou" in endpoint.requests[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"answer": "right"}', Answer.RIGHT),
        ('Well.\n```json\n{"reason": "equal", "answer": "Tie"}\n```', Answer.TIE),
        ('{"answer": "skip"}', Answer.SKIP),
        ('Given {the principles}, left. {"reason": "{so}", "answer": "left"} {}', Answer.LEFT),
    ],
)
def test_an_answer_is_read_whatever_stands_around_it(judge, endpoint, reply, expected):
    endpoint.replies = [reply]
    assert judge().answer([QUERY]) == [expected]


def test_a_ranking_is_answered_by_numbers(judge, endpoint):
    endpoint.replies = ['{"reason": "", "answer": [2, [0, 1]]}']
    assert judge().answer([RANKING]) == [Ranking(((2,), (0, 1)))]


def test_a_reply_that_cannot_be_read_is_asked_for_again_and_at_last_skipped(judge, endpoint):
    endpoint.replies = ["I like the left one.", '{"answer": "middle"}', '{"answer": "right"}']
    teacher = judge()
    assert teacher.answer([QUERY]) == [Answer.RIGHT]
    again = endpoint.requests[1]["messages"]
    assert [m["role"] for m in again] == ["system", "user", "assistant", "user"]
    assert "can't be read (there is no JSON object with an answer)" in again[-1]["content"]
    endpoint.replies = ["I can't."]
    other = Query(QUERY.options, id="other")
    assert teacher.answer([other]) == [Answer.SKIP]
    assert len(endpoint.requests) == 6
    asked = endpoint.requests[-1]["messages"][:2]
    kept = teacher.judgements.about("other", "judge-1", endpoint.url, asked)
    assert kept is not None and [m["content"] for m in kept.messages if m["role"] == "assistant"] == ["I can't."] * 3
    assert (kept.answer, kept.reason) == ("skip", "no reply could be read")


def test_too_many_requests_and_errors_of_the_server_are_waited_for(judge, endpoint):
    endpoint.replies = [429, 503, '{"answer": "left"}']
    assert judge().answer([QUERY]) == [Answer.LEFT]
    assert len(endpoint.requests) == 3


def test_all_is_recorded_and_nothing_is_asked_twice(judge, endpoint, tmp_path):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        judge(store=store, price_in=2.0, price_out=10.0).answer([QUERY])
        record = tmp_path / "judge.jsonl"
        (line,) = map(json.loads, record.read_text().splitlines())
        assert (line["query"], line["answer"], line["reason"]) == ("q", "left", "it stays upright")
        assert (line["tokens_in"], line["tokens_out"]) == (1000, 50)
        assert line["cost"] == pytest.approx(0.002 + 0.0005)
        assert (line["model"], line["url"]) == ("judge-1", endpoint.url)
        assert line["messages"][:2] == endpoint.requests[0]["messages"]
        assert line["messages"][2]["content"] == '{"reason": "it stays upright", "answer": "left"}'
        assert KEY not in record.read_text()
        record.write_text(record.read_text() + '{"query": "cut sho')  # by a kill
        later = judge(store=store)
        assert later.answer([QUERY, Query(QUERY.options, id="new")]) == [Answer.LEFT] * 2
        assert len(endpoint.requests) == 2
        changed = Query(QUERY.options[::-1], id="q")
        judge(store=store).answer([changed])
        assert len(endpoint.requests) == 3
        assert len(judge(store=store).judgements) == 2
        judge(store=store, principles="Fall over.").answer([changed])
        judge(store=store, model="judge-2").answer([changed])
        assert len(endpoint.requests) == 5
        assert judge(store=store).judgements.cost == pytest.approx(0.0025)  # what the first paid stays paid


def test_where_all_was_answered_a_run_is_loaded_without_a_key(judge, endpoint, tmp_path, monkeypatch):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        judge(store=store).answer([QUERY])
        monkeypatch.delenv("OPENAI_API_KEY")
        again = judge(store=store)
        assert again.answer([QUERY]) == [Answer.LEFT]
        with pytest.raises(ValueError, match="OPENAI_API_KEY isn't set"):
            again.answer([Query(QUERY.options, id="new")])


def test_what_was_paid_for_before_the_endpoint_failed_is_kept_and_asked_again(judge, endpoint, tmp_path):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        endpoint.replies = ["I like the left one.", 404]
        with pytest.raises(ValueError, match="can't be asked: NotFoundError: .*; see that it is up and has the model"):
            judge(store=store, price_in=1.0).answer([QUERY])
        assert judge(store=store).judgements.cost == pytest.approx(0.001)
        endpoint.replies = ['{"answer": "left"}']
        assert judge(store=store).answer([QUERY]) == [Answer.LEFT]


def test_a_key_goes_to_another_endpoint_only_if_it_is_named(endpoint):
    teacher = JudgeTeacher(model="m", principles="p", url=endpoint.url)
    teacher.answer([QUERY])
    teacher._client.close()
    assert endpoint.requests[0]["key"] == "Bearer none"


@pytest.mark.parametrize("body", ["<html>hello</html>", "[]", '{"error": "no"}'])
def test_what_does_not_speak_the_protocol_is_told_in_one_line(judge, endpoint, body):
    endpoint.raw = body
    with pytest.raises(ValueError, match="doesn't speak OpenAI's protocol|can't be asked") as told:
        judge(attempts=1).answer([QUERY])
    assert "\n" not in str(told.value)


def test_long_principles_are_no_file(judge, endpoint):
    judge(principles="Stay upright, and close to the middle of the track. " * 8).answer([QUERY])
    assert len(endpoint.requests) == 1


def test_it_stops_at_its_most_cost(judge, endpoint):
    teacher = judge(price_in=1000.0, most_cost=1.5)  # 1 a query
    queries = [Query(QUERY.options, id=str(i)) for i in range(3)]
    assert teacher.answer(queries[:2]) == [Answer.LEFT] * 2
    with pytest.raises(ValueError, match=r"have cost 2\.00, and teacher_options\.most_cost is 1\.5; raise it"):
        teacher.answer(queries[2:])
    assert len(endpoint.requests) == 2


def test_it_keeps_to_the_requests_per_minute(judge, monkeypatch):
    now, slept = [100.0], []

    def sleep(seconds):
        slept.append(round(seconds, 6))
        now[0] += seconds

    monkeypatch.setattr("rlhf_gym.teachers.judge.time.monotonic", lambda: now[0])
    monkeypatch.setattr("rlhf_gym.teachers.judge.time.sleep", sleep)
    judge(per_minute=30).answer([Query(QUERY.options, id=str(i)) for i in range(3)])
    assert slept == [0, 2, 2]


def test_the_contract_is_kept(judge):
    check_teacher(judge, [Query(q.options, id=q.id) for q in example_queries(8) if q.options[0].origin is None])


def test_an_endpoint_that_is_down_is_told_in_one_line(judge, endpoint):
    down = judge(url="http://127.0.0.1:1/v1", attempts=1)
    with pytest.raises(ValueError, match=r"127.0.0.1:1/v1 can't be asked: APIConnectionError") as told:
        down.answer([QUERY])
    assert "\n" not in str(told.value)


def test_a_key_that_is_refused_is_told_without_the_key(judge, endpoint):
    endpoint.replies = [401]
    with pytest.raises(ValueError, match="refuses the key in OPENAI_API_KEY; export one that it takes") as told:
        judge().answer([QUERY])
    assert KEY not in str(told.value)


def test_without_a_key_and_an_url_nothing_begins(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="OPENAI_API_KEY isn't set; export it, or ask another endpoint"):
        JudgeTeacher(model="m", principles="p")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 1}, "teacher_options.rows is 1; use a whole number from 2"),
        ({"attempts": 0}, "teacher_options.attempts is 0; use a whole number from 1"),
        ({"timeout": 0}, "teacher_options.timeout is 0; use a number above 0"),
        ({"per_minute": -1}, "teacher_options.per_minute is -1; use a number above 0"),
        ({"price_in": "1"}, "teacher_options.price_in is '1'; use a number from 0"),
        ({"most_cost": 1.0}, "teacher_options.most_cost is set and price_in and price_out are 0"),
        ({"variables": 5}, "teacher_options.variables is 5; use names of variables"),
        ({"principles": 5}, "teacher_options.principles is 5; say in words what is good, or name a file"),
    ],
)
def test_options_out_of_range_are_told(judge, options, message):
    with pytest.raises(ValueError, match=message):
        judge(**options)


def test_a_variable_that_there_isnt_is_told_with_those_there_are(judge):
    with pytest.raises(ValueError, match="has 'angle'; the environment has cart_position, cart_velocity, pole_angle"):
        judge(variables=["angle"]).answer([QUERY])


def test_too_many_variables_are_to_be_chosen_from():
    wide = Segment(np.zeros((2, 30), np.float32), np.zeros(1, int), np.zeros(1), 1, False, np.zeros(0, int))
    with pytest.raises(ValueError, match=r"31 variables, too many .* at most 24 by teacher_options.variables"):
        account(Query((wide, wide), id="q"))


def test_a_run_is_taught_by_a_judge(endpoint, tmp_path):
    config = RLHFConfig.for_env(
        "CartPole-v1", labels=12, total_timesteps=2048, run_dir=str(tmp_path / "run"), teacher="judge",
        teacher_options={**GIVEN, "url": endpoint.url},
    )  # fmt: skip
    rlhf = RLHF(config)
    rlhf.learn()
    rlhf.teacher._client.close()
    record = (tmp_path / "run" / "judge.jsonl").read_text()
    assert {p.teacher for p in rlhf.preferences} == {"judge"} and len(record.splitlines()) == len(rlhf.preferences)
    for file in (tmp_path / "run").rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes()

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from experiments.measurements.page_waits import COLUMNS, main, measure, table, waits

DRAWING = 0.3


class Pretended(BaseHTTPRequestHandler):
    """A page with a query for every number, whose clips take 0.3 s each from when they are asked for first."""

    def do_POST(self):
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/api/answers":
            self.server.answered.append(given["query_id"])
        number = len(self.server.answered)
        self.say(200, {"query": {"id": f"q{number}"}, "ahead": [f"q{number + 1}", f"q{number + 2}"]})

    def do_GET(self):
        if self.path.count("/") == 4:
            return self.say(200, "a picture")
        query_id = self.path.rpartition("/")[2]
        if query_id not in self.server.drawn:
            self.server.drawn.add(query_id)
            time.sleep(DRAWING)
            return self.say(202, {})
        self.say(200, {"options": [{"url": f"{self.path}/{side}"} for side in ("left", "right")]})

    def say(self, status, content):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *said):
        pass


@pytest.fixture
def pretended():
    with ThreadingHTTPServer(("127.0.0.1", 0), Pretended) as server:
        server.answered, server.drawn = [], set()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_whoever_answers_at_once_waits_for_every_clip(pretended):
    found = waits(pretended.server_port, thinking=0, answers=3)
    assert pretended.answered == ["q0", "q1", "q2"]
    # The next clip is requested as soon as the last one is in view, so its drawing begins a little before the answer.
    assert len(found) == 4 and all(500 * DRAWING <= wait < 3000 for wait in found)


def test_a_clip_that_came_while_somebody_thought_is_not_waited_for(pretended):
    first, *others = waits(pretended.server_port, thinking=2 * DRAWING, answers=2)
    assert first >= 1000 * DRAWING
    assert max(others) < 1000 * DRAWING


@pytest.mark.slow
def test_a_run_its_server_and_somebody_who_answers_make_a_row():
    row = measure("CartPole-v1", thinking=0.2, answers=2)
    assert list(row) == list(COLUMNS)
    assert 0 < row["median_ms"] <= row["p90_ms"] <= row["longest_ms"]
    assert row["first_ms"] > 0 and row["drawing_s"] > 0


def test_the_table_says_which_medians_are_short_of_what_is_asked():
    row = dict.fromkeys(COLUMNS, "1")
    told = table([row | {"median_ms": "199.9"}, row | {"median_ms": "200.0"}]).splitlines()[2:]
    assert told[0].endswith("| median < 200: yes |") and told[1].endswith("| median < 200: **no** |")


def test_one_answer_has_no_median_worth_the_name(tmp_path):
    with pytest.raises(ValueError, match="answers is 1; use at least 2"):
        main(answers=1, results_dir=tmp_path)

"""Four trainers and eight people at once: one page, one PostgreSQL database, 1600 answers, and one trainer shot."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack

import pytest

from rlhf_gym.preferences import Answer, Level
from rlhf_gym.store import PreferenceStore

pytestmark = pytest.mark.slow

RLHF_GYM = [sys.executable, "-m", "rlhf_gym.cli"]
LABELS, PEOPLE = 400, 8
# Each run tells its people what to say: so an answer shows by itself which run it was meant for.
RUNS = {
    "left": ("CartPole-v1", "comparison", Answer.LEFT),
    "right": ("Acrobot-v1", "comparison", Answer.RIGHT),
    "tie": ("Pendulum-v1", "comparison", Answer.TIE),
    "2/3": ("MountainCar-v0", "rating-3", Level(2, 3)),
}
TINY = {
    "total-timesteps": 4000,
    "labels": LABELS,
    "segment-length": 10,
    "query.rounds": 4,
    "query.warm-up-steps": 1000,
    "reward.steps": 5,
    "agent.n-envs": 4,
    "evaluation.n-episodes": 1,
}


def train(place, url, said, log):
    env_id, kind, _ = RUNS[said]
    flags = {**TINY, "env-id": env_id, "kind": kind, "feedback.instructions": said, "run-dir": place, "store": url}
    command = [*RLHF_GYM, "train", "--teacher", "store"]
    return subprocess.Popen([*command, *(f"--{k}={v}" for k, v in flags.items())], stdout=log, stderr=log)


def ask(address, path, message):
    """Ask until it is answered, as the page does: a database that is busy for long is told as 503."""
    body, kind = json.dumps(message).encode(), {"content-type": "application/json"}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(address + path, body, kind), timeout=120) as told:
                return json.load(told)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(1)


def label(address, who, over, sent):
    """Say to each query what its run's instructions are, until all is over; what was taken is noted."""
    while not over.is_set():
        told = ask(address, "api/next", {"who": who})
        if told["query"] is None:
            time.sleep(0.2)
            continue
        given = {"who": who, "query_id": told["query"]["id"], "answer": told["instructions"], "seconds": 1.0}
        try:
            ask(address, "api/answers", given)
            sent.append((given["query_id"], who))
        except urllib.error.HTTPError as error:
            assert error.code == 409  # a lease ran out on a busy machine


def test_four_runs_and_eight_people_lose_and_mix_up_nothing(tmp_path, postgresql_url):
    over, sent = threading.Event(), []
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("w"))

        def started(said):
            trainer = train(tmp_path / said.replace("/", "-"), postgresql_url, said, log)
            stack.callback(trainer.kill)
            return trainer

        trainers = {said: started(said) for said in RUNS}
        command = [*RLHF_GYM, "label", str(tmp_path / "clips"), "--web", "--store", postgresql_url, "--port", "0"]
        page = subprocess.Popen(
            [*command, "--draw", "states", "--width", "16"], stdout=subprocess.PIPE, stderr=log, text=True
        )
        stack.callback(page.stdout.close)
        stack.callback(page.wait)
        stack.callback(page.send_signal, signal.SIGINT)
        address = re.search(r"http\S+", page.stdout.readline())[0]
        people = [threading.Thread(target=label, args=(address, f"p{n}", over, sent)) for n in range(PEOPLE)]
        began = time.monotonic()
        for person in people:
            person.start()
        stack.callback(over.set)
        place = tmp_path / "left"
        until(lambda: len(list(place.glob("checkpoints/0*"))) > 0, trainers["left"])
        trainers["left"].kill()
        trainers["left"].wait()
        until(lambda: len(sent) > len(RUNS) * LABELS // 2 or all(t.poll() is not None for t in trainers.values()))
        trainers["left"] = subprocess.Popen([*RLHF_GYM, "resume", str(place)], stdout=log, stderr=log)
        stack.callback(trainers["left"].kill)
        assert [trainer.wait(timeout=1200) for trainer in trainers.values()] == [0] * 4, (tmp_path / "log").read_text()
        print(f"{len(sent)} answers in {time.monotonic() - began:.0f} s")
        over.set()
        for person in people:
            person.join()
    with PreferenceStore(postgresql_url) as store:
        given, runs = store.history(), store.runs()
        assert sorted((one.query_id, one.who) for one in given) == sorted(sent)  # nothing lost, and none besides
        assert max(Counter(one.query_id for one in given).values()) == 1  # nothing doubled
        assert sorted(run.instructions for run in runs) == sorted(RUNS)
        said = Counter()
        for preference in store.preferences():
            run = store.run_of(preference.query.id)
            env_id, kind, answer = RUNS[run.instructions]
            assert (run.env_id, preference.query.kind, preference.answer) == (env_id, kind, answer)
            assert preference.query.left.origin.env_id == env_id
            said[run.instructions] += 1
    assert said == dict.fromkeys(RUNS, LABELS)
    for run in RUNS:
        assert json.loads((tmp_path / run.replace("/", "-") / "summary.json").read_text())["labels"] == LABELS


def until(happens, process=None):
    deadline = time.monotonic() + 1200
    while not happens():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.05)

"""The page that a trainer serves beside itself."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.labelling.page.serve import _bind
from rlhf_gym.store import PreferenceStore
from rlhf_gym.verbs import training
from rlhf_gym.verbs.labelling import Label


def port_of_a_dead_server() -> int:
    """A port without a listener whose last connection the system still remembers (TIME-WAIT)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)) as browser:
            served, _ = server.accept()
            served.close()  # who closes first remembers
            assert browser.recv(1) == b""
    return port


def test_the_page_comes_back_on_the_port_where_a_killed_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    port = port_of_a_dead_server()
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", port))
    monkeypatch.setattr(Label, "port", port)
    assert training._free_port() == port
    with _bind("127.0.0.1", port) as bound:  # and the page itself is let in there
        assert bound.getsockname()[1] == port


def test_the_page_goes_elsewhere_where_its_port_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(Label, "port", server.getsockname()[1])
        assert training._free_port() not in (0, Label.port)


def test_the_page_says_its_address_on_a_line_of_its_own_and_ends_by_itself_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "PAGE_ENDS_WITHIN", 600.0)  # however busy this machine is
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(3))  # so that there is a process that draws, too
    command = [sys.executable, "-m", "rlhf_gym.cli", "label", str(tmp_path), "--web", "--port", "0"]
    with (tmp_path / "said").open("w+") as said:
        page = subprocess.Popen([*command, "--until-input-ends"], stdin=subprocess.PIPE, stdout=said, stderr=said)
        while not (tmp_path / "said").read_text().endswith("ends\n") and page.poll() is None:
            time.sleep(0.1)
        training._end(page)
    assert re.fullmatch(
        r"\nopen http://127.0.0.1:\d+/ to label; Ctrl-C ends\n",  # a progress bar may stand above
        (tmp_path / "said").read_text(),
    )
    assert page.returncode == 0


def test_a_page_that_does_not_end_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PAGE_ENDS_WITHIN", 0.1)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE) as deaf:
        training._end(deaf)
    assert deaf.returncode == -signal.SIGTERM


SLOW = """
import asyncio, fastapi
from rlhf_gym.labelling.page import serve
app = fastapi.FastAPI()
@app.get("/")
async def slow():
    print("asked", flush=True)
    await asyncio.sleep(60)
try:
    serve(app, host="127.0.0.1", port=0, started=lambda address: print(address, flush=True))
except KeyboardInterrupt:
    pass
"""


def test_a_request_that_still_waits_when_the_page_ends_is_dropped_in_silence() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=pipe, stderr=pipe, text=True) as server:
        assert server.stdout
        found = re.search(r":(\d+)/", server.stdout.readline())
        assert found
        with socket.create_connection(("127.0.0.1", int(found.group(1)))) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert server.stdout.readline() == "asked\n"
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=60)
    assert (server.returncode, err) == (0, "")

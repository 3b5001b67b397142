"""The page that a trainer serves beside itself."""

import socket

import pytest

from rlhf_gym.labelling.page.serve import _bind
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

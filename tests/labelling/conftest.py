from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from PIL import Image

from rlhf_gym.contracts import example_queries
from rlhf_gym.labelling import Clip, ClipError, ClipNotReady, Desk
from rlhf_gym.store import PreferenceStore


class FakeClips:
    """Two grey pictures an option in place of drawn clips; drawn at once, save those `late` or `undrawable`."""

    def __init__(self, directory):
        self.directory, self.late, self.undrawable = directory, set(), set()
        for option, grey in (("left", 80), ("right", 160), *((letter, 100) for letter in "abcdefgh")):
            Image.new("RGB", (16, 4), (grey,) * 3).save(directory / f"{option}.jpg")

    def ahead(self, queries):
        pass

    def drawing(self, query):
        drawn = Future()
        if query.id not in self.late:
            drawn.set_result(None)
        return drawn

    def wait(self, query, *, timeout=60.0):
        if query.id in self.late:
            raise ClipNotReady(f"the clip of query {query.id} isn't ready after {timeout:g} s; ask again")
        if query.id in self.undrawable:
            raise ClipError(f"query {query.id} can't be shown: nobody knows how")
        return Clip(
            self.directory,
            width=8,
            height=4,
            milliseconds=50,
            slowdown=1.0,
            columns=dict.fromkeys(query.names, 2),
            order=dict.fromkeys(query.names, [0, 1, 1]) | ({"right": [0, 0, 1]} if "right" in query.names else {}),
        )


@pytest.fixture
def room(tmp_path):
    """A store with six queries, 0-0 to 0-5, clips of them, and a desk."""
    (tmp_path / "clips").mkdir()
    with PreferenceStore() as store:
        store.post(example_queries(6))
        clips = FakeClips(tmp_path / "clips")
        yield SimpleNamespace(store=store, clips=clips, desk=Desk(store, clips, labels=5, instructions="stay up"))

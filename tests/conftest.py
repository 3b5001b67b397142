"""A PostgreSQL server of the tests' own: on a socket in a temporary folder, gone when the tests are done."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_the_disk() -> Iterator[None]:
    """Tests outlast no power cut: files that a run writes needn't be on the disk (10 ms each, on a busy one more)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _state_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests trust whatever they name, and leave no word of it in the user's own home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


GUARDED, PASSWORD = "guarded", "s3/cret"


@pytest.fixture
def guarded_url(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL, with its password, of an empty database for a user who needs one."""
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    return postgresql_url.replace("postgres@", f"{GUARDED}:{PASSWORD.replace('/', '%2F')}@")


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """URL of an empty database."""
    name = f"test_{uuid4().hex}"
    run_sql(postgresql_server, f"CREATE DATABASE {name}")
    yield f"postgresql+psycopg://postgres@/{name}?host={postgresql_server}"
    run_sql(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Folder of the socket on which a new server listens."""
    programs = find_programs()
    with tempfile.TemporaryDirectory(prefix="pg-") as place:  # a socket's path must be short, as pytest's isn't
        account = become_somebody(place)
        data, log = f"{place}/data", Path(place) / "log"
        make = [programs / "initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]
        subprocess.run([*make, "--no-sync", data], check=True, capture_output=True, cwd=place, **account)
        rules = Path(data) / "pg_hba.conf"  # the first that fits counts
        rules.write_text(f"local all {GUARDED} scram-sha-256\n{rules.read_text()}")
        settings = ("listen_addresses=", f"unix_socket_directories={place}", "fsync=off")  # tests outlast no power cut
        serve = [programs / "postgres", "-D", data, *(word for setting in settings for word in ("-c", setting))]
        with log.open("w") as said:
            server = subprocess.Popen(serve, stdout=said, stderr=said, cwd=place, **account)
        try:
            wait_for(server, place, log)
            run_sql(place, f"CREATE ROLE {GUARDED} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
            yield place
        finally:
            server.send_signal(signal.SIGINT)  # to PostgreSQL: disconnect all and stop
            server.wait(timeout=60)


def find_programs() -> Path:
    """The folder of initdb and postgres; without it or psycopg, the test is skipped, or fails where they must be."""
    lacks = "PostgreSQL isn't installed (Debian: apt-get install postgresql)"
    path = shutil.which("initdb")
    folders = [Path(path).parent] if path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    try:
        import psycopg  # noqa: F401
    except ImportError:
        folders, lacks = [], "psycopg isn't installed (pip install 'rlhf-gym[postgresql]')"
    if not folders:
        (pytest.fail if os.environ.get("RLHF_GYM_REQUIRE_POSTGRESQL") == "1" else pytest.skip)(lacks)
    return folders[-1]


def become_somebody(place: str) -> dict[str, Any]:
    """How to run PostgreSQL, which refuses to be root: as its own account, which is given the folder."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    os.chown(place, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def wait_for(server: "subprocess.Popen[bytes]", place: str, log: Path) -> None:
    """Until it answers."""
    import psycopg

    until = time.monotonic() + 60
    while True:
        try:
            return run_sql(place, "SELECT 1")
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"PostgreSQL doesn't start: {log.read_text()}")
            time.sleep(0.05)


def run_sql(place: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(host=place, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(statement.encode())

"""The page in a real browser behind a real nginx: under a path, by another name, in another site's frame.

RLHF_GYM_REQUIRE_NGINX=1 makes a missing nginx a failure instead of a skip, and RLHF_GYM_REQUIRE_CHROMIUM=1 a missing
browser.
"""

import os
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack

import pytest
import uvicorn

from rlhf_gym.labelling.page import Access, make_app
from rlhf_gym.preferences import Answer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NAME = "labels.localhost"  # browsers look for it on this machine, and take a Secure cookie from it
CONFIG = """
daemon off; master_process off; pid {place}/pid; error_log {place}/errors;
events {{}}
http {{
  access_log off;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /left-out/ {{ proxy_pass http://127.0.0.1:{page}/; }}
    location /passed-on/ {{ proxy_pass http://127.0.0.1:{page}; proxy_set_header Host $http_host; }}
    location = /favicon.ico {{ return 204; }}
    location = /frame {{
      default_type text/html;
      return 200 '<iframe src="http://{name}:{port}{root}/?token=s3cret" width="1000" height="700"></iframe>';
    }}
  }}
}}
"""


def missing(what, required):
    if os.environ.get(required) == "1":
        pytest.fail(f"{what}, and {required} is 1")
    pytest.skip(f"{what}; the page was not tried behind a proxy")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed (pip install playwright)")
    if CHROMIUM is None:
        missing("chromium isn't installed (apt-get install chromium)", "RLHF_GYM_REQUIRE_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def nginx(tmp_path, room):
    """Gives the port of an nginx before a page under a path, whose token is s3cret."""
    if NGINX is None:
        missing("nginx isn't installed (apt-get install nginx-light)", "RLHF_GYM_REQUIRE_NGINX")
    with ExitStack() as stack:

        def serve(root, *, framed=False):
            page, front = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
            port = front.getsockname()[1]
            framing = [f"http://127.0.0.1:{port}"] if framed else []
            access = Access(root_path=root, allowed_hosts=[f"{NAME}:{port}"], frame_ancestors=framing)
            app = make_app(room.desk, token="s3cret", access=access)
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [page]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            file = tmp_path / "nginx.conf"
            file.write_text(CONFIG.format(place=tmp_path, port=port, page=page.getsockname()[1], name=NAME, root=root))
            front.close()
            proxy = subprocess.Popen([NGINX, "-e", tmp_path / "errors", "-p", tmp_path, "-c", file])
            stack.callback(proxy.wait)
            stack.callback(proxy.terminate)
            while proxy.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    pass
            assert proxy.poll() is None, (tmp_path / "errors").read_text()
            return port

        yield serve


@pytest.fixture
def tab(browser, nginx, room):
    """A person's page, on which nothing may go wrong unseen; it is closed before what it asks ends."""
    faults = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
    yield page
    context.close()
    assert faults == []


def shows(view, query_id):
    view.wait_for_selector(f"#query[data-query='{query_id}']:visible canvas[data-tick]")


def label(view, keyboard):
    view.fill("#who", "Ann")
    keyboard.press("Enter")
    shows(view, "0-0")
    view.wait_for_timeout(400)  # an answer that comes at once is ignored
    keyboard.press("ArrowLeft")
    shows(view, "0-1")


@pytest.mark.parametrize("root", ["/left-out", "/passed-on"])
def test_behind_a_proxy_queries_are_labelled_under_its_name_and_path(tab, nginx, room, root):
    port = nginx(root)
    tab.goto(f"http://{NAME}:{port}{root}/?token=s3cret")
    assert tab.url == f"http://{NAME}:{port}{root}/"
    label(tab, tab.keyboard)
    assert room.store.standing("0-0") == {"Ann": Answer.LEFT}
    tab.click("text=Dashboard")
    tab.wait_for_selector("#people tr:has-text('Ann')")
    assert tab.url == f"http://{NAME}:{port}{root}/dashboard"
    tab.click("text=Back to labelling")
    shows(tab, "0-1")  # the name and the token are remembered


def test_a_site_that_is_named_shows_the_page_in_a_frame_and_people_label_there(tab, nginx, room):
    port = nginx("/left-out", framed=True)
    tab.goto(f"http://127.0.0.1:{port}/frame")  # another site than the one in the frame
    view = tab.frame_locator("iframe").locator(":root").element_handle().owner_frame()
    label(view, tab.keyboard)
    assert room.store.standing("0-0") == {"Ann": Answer.LEFT}


def test_a_site_that_is_not_named_shows_nothing(browser, nginx, room):
    port = nginx("/left-out")
    page = browser.new_page()
    with page.expect_console_message(lambda told: "frame-ancestors" in told.text, timeout=60_000):
        page.goto(f"http://127.0.0.1:{port}/frame")
    page.close()

"""The API against its own description: requests made up from /openapi.json, hundreds of them, right ones and wrong."""

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from rlhf_gym.labelling.page import make_app

BEARER = {"Authorization": "Bearer s3cret"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
MADE_UP = hypothesis.settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
OPERATIONS = [(path, method) for path, methods in make_app(None).openapi()["paths"].items() for method in methods]


def for_each_request(app, path, method, mode, check, made_up=MADE_UP):
    """Call `check` with requests to one operation that keep to its description, or break it."""
    operation = schemathesis.openapi.from_asgi("/openapi.json", app, headers=BEARER)[path][method]

    @made_up
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def ask(case):
        check(case)

    ask()


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_asked_is_answered_as_described_and_never_by_a_fault(room, path, method, mode):
    app = make_app(room.desk, token="s3cret", curve=lambda: [{"round": 0.0, "true_return": float("nan")}])
    try:
        for_each_request(app, path, method, mode, lambda case: case.call_and_validate(checks=CHECKS, headers=BEARER))
    except hypothesis.errors.Unsatisfiable:  # a request without parts can't be wrong
        assert (path, mode) in {(path, GenerationMode.NEGATIVE) for path in ("/api/curve", "/api/quality", "/api/runs")}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_without_the_token_whatever_is_asked_is_answered_401(room, path, method):
    def refused(case):
        assert case.call().status_code == 401

    for_each_request(make_app(room.desk, token="s3cret"), path, method, GenerationMode.POSITIVE, refused)


def test_the_checks_find_a_fault(room):
    room.desk.upcoming = lambda who: 1 / 0
    app = make_app(room.desk, token="s3cret")
    with pytest.raises((ZeroDivisionError, FailureGroup)):
        for_each_request(
            app,
            "/api/next",
            "post",
            GenerationMode.POSITIVE,
            lambda case: case.call_and_validate(checks=CHECKS, headers=BEARER),
            hypothesis.settings(MADE_UP, phases=[hypothesis.Phase.generate]),  # found is enough: it needn't be small
        )

"""The page: queries answered in a browser, and the REST API under it."""

try:
    import fastapi as _fastapi  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError("the labelling page needs FastAPI and uvicorn: pip install 'rlhf-gym[web]'") from error

from rlhf_gym.labelling.page.access import Access
from rlhf_gym.labelling.page.app import SHOWS, make_app
from rlhf_gym.labelling.page.guard import is_loopback
from rlhf_gym.labelling.page.serve import new_token, serve

__all__ = ["SHOWS", "Access", "is_loopback", "make_app", "new_token", "serve"]

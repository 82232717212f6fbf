"""The application for in-process clients, made once a process: its routes and description take half a second."""

from __future__ import annotations

import functools

from litestar import Litestar

from gateway.api.app import create_app
from gateway.core import Core
from gateway.security.limits import Limits


@functools.cache
def _app() -> Litestar:
    return create_app()


def app_of(core: Core) -> Litestar:
    """The application on a test's own services, which stay in it until the next test brings its own.

    In-process clients run no lifespan, so that nothing else is opened.
    """
    app = _app()
    app.state.core, app.state.limits = core, Limits()
    return app

"""The application and its clients, as for the API's own tests."""

from tests.gateway.api.conftest import api, core, http

__all__ = ["api", "core", "http"]

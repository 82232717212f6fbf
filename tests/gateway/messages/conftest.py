"""The API's application and its roles, in this folder too."""

from tests.gateway.api.conftest import api, core, http

__all__ = ["api", "core", "http"]

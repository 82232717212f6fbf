"""Whatever is sent, the API answers with what it describes, never with an internal error, and never echoes a NIK."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings

from gateway.app import create_app
from gateway.logs import set_up_logging
from tests.gateway.api.conftest import settings_on
from tests.gateway.api.kit import SCOPES, as_csv, nik, row

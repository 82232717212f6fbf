"""Logging as JSON lines: what happened and to which id; never a body, a query string or personal data."""

from __future__ import annotations

import logging
import sys
import traceback

import structlog

_LIBRARIES = ("httpx", "httpcore", "asyncio", "aiohttp", "authlib", "litestar", "uvicorn.access")
"""Some of these write addresses with their query at INFO."""


def set_up_logging(*, level: int = logging.INFO) -> None:
    """Send everything to stderr as JSON; called once per process."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(structlog.processors.JSONRenderer(), foreign_pre_chain=shared))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Lines(structlog.stdlib.ProcessorFormatter):
    """Other libraries' records; an exception shows as its class and place, its text may quote what was sent."""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and record.exc_info[1] is not None:
            record.msg = f"{record.msg} [{type(record.exc_info[1]).__name__}: {' < '.join(frames(record.exc_info[1]))}]"
            record.exc_info = None
            record.exc_text = None
        return super().format(record)


def frames(error: BaseException, *, most: int = 12) -> list[str]:
    """Where an exception came from, innermost first, without its text: that may quote personal data."""
    return [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
        for frame in reversed(traceback.extract_tb(error.__traceback__)[-most:])
    ]

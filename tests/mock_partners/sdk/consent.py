"""A person at a consent page, by plain HTTP."""

from __future__ import annotations

import httpx


def agree(url: str, *, phone: str, otp: str, pin: str) -> str:
    """Walks through the page behind a link to its end; returns where the browser is sent."""
    with httpx.Client(follow_redirects=True, timeout=30) as browser:
        page = str(browser.get(url).url)
    answers = {"agree": "yes", "phone": phone, "otp": otp, "pin": pin, "action": "continue"}
    with httpx.Client(timeout=30) as browser:
        for _ in range(5):
            reply = browser.post(page, data=answers)
            if reply.is_redirect:
                return reply.headers["location"]
    raise AssertionError("the page has no end")

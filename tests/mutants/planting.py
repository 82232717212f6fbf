"""How one kind of bug is planted in several adapters, and which tests are there to notice it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.mutants.mutant import Edit, Mutant

SNAP_SIGN, SNAP_CODES = "adapters/snap/sign.py", "adapters/snap/codes.py"
PAY, CALLS, VALUES, SNAP_LINKS = (f"adapters/snap/{name}.py" for name in ("payouts", "calls", "values", "links"))
STMT, PAGING = "adapters/snap/statements.py", "adapters/paging.py"
BASE, ANSWERS = "adapters/base.py", "adapters/answers.py"
PLANS, DAMAGE, CODES, LINKS, PAYOUTS, IDENTITY, NOTICES, TOKENS, ONE_ACCOUNT = (
    f"tests/contract/test_{name}.py"
    for name in ("plans", "damage", "codes", "links", "payouts", "identity", "notifications", "tokens", "one_account")
)


def kind(name: str, tests: tuple[str, ...], planted: Mapping[str, tuple[Edit, ...]]) -> tuple[Mutant, ...]:
    """The same bug in several adapters."""
    return tuple(Mutant(f"{slug}/{name}", edits, tests, only=slug) for slug, edits in planted.items())


def alone(slug: str, name: str, file: str, old: str, new: str, test: str) -> Mutant:
    """A bug that one adapter alone can have."""
    return Mutant(f"{slug}/{name}", (at(slug, file, old, new),), (test,), only=slug)


def at(slug: str, file: str, old: str, new: str, times: int = 1) -> Edit:
    return Edit(f"adapters/{slug}/{file}.py", old, new, times)


def shared(edit: Edit, *slugs: str) -> dict[str, tuple[Edit, ...]]:
    return dict.fromkeys(slugs, (edit,))


def one(
    name: str, path: str, old: str, new: str, *tests: str, times: int = 1, only: str = "", first: str = ""
) -> Mutant:
    """One bug in one place outside the adapters."""
    return Mutant(name, (Edit(path, old, new, times),), tests, only=only, first=first)


def _suites(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/gateway/{folder}/test_{name}.py" for name in names)


QUOTA = "tests/gateway/partners/test_quota.py"
SENDING, FOLLOWING, TWO_STEP, WORDS, ABSENCE, WORKER, BEGIN, STOPS = _suites(
    "payouts", "sending", "following", "two_step", "words", "absence", "worker", "begin", "stops"
)
INBOX, VERIFYING, ACCOUNTS, REDIRECT, INPUTS, PARTICIPANTS = _suites(
    "linking", "inbox", "verification", "accounts", "linking_redirect", "linking_inputs", "participants"
)
BATCHES, INCENTIVES = _suites("intake", "batches", "incentives")
(PROBLEMS,) = _suites("api", "problems")
RESTORE, TRANSPORT = "tests/gateway/reconciliation/test_restore.py", "tests/gateway/partners/test_transport.py"

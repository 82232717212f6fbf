"""`python -m tests.crash.hasty_worker`: `gateway worker`, to which what is refused for days is refused for seconds.

Only the waits of webhooks are shorter. One event that an endpoint refuses ten times takes a day else.
"""

from datetime import timedelta

from gateway.cli.worker import worker
from gateway.services.messages import delivery

delivery._FIRST_S, delivery._MOST_S, delivery._REST_MOST_S = 0.05, 0.5, 0.2
delivery.BUDGET_S = 2.0
delivery.LEASE = timedelta(seconds=15)
"""What a killed worker served is another's after so long: longer than a round and its last call's time-out."""

if __name__ == "__main__":
    worker()

"""The towns in which a crowd is refused: one of payouts, one of links and NIK checks."""

from tests.gateway.linking.conftest import world
from tests.gateway.payouts.conftest import town

__all__ = ["town", "world"]

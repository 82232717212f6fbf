"""PostgreSQL and Valkey as child processes, for a laptop, a test or the demo; production names its servers by URL."""

from gateway.embedded.postgres import EmbeddedPostgres, create_database_from_template, drop_database, postgres_dsn
from gateway.embedded.process import EmbeddedError, data_home
from gateway.embedded.valkey import EmbeddedValkey, redis_url

__all__ = [
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "create_database_from_template",
    "data_home",
    "drop_database",
    "postgres_dsn",
    "redis_url",
]

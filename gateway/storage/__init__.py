"""PostgreSQL, the one store and record of truth: numbered migrations, a pool, one module of queries per resource."""

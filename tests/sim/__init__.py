"""Seeded runs of the whole gateway against the mock partners under faults: `make sim SEEDS=100 SEED=1`.

The real services, adapters, mocks and PostgreSQL; one virtual clock, one thread, one database call at a time. Every
order and every fault is drawn from the seed, so a seed repeats to the byte.
"""

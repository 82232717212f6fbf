"""Cases, switches, audit, funnel, and the journal of exchanges."""

"""The demonstration: a backlog of incentives linked, verified and paid by real processes on loopback, then audited.

The demo plays everyone outside the gateway over HTTP: the core platform, its two approvers, and the participants at the
consent pages. It knows the mock partners only by their commands and addresses.
"""

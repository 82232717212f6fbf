"""SNAP as the partners serve it (snap-bni.md 1 and 6.1), once for all of them.

`signatures`, `refusals`, `tokens`: what a call is checked with. `gate`: the checks in their order, the token endpoint
and the envelope. `fields`: a body's fields. `magic`: numbers that name their refusal. `links`: codes, customer tokens
and the b2b2c grants. `payments`: a payout's duplicates and outcomes, and the words of its status.
`topups`: a wallet's payee, what its answers echo, a row of its history.
"""

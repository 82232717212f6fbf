"""Bank Indonesia's SNAP, as far as its partners share it (snap-bni.md section 1).

Out goes a request: `calls.py` endpoints as rows, and how one is signed; `sign.py` strings to sign.
Back comes an answer: `codes.py` its envelope and cases, `values.py` tokens, lives, times and amounts in it; what it
means is in `links.py`, `payouts.py` and `statements.py`. `facts.py` is what manifests take from the standard.
"""

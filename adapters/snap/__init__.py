"""Bank Indonesia's SNAP, as far as its partners share it (snap-bni.md section 1).

`sign.py` strings to sign, signatures, headers; `codes.py` the response envelope and its case codes;
`values.py` tokens, lives and times in answers.
"""

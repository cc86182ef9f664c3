"""Scorers and the verifier behind HTTP: `prm serve`.

One process answers HTTP (`app`); another holds the scorers (`worker`), and is started again if it ends (`process`).
The server of `prm solve --serve` shares `web` and `limits`.
"""

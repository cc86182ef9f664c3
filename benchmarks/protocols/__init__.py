"""How scores of a suite are measured: best of n, first-error localization, step classification, preference."""

"""Where the tests find what they read."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout."""
SAMPLES = Path(os.environ.get("PRM_SAMPLE_DATA", ROOT.parent / "shared" / "data"))
"""Rows of public data sets; a test that reads them is skipped where they are not there."""

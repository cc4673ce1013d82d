"""Where the real files of the producers are found; they are not part of the repository."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SOIL_MOISTURE_TEST_DATA", ROOT.parent / "shared" / "data"))

"""Every command of docs/first-study.md, in its order, as a reader types them.

make test-regions     minutes
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

pytestmark = pytest.mark.regions
# What a reader must see after the nth block of commands.
SEEN = {
    0: "steps (100%) done",
    1: "2016-08.tif",
    2: "Nothing to be done",
    3: "build_page",
    4: "pixels used",
    5: "steps (100%) done",
    6: "snakemake fetch (layers clipped to the area)",
    7: "predict_maps_2016",
    8: "nlock",
}


def test_a_newcomer_gets_through_the_page(tmp_path):
    page = (ROOT / "docs" / "first-study.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.S)
    assert len(blocks) == len(SEEN)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for number, block in enumerate(blocks):
        ended = subprocess.run(
            ["sh", "-ec", block.replace("/tmp/", f"{tmp_path}/")],
            cwd=ROOT,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert SEEN[number] in ended.stdout, f"{block}\n{ended.stdout[-4000:]}"
        assert ended.returncode == 0, f"{block}\n{ended.stdout[-4000:]}"

"""Files from the future are named, with the command that mends them."""

import os
import re
import subprocess

from _clock import TOLERATED, ahead, complaint

NOW = 1_700_000_000.0


def touched(path, lead):
    path.write_text("x")
    os.utime(path, (NOW + lead, NOW + lead))
    return str(path)


def test_what_is_older_or_within_the_tolerance_is_not_named(tmp_path):
    paths = [touched(tmp_path / "a", -1e6), touched(tmp_path / "b", TOLERATED - 1)]
    assert ahead([*paths, str(tmp_path / "absent")], NOW) == []
    assert complaint([]) == ""


def test_the_file_furthest_ahead_stands_for_all(tmp_path):
    paths = [touched(tmp_path / "a", 600), touched(tmp_path / "b", 86400), str(tmp_path / "a")]
    found = ahead(paths, NOW)
    assert [path for path, _ in found] == sorted(set(paths))
    said = complaint(found)
    assert said.startswith(f"{tmp_path}/b and 1 more: expected files no newer than now")
    assert "24 hours ahead" in said


def test_the_clock_of_this_machine_is_the_default(tmp_path):
    (tmp_path / "a").write_text("x")
    assert ahead([tmp_path / "a"]) == []


def test_the_command_in_the_message_mends_it(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "resources").mkdir()
    path = tmp_path / "results" / "a b.tif"
    path.write_text("kept")
    os.utime(path, (4e9, 4e9))
    command = re.search(r"^  (find .*)$", complaint(ahead([path])), re.M)[1]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert ahead([path]) == []
    assert path.read_text() == "kept"

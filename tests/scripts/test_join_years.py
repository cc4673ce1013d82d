"""Years become one table, unchanged and in order."""

import pytest

import join_years
from _log import UserError


def test_rows_keep_their_bytes_and_order(tmp_path):
    (tmp_path / "a.csv").write_text("station,total\n007,1.50\n008,\n")
    (tmp_path / "b.csv").write_text("station,total\n007,2.00\n")
    paths = [str(tmp_path / name) for name in ("b.csv", "a.csv")]
    join_years.main(paths, str(tmp_path / "all.csv"))
    assert (tmp_path / "all.csv").read_bytes() == b"station,total\n007,2.00\n007,1.50\n008,\n"


def test_other_columns_are_refused():
    with pytest.raises(UserError, match=r"b.csv: expected the columns of a.csv \(x,y\), found x,z"):
        join_years.joined({"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"})

"""The lock that pins what entered a study."""

import pytest

from _lock import compare_tables, read_lock
from _log import UserError

SHA = "0123456789abcdef" * 4


def table(folder, name, *rows):
    text = "path,bytes,sha256,delivered,address,fetched\n"
    (folder / name).write_text(text + "".join(f"{p},1,{s},X.hdf,,\n" for p, s in rows))
    return folder / name


def test_a_lock_is_read_with_comments_and_empty_lines(tmp_path):
    (tmp_path / "my.lock").write_text(f"# of a run\n\n{SHA}  a path with blanks.hdf\n")
    assert read_lock(str(tmp_path / "my.lock")) == {"a path with blanks.hdf": SHA}


@pytest.mark.parametrize("line", ["nonsense", f"{SHA} one-blank", f"{SHA.upper()}  path"])
def test_a_lock_of_another_form_is_refused(tmp_path, line):
    (tmp_path / "my.lock").write_text(f"{SHA}  fine\n{line}\n")
    with pytest.raises(UserError, match=r"my.lock: expected lines of a SHA-256.*in line 2"):
        read_lock(str(tmp_path / "my.lock"))


def test_a_lock_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"my.lock: expected the lock that the config names"):
        read_lock(str(tmp_path / "my.lock"))


def test_tables_of_earlier_jobs_are_compared(tmp_path):
    (tmp_path / "my.lock").write_text(f"{SHA}  a\n{SHA}  b\n")
    lock, right = str(tmp_path / "my.lock"), table(tmp_path, "lst.csv", ("a", SHA), ("b", SHA))
    assert compare_tables([right], lock) == 2
    with pytest.raises(UserError, match=r"^b: expected sha256 0123456789ab.*X.hdf"):
        compare_tables([right, table(tmp_path, "ndvi.csv", ("b", "f" * 64))], lock)
    with pytest.raises(UserError, match=r"^c: expected only files named in"):
        compare_tables([table(tmp_path, "et.csv", ("c", SHA))], lock)

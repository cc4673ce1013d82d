"""Zip archives are unpacked whole, inside their folder, or refused by name."""

import os
import stat
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import _zip
from _log import UserError
from conftest import real

DATA = os.urandom(3000) + b"moisture " * 2000


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in (members or {"N33E102.hgt": DATA}).items():
            file.writestr(name, content)
    return path


def strange(path, name="a.txt", mode=stat.S_IFREG | 0o644, content=b"1"):
    """An archive with a good member and one whose name or kind is not fit to unpack."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    info.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("good.txt", b"good")
        file.writestr(info, content)
    return path


def only(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["tile.zip", "tile.nc", "tile.hgt"])
def test_zips_are_known_by_what_they_begin_with(tmp_path, name):
    assert _zip.is_zip(archive(tmp_path / name))


@pytest.mark.parametrize("content", [b"", b"P", b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"PK no zip"])
def test_other_files_are_not_zips_whatever_their_name(tmp_path, content):
    (tmp_path / "tile.zip").write_bytes(content)
    assert not _zip.is_zip(tmp_path / "tile.zip")


def test_members_that_are_files_are_named_in_order(tmp_path):
    path = archive(tmp_path / "a.zip", **{"b/": b"", "b/2.csv": b"2", "a.csv": b"1", "x..y": b""})
    assert _zip.names(path) == ["b/2.csv", "a.csv", "x..y"]


def test_an_archive_without_members_has_no_names(tmp_path):
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    assert _zip.is_zip(tmp_path / "a.zip")
    assert _zip.names(tmp_path / "a.zip") == []


def test_a_real_tile_comes_out_as_its_bytes(tmp_path):
    path = real("dem/S16E166v2.3a.hgt.zip")
    (member,) = [name for name in _zip.names(path) if name.endswith(".hgt")]
    _zip.extract(path, member, tmp_path / "S16E166.hgt")
    heights = np.fromfile(tmp_path / "S16E166.hgt", ">i2")
    assert heights.size in (1201**2, 3601**2)
    assert (heights == -32768).any() and heights.max() < 1900  # Vanuatu's highest is 1879 m
    assert _zip.content(path, member) == (tmp_path / "S16E166.hgt").read_bytes()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.txt", "found one that leads elsewhere"),
        ("a/../../evil.txt", "found one that leads elsewhere"),
        ("..", "found one that leads elsewhere"),
        ("a\\..\\evil.txt", "found one that leads elsewhere"),
        ("/etc/evil.txt", "found an absolute name"),
        ("C:/evil.txt", "found an absolute name"),
        ("c:evil.txt", "found an absolute name"),
        ("evil.nc\0.txt", "found one that leads elsewhere"),
    ],
)
def test_names_that_lead_out_are_refused(tmp_path, name, said):
    path = strange(tmp_path / "a.zip", name)
    with pytest.raises(
        UserError, match=f"a.zip: expected a name that stays inside.*{said}"
    ) as info:
        _zip.names(path)
    assert repr(name) in str(info.value) and f"Delete {path} and fetch it again" in str(info.value)
    seen = name.split("\0")[0]
    for read in (
        lambda: _zip.content(path, seen),
        lambda: _zip.extract(path, seen, tmp_path / "b"),
    ):
        with pytest.raises(UserError, match=said):
            read()
    assert only(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFIFO | 0o666])
def test_links_and_devices_are_refused(tmp_path, mode):
    path = strange(tmp_path / "a.zip", "link", mode, b"/etc/passwd")
    for read in (lambda: _zip.names(path), lambda: _zip.extract(path, "link", tmp_path / "b")):
        with pytest.raises(UserError, match="expected a file for member 'link', found a link or a"):
            read()
    assert only(tmp_path) == ["a.zip"]


def test_encrypted_members_are_refused(tmp_path):
    path = archive(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    for read in (lambda: _zip.names(path), lambda: _zip.content(path, "N33E102.hgt")):
        with pytest.raises(UserError, match="expected a plain file .*'N33E102.hgt', found an encr"):
            read()


def test_a_method_that_swells_without_bound_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("a", b"1" * 100)
    with pytest.raises(UserError, match="expected a deflated or stored file .* method 12"):
        _zip.names(tmp_path / "a.zip")


def test_a_member_that_is_there_twice_is_refused(tmp_path):
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "a.zip", "w") as f,
    ):
        f.writestr("a.txt", b"1")
        f.writestr("a.txt", b"2")
    with pytest.raises(UserError, match="expected each member once .*'a.txt', found it twice"):
        _zip.names(tmp_path / "a.zip")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = archive(tmp_path / "a.zip", **{"bomb.nc": bytes(5_000_000)})
    assert path.stat().st_size < 10_000
    for read in (
        lambda: _zip.content(path, "bomb.nc", 4_999_999),
        lambda: _zip.extract(path, "bomb.nc", tmp_path / "b", largest=4_999_999),
    ):
        with pytest.raises(UserError, match="at most 4999999 bytes .*'bomb.nc', found 5000000"):
            read()
    assert only(tmp_path) == ["a.zip"]
    assert len(_zip.content(path, "bomb.nc", 5_000_000)) == 5_000_000


def test_a_bomb_that_lies_about_its_size_is_cut_and_refused(tmp_path):
    path = archive(tmp_path / "a.zip", **{"bomb.nc": bytes(5_000_000)})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match="expected a whole member bomb.nc, found it damaged"):
        _zip.extract(path, "bomb.nc", tmp_path / "b", largest=4000)
    assert only(tmp_path) == ["a.zip"]


def test_a_member_shorter_than_it_says_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (len(DATA) + 10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{len(DATA) + 10} bytes of member .*, found {len(DATA)}"):
        _zip.extract(path, "N33E102.hgt", tmp_path / "b")
    assert only(tmp_path) == ["a.zip"]


def test_a_member_whose_checksum_fails_leaves_nothing(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a.hgt", DATA)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    assert _zip.names(path) == ["a.hgt"]
    for read in (
        lambda: _zip.content(path, "a.hgt"),
        lambda: _zip.extract(path, "a.hgt", tmp_path / "b"),
    ):
        with pytest.raises(
            UserError, match="a.zip: expected a whole member a.hgt, found it damaged"
        ):
            read()
    assert only(tmp_path) == ["a.zip"]


@given(cut=st.integers(0, 1_000_000), other=st.booleans())
def test_a_cut_archive_never_gives_a_file(tmp_path_factory, cut, other):
    folder = tmp_path_factory.mktemp("cut")
    path = archive(folder / "a.zip", **{"a": DATA, "b": b"2"})
    content = path.read_bytes()
    cut %= len(content)
    # As a connection cut in the end, or as a piece lost in the middle of a resumed download.
    path.write_bytes(content[:cut] if other else content[:cut] + content[cut + 1 :])
    try:
        given_back = {name: _zip.content(path, name) for name in _zip.names(path)}
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert not other and given_back == {"a": DATA, "b": b"2"}


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match="b.zip: expected a zip archive, found no such file"):
        _zip.names(tmp_path / "b.zip")
    path = archive(tmp_path / "a.zip")
    with pytest.raises(UserError, match="expected a member N1.hgt, found N33E102.hgt. Delete"):
        _zip.content(path, "N1.hgt")


def test_a_log_in_page_is_not_an_archive(tmp_path):
    (tmp_path / "a.zip").write_text("<!DOCTYPE html><html>Sign in</html>")
    with pytest.raises(UserError, match="expected a whole zip archive, found .* cut short or dam"):
        _zip.names(tmp_path / "a.zip")


def test_many_members_are_read_with_the_archive_opened_once(tmp_path, monkeypatch):
    members = {f"{number}.stm": str(number).encode() for number in range(50)}
    path = archive(tmp_path / "a.zip", **members)
    opened = []
    before = zipfile.ZipFile.__init__
    monkeypatch.setattr(
        zipfile.ZipFile,
        "__init__",
        lambda self, *a, **k: (opened.append(1), before(self, *a, **k))[1],
    )
    assert list(_zip.contents(path, list(members))) == list(members.values())
    assert len(opened) == 1


def test_a_target_that_is_there_stays_until_the_new_one_is_whole(tmp_path):
    path = archive(tmp_path / "a.zip", **{"a": b"new"})
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(UserError):
        _zip.extract(path, "a", tmp_path / "b", largest=1)
    assert (tmp_path / "b").read_bytes() == b"old"
    _zip.extract(path, "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"new"

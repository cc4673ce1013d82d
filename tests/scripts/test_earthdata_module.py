"""The catalogue and the log-in, against a small Earthdata on loopback.

All of earthaccess runs for real (Auth, its session with the redirects and the hook that answers
the log-in page, DataGranules with paging). Only the transport is patched: earthaccess always
speaks https with the log-in host, so requests' adapter sends https://login.test to the loopback
server over http (tests/earthdata.py).
"""

import pytest
import requests

import _earthdata
from _download import Refused
from _log import UserError, scrubbed
from earthdata import HOST, PASSWORD, TOKEN, USER, Earthdata, reached_by_http, without_credentials
from servers import Fault

NEW = "MOD13Q1.A2012113.h26v05.061.2021068095141.hdf"
OLD = "MOD13Q1.A2012113.h26v05.061.2020342021543.hdf"
JUNE = "MOD13Q1.A2012161.h26v05.061.2021068095141.hdf"


@pytest.fixture
def earthdata(tmp_path, monkeypatch):
    without_credentials(monkeypatch, tmp_path)
    monkeypatch.setattr("_earthdata.time.sleep", lambda seconds: None)
    with Earthdata() as service:
        reached_by_http(monkeypatch, service.login)
        yield service


def search(earthdata, *names, tries=2, timeout=5):
    return _earthdata.search(earthdata.cmr, "MOD13Q1", "061", list(names), tries, timeout)


def netrc(folder, machine=HOST, user=USER, password=PASSWORD):
    (folder / "netrc").write_text(f"machine {machine} login {user} password {password}\n")


# --- the catalogue ---


def test_all_productions_of_the_names_asked_for_and_no_others(earthdata):
    for name in (NEW, OLD, JUNE, NEW.replace("h26", "h27"), NEW.replace("2012113", "2013113")):
        earthdata.add(name, b"12345", "MOD13Q1")
    earthdata.add(NEW.replace(".061.", ".006."), b"old", "MOD13Q1", version="006")
    earthdata.add(NEW, b"12345", "MOD13Q1", provider="LPDAAC_ECS")
    found = search(earthdata, "MOD13Q1.A2012*.h26v05.061.*")
    assert sorted(file.name for file in found) == sorted([NEW, OLD, JUNE])
    assert not any("authorization" in seen.headers for seen in earthdata.archive.seen)


def test_a_mirror_that_ignores_the_provider_gives_no_name_twice(earthdata):
    for provider in ("LPCLOUD", "LPDAAC_ECS"):
        earthdata.add(NEW, b"12345", "MOD13Q1", provider=provider)
    for item in earthdata.archive.granules:
        item["meta"]["provider-id"] = "LPCLOUD"
    assert [file.name for file in search(earthdata, "MOD13Q1.A2012*")] == [NEW]


def test_pages_are_followed_to_the_end(earthdata):
    for number in range(2100):
        earthdata.add(f"MOD13Q1.A2012113.h26v05.061.{number:013d}.hdf", b"", "MOD13Q1")
    assert len(search(earthdata, "MOD13Q1.A2012*")) == 2100
    afters = [seen.headers.get("cmr-search-after") for seen in earthdata.archive.seen]
    assert afters == [None, None, "2000"]  # how many, first page, second page


def test_many_names_are_asked_for_in_several_questions(earthdata):
    names = [f"N{lat:02d}E{lon:03d}.SRTMGL3.hgt" for lat in range(27, 36) for lon in range(97, 105)]
    for name in names:
        earthdata.add(f"{name}.zip", b"x", "SRTMGL3", "003", ending=".zip")
    found = _earthdata.search(earthdata.cmr, "SRTMGL3", "003", [f"{name}*" for name in names])
    assert sorted(file.name for file in found) == sorted(f"{name}.zip" for name in names)
    assert max(len(seen.query["readable_granule_name[]"]) for seen in earthdata.archive.seen) == 50


def test_a_list_shorter_than_announced_is_not_taken_for_all(earthdata):
    earthdata.archive.largest_page, earthdata.archive.ends_early = 2, True
    for name in (NEW, OLD, JUNE):
        earthdata.add(name, b"12345", "MOD13Q1")
    with pytest.raises(UserError, match=r"after 2 tries: [24] granules where it had announced 3"):
        search(earthdata, "MOD13Q1.A2012*")


def test_nothing_found_is_an_empty_list(earthdata):
    assert search(earthdata, "MOD13Q1.A2012*") == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, {"Retry-After": "0"}),
        500,
        503,
        "login",
        Fault("cut", after=20),
        Fault("stall", after=20, seconds=1),
    ],
    ids=str,
)
def test_a_busy_catalogue_is_asked_again(earthdata, fault):
    earthdata.add(NEW, b"12345", "MOD13Q1")
    # The second question of a search asks for the list itself.
    earthdata.archive.faults["/search/granules.umm_json"] = [Fault("none"), fault]
    assert [file.name for file in search(earthdata, "MOD13Q1.*", timeout=0.5)] == [NEW]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (500, "status 500"),
        (Fault("stall", after=0, seconds=1), "no answer in time|no connection"),
        ("login", "an answer of another kind"),
    ],
)
def test_a_catalogue_that_stays_ill_is_given_up_with_a_reason(earthdata, fault, why):
    earthdata.archive.faults["/search/granules.umm_json"] = [fault] * 3
    with pytest.raises(UserError, match=f"list of granules, found after 3 tries: ({why})"):
        search(earthdata, "MOD13Q1.*", tries=3, timeout=0.3)
    assert earthdata.asked == 3


def test_a_question_that_is_refused_is_not_asked_again(earthdata):
    earthdata.archive.faults["/search/granules.umm_json"] = [400, 400]
    with pytest.raises(UserError, match="found status 400 .* Look whether addresses.cmr"):
        search(earthdata, "MOD13Q1.*")
    assert earthdata.asked == 1


def test_a_catalogue_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/search/: .*no connection"):
        _earthdata.search("http://127.0.0.1:9/search/", "MOD13Q1", "061", ["*"], tries=1)


# --- what the catalogue says of a file ---


def umm(*entries, address=f"https://data.test/x/{NEW}", kind="GET DATA"):
    return {
        "RelatedUrls": [{"URL": address, "Type": kind}],
        "DataGranule": {"ArchiveAndDistributionInformation": list(entries)},
    }


@pytest.mark.parametrize(
    ("algorithm", "checksum"),
    [("SHA-256", "sha256:ab12"), ("MD5", "md5:ab12"), ("SHA-512", "sha512:ab12"), ("CRC-32", "")],
)
def test_exact_size_and_checksum_are_taken_from_the_files_own_entry(algorithm, checksum):
    sum_of = {"Value": "AB12", "Algorithm": algorithm}
    entry = {"Name": NEW, "Size": 1.5, "SizeUnit": "MB", "SizeInBytes": 1572864, "Checksum": sum_of}
    other = {"Name": f"{NEW}.xml", "SizeInBytes": 3, "Checksum": {"Value": "0", "Algorithm": "MD5"}}
    (file,) = _earthdata.files_of(umm(other, entry))
    assert (file.about, file.size, file.checksum) == (1572864, 1572864, checksum)


@pytest.mark.parametrize(
    ("entry", "about"),
    [
        ({"Name": "Not provided", "Size": 1.3, "SizeUnit": "MB"}, 1_300_000),
        ({"Name": "Not provided", "Size": 2, "SizeUnit": "GB"}, 2_000_000_000),
        ({"Name": "Not provided", "Size": 2, "SizeUnit": "NA"}, None),
        ({"Name": "Not provided", "SizeInBytes": 77}, 77),
        ({"Name": NEW}, None),
    ],
)
def test_a_rounded_size_or_one_of_the_whole_granule_is_only_about(entry, about):
    (file,) = _earthdata.files_of(umm(entry))
    assert (file.about, file.size, file.checksum) == (about, None, "")


def test_a_record_may_say_nothing_but_an_address():
    record = umm()
    del record["DataGranule"]
    (file,) = _earthdata.files_of(record)
    assert (file.name, file.about, file.size, file.checksum) == (NEW, None, None, "")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (f"s3://bucket/{NEW}", "GET DATA"),
        (f"http://data.test/{NEW}", "GET DATA"),  # the token would travel in the open
        (f"https://data.test/{NEW}.xml", "EXTENDED METADATA"),
    ],
)
def test_other_links_are_passed_over(address, kind):
    assert _earthdata.files_of(umm(address=address, kind=kind)) == []


# --- the log-in ---


def test_a_token_opens_the_archive_and_stays_there(earthdata, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    path = earthdata.add(NEW, b"12345", "MOD13Q1")
    with _earthdata.session(HOST) as session:
        assert session.get(f"{earthdata.archive.address}{path}").content == b"12345"
    assert earthdata.archive.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    (signed,) = earthdata.bucket.seen
    assert "authorization" not in signed.headers
    assert not earthdata.login.seen  # a token is not looked at before it is used


@pytest.mark.parametrize("way", ["environment", "netrc"])
def test_user_name_and_password_open_the_archive(earthdata, tmp_path, monkeypatch, way):
    if way == "netrc":
        netrc(tmp_path)
    else:
        monkeypatch.setenv("EARTHDATA_USERNAME", USER)
        monkeypatch.setenv("EARTHDATA_PASSWORD", PASSWORD)
    path = earthdata.add(NEW, b"12345", "MOD13Q1")
    with _earthdata.session(f"https://{HOST}/") as session:
        assert session.get(f"{earthdata.archive.address}{path}").content == b"12345"


def test_the_log_in_page_is_answered_where_the_archive_knows_no_token(earthdata, tmp_path):
    netrc(tmp_path)
    earthdata.archive.tokens = set()
    path = earthdata.add(NEW, b"12345", "MOD13Q1")
    with _earthdata.session(HOST) as session:
        assert session.get(f"{earthdata.archive.address}{path}").content == b"12345"
    assert [seen.path for seen in earthdata.login.seen][-1] == "/oauth/authorize"
    for server in (earthdata.archive, earthdata.bucket):
        assert not any("Basic" in seen.headers.get("authorization", "") for seen in server.seen)


def test_no_credentials_says_where_to_register_and_how_to_give_them(earthdata):
    with pytest.raises(UserError) as error:
        _earthdata.session("urs.earthdata.nasa.gov")
    for said in (
        "register at https://urs.earthdata.nasa.gov",
        "EARTHDATA_TOKEN in the environment",
        "EARTHDATA_USERNAME and EARTHDATA_PASSWORD in the environment",
        "`machine urs.earthdata.nasa.gov login NAME password WORD` in ~/.netrc",
        "netrc, found none",
    ):
        assert said in str(error.value)
    assert scrubbed(str(error.value)) == str(error.value)


def test_half_a_log_in_or_one_for_another_machine_is_none(earthdata, tmp_path, monkeypatch):
    monkeypatch.setenv("EARTHDATA_USERNAME", USER)
    netrc(tmp_path, machine="elsewhere.test")
    with pytest.raises(UserError, match="found none"):
        _earthdata.session(HOST)


def test_a_netrc_that_cannot_be_read_is_named(earthdata, tmp_path):
    (tmp_path / "netrc").mkdir()
    with pytest.raises(UserError, match="netrc: expected a file with log-ins"):
        _earthdata.session(HOST)


@pytest.mark.parametrize("way", ["environment", "netrc"])
def test_a_wrong_password_is_refused_and_told_where_it_came_from(
    earthdata, tmp_path, monkeypatch, caplog, way
):
    if way == "netrc":
        netrc(tmp_path, password="wrong-word-55")
    else:
        monkeypatch.setenv("EARTHDATA_USERNAME", USER)
        monkeypatch.setenv("EARTHDATA_PASSWORD", "wrong-word-55")
    source = "EARTHDATA_USERNAME and EARTHDATA_PASSWORD" if way == "environment" else "netrc"
    with pytest.raises(UserError, match=f"password of .*{source}, found them refused") as error:
        _earthdata.session(HOST)
    assert "wrong-word-55" not in f"{error.value}{caplog.text}"


@pytest.mark.parametrize(("token", "found"), [("", "nothing"), ("abc\ndef", "blanks or line")])
def test_a_token_that_cannot_be_one_is_refused_without_saying_it(
    earthdata, tmp_path, monkeypatch, token, found
):
    netrc(tmp_path)
    monkeypatch.setenv("EARTHDATA_TOKEN", token)
    with pytest.raises(UserError, match=f"EARTHDATA_TOKEN: .* found {found}") as error:
        _earthdata.session(HOST)
    assert "abc" not in str(error.value)


@pytest.mark.parametrize(
    ("fault", "found"), [(Fault("cut", after=5), "no connection"), ("login", "another kind")]
)
def test_a_log_in_host_that_answers_nonsense_is_named(earthdata, tmp_path, fault, found):
    netrc(tmp_path)
    earthdata.login.faults["/api/users/find_or_create_token"] = [fault] * 2
    with pytest.raises(UserError, match=f"https://{HOST}: expected Earthdata Login, .*{found}"):
        _earthdata.session(HOST)


def test_what_a_person_does_when_refused():
    service = _earthdata.service("urs.earthdata.nasa.gov", "Gone.")
    assert "has expired: each lasts 60 days" in service.account
    assert "register at https://urs.earthdata.nasa.gov" in service.account
    assert "https://urs.earthdata.nasa.gov/users/earthaccess/unaccepted_eulas" in service.licence
    assert "https://urs.earthdata.nasa.gov/application_search" in service.licence
    assert service.absent == "Gone."


def test_a_log_in_page_delivered_as_a_file_stops_everything(earthdata, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    path = earthdata.add(NEW, b"12345", "MOD13Q1")
    earthdata.bucket.faults[path] = ["login"]
    with (
        _earthdata.session(HOST) as session,
        pytest.raises(Refused, match=f"{path}: .* found a web page, .* has expired") as error,
    ):
        session.get(f"{earthdata.archive.address}{path}")
    assert "Signature" not in str(error.value)


def test_no_session_of_the_catalogue_waits_for_ever(earthdata, monkeypatch):
    seen = []
    send = requests.Session.send
    monkeypatch.setattr(
        requests.Session, "send", lambda *a, **k: seen.append(k["timeout"]) or send(*a, **k)
    )
    earthdata.add(NEW, b"12345", "MOD13Q1")
    search(earthdata, "MOD13Q1.*", timeout=7)
    assert seen == [7, 7]

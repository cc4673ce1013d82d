"""What is logged holds no credentials, and ordinary messages stay as they are."""

import base64
import re
import subprocess
import sys
import timeit

import pytest

from _log import UserError, scrubbed
from conftest import ROOT

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOiJhbm5hIn0.c2lnbmF0dXJl-_x"
BASIC = base64.b64encode(b"anna:hushhush").decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Authorization: Bearer {JWT}", "Authorization: ***"),
        (f"sent bearer {JWT}, refused", "sent bearer ***, refused"),
        ("Bearer lowercasetokenonly", "Bearer ***"),
        (f"sent Basic {BASIC}", "sent Basic ***"),
        (f"{{'Authorization': 'Basic {BASIC}', 'Range': 'bytes=0-'}}", None),
        ("Set-Cookie: session=abc; path=/\nServer: nginx", "Set-Cookie: ***\nServer: nginx"),
        ("https://anna:hushhush@host.org/a.hdf", "https://host.org/a.hdf"),
        ("ftp://anna:hush@hush@host.org/a.hdf", "ftp://host.org/a.hdf"),
        ("http://anna@host.org:8080/a", "http://host.org:8080/a"),
        ("see https://h.org/a.hdf?X-Sig=1f&b=2 (moved)", "see https://h.org/a.hdf?*** (moved)"),
        ("Retrying: /a?b=1&X-Amz-Signature=1f&c=2", "Retrying: /a?b=1&X-Amz-Signature=***&c=2"),
        ("https://h.org/a?b=1: expected", "https://h.org/a?***: expected"),
        ("Ask https://h.org/a?b=1:2.", "Ask https://h.org/a?***."),
        ("'https://h.org/a?token=1f'", "'https://h.org/a?***'"),
        ("Max retries exceeded with url: /a.hdf?sig=1f (Caused by X)",
         "Max retries exceeded with url: /a.hdf?*** (Caused by X)"),
        ('{"access_token":"abc","token_type":"x"}', '{"access_token":***,"token_type":"x"}'),
        ("{'password': 'a b', 'user': 'anna'}", "{'password': ***, 'user': 'anna'}"),
    ],
)  # fmt: skip
def test_credentials_are_hidden(text, expected):
    expected = expected or "{'Authorization': ***, 'Range': 'bytes=0-'}"
    assert scrubbed(text) == expected == scrubbed(expected)


@pytest.mark.parametrize(
    "text",
    [
        "resources/raw/modis/MOD13Q1/2012-04-22/h26v05.hdf: expected 12 layers, found 11.",
        "https://data.org/MOD13Q1.061/a.hdf: expected a.hdf, found 404 from LP DAAC.",
        "Is it there? Ask at https://data.org/help? No? Then wait.",
        "(see https://data.org/)?",
        "a basic description of basic statistics, basic float32 values, and basic characteristics.",
        "The bearer of a bearer token; bearer authentication; bearer credentials.",
        "a token: make a new one; your password: change it; secret: none",
        "mail anna@host.org, or host.org:80/path@2x.png",
        "C:\\data\\a.nc, /data/a?.nc and /data/*.nc?",
        "tests x://y",
        "MOD13Q1: 3 of 12 files, 1.2 GB of 5.0 GB, 3.1 MB/s, about 20 min left",
        "{'tokens': 3, 'sha256': 'abc'}",
    ],
)
def test_ordinary_messages_stay_as_they_are(text):
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    "name",
    ["EARTHDATA_TOKEN", "EARTHDATA_PASSWORD", "CDSAPI_KEY", "AWS_SECRET_ACCESS_KEY", "my_passwd",
     "AWS_SESSION_TOKEN", "ISMN_PASS", "APIKEY"],
)  # fmt: skip
def test_secrets_of_the_environment_are_hidden_wherever_they_stand(monkeypatch, name):
    monkeypatch.setenv(name, "p/w+hush hush")
    assert scrubbed("xp/w+hush hushx") == "x***x"
    assert scrubbed("form: pw=p%2Fw%2Bhush%20hush&x=1") == "form: pw=***&x=1"


@pytest.mark.parametrize(
    ("name", "value"),
    [("EARTHDATA_USERNAME", "anna"), ("PWD", "/data/study"), ("TOKEN_FILE", "/data/token"),
     ("SSH_KEY_PATH", "/data/key"), ("USE_TOKENS", "true"), ("EMPTY_TOKEN", ""), ("A_KEY", "abc")],
)  # fmt: skip
def test_what_is_no_secret_is_not_hidden(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    text = f"anna wrote /data/study/token, /data/token and /data/key: true abc {value}"
    assert scrubbed(text) == text


def test_a_short_secret_is_hidden_only_as_a_word(monkeypatch):
    monkeypatch.setenv("EARTHDATA_PASSWORD", "soil")
    assert scrubbed("soilgrids, subsoil: 'soil'") == "soilgrids, subsoil: '***'"


def test_an_ordinary_line_costs_little():
    line = (
        "resources/store/modis/MOD13Q1.A2012113.h26v05.061.hdf: 104857600 bytes, sha256 " + "a" * 64
    )
    assert scrubbed(line) == line
    assert min(timeit.repeat(lambda: scrubbed(line), number=100, repeat=5)) / 100 < 2e-3


def test_a_long_text_costs_time_in_proportion():
    one = min(timeit.repeat(lambda: scrubbed("a1B/" * 5_000), number=1, repeat=5))
    assert min(timeit.repeat(lambda: scrubbed("a1B/" * 50_000), number=1, repeat=3)) < 60 * one


PROGRAM = """
import logging, sys, threading, warnings
from _log import UserError, log, log_to, notice
log_to(sys.argv[1])
log.info("quiet: https://h.org/a?sig=1f-sig")
notice("loud: %s", "https://anna:pw-in-url@h.org/a")
warnings.warn("warned of env-secret-1")
logging.getLogger("urllib3.connectionpool").warning("Retrying: /a?sig=4f-sig env-secret-1")
class Odd(Exception): pass
def inner(kind):
    try:
        raise ValueError("https://h.org/b?sig=2f-sig")
    except ValueError as error:
        said = "line one env-secret-1", "line two Bearer abcdefghi.jkl", "url: /x?b=2&sig=3f-sig"
        raise kind("\\n".join(said)) from error
inner({kind})
"""


def run(tmp_path, kind):
    log = tmp_path / "logs" / "a.log"
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{kind}", kind), str(log)],
        env={"PYTHONPATH": str(ROOT / "workflow/scripts"), "EARTHDATA_TOKEN": "env-secret-1"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    text = log.read_text()
    for secret in (
        "env-secret-1",
        "1f-sig",
        "2f-sig",
        "3f-sig",
        "4f-sig",
        "pw-in-url",
        "abcdefghi.jkl",
    ):
        assert secret not in text + ended.stdout + ended.stderr
    assert ended.returncode == 1 and not ended.stdout
    return text, ended.stderr


def test_an_uncaught_error_is_logged_with_its_traceback_and_without_secrets(tmp_path):
    text, terminal = run(tmp_path, "Odd")
    for said in (text, terminal):
        assert "Traceback" in said and "Odd: line one ***" in said
        assert "ValueError: https://h.org/b?***" in said
        assert "line two Bearer ***" in said and "url: /x?***" in said
        assert said.count("loud: https://h.org/a") == 1


def test_a_user_error_is_its_message_alone(tmp_path):
    text, terminal = run(tmp_path, "UserError")
    for said in (text, terminal):
        message = re.sub(r"\n\S+ job: .*\n$", "", said)
        assert "Traceback" not in said and message.rstrip().endswith("url: /x?***")
    assert issubclass(UserError, Exception)


def test_what_is_quiet_and_what_libraries_say_stands_only_in_the_file(tmp_path):
    text, terminal = run(tmp_path, "Odd")
    for said in (
        "quiet: https://h.org/a?***",
        "UserWarning: warned of ***",
        "Retrying: /a?sig=*** ***",
    ):
        assert text.count(said) == 1
        assert said not in terminal


COST = """
import sys
from types import SimpleNamespace
from _log import log_to
snakemake = SimpleNamespace(input=["a.bin", "absent"], output=["b.bin"])
log_to("log.txt")
held = bytearray(300_000_000)
held[::4096] = b"x" * len(held[::4096])
while sum(__import__("os").times()[:2]) < 0.5: pass
"""


def test_a_log_ends_with_what_the_job_took(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(2_500_000))
    (tmp_path / "b.bin").write_bytes(bytes(400_000))
    subprocess.run(
        [sys.executable, "-c", COST],
        env={"PYTHONPATH": str(ROOT / "workflow/scripts")},
        cwd=tmp_path,
        check=True,
    )
    last = (tmp_path / "log.txt").read_text().splitlines()[-1]
    expected = (
        r"\S+ job: (\S+) s, CPU (\S+) s with (\S+) s to start, peak memory (\d+) MB, "
        r"read 2.5 MB, wrote 0.4 MB"
    )
    wall, cpu, start, peak = map(float, re.fullmatch(expected, last).groups())
    assert wall >= 0.2 and 0.5 <= cpu < 5 and 0 <= start < cpu and 300 < peak < 600

"""The child that parses: same result, and its end is never ours."""

import contextlib
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from knowledge.ingest import isolated
from knowledge.ingest.errors import IngestError
from knowledge.ingest.extract import extract
from knowledge.ingest.isolated import extract_isolated
from knowledge.ingest.limits import MEGABYTE, Limits
from tests.data import make

pytestmark = pytest.mark.process


@pytest.fixture
def use_child(monkeypatch: pytest.MonkeyPatch):
    """Run this code in place of the child."""

    def use(code: str) -> None:
        monkeypatch.setattr(isolated, "COMMAND", (sys.executable, "-c", code))

    return use


def fault(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(IngestError) as raised:
        extract_isolated(path, path.name, None, limits)
    return raised.value.code


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """One that goes to the child, by its name."""
    path = tmp_path / "a.csv"
    path.write_text("hello")
    return path


def test_small_text_is_read_without_a_child(use_child, tmp_path: Path) -> None:
    use_child("import sys; sys.exit(3)")
    for name in ("a.txt", "a.md", "a.py", "a.json", "a.xml"):
        path = tmp_path / name
        path.write_text("hello")
        assert extract_isolated(path, name).text == "hello"
    for name, data in {
        "a.csv": b"a,b",
        "a.html": b"<html>a",
        "b.txt": make.pdf(["a"]),  # what it is counts, not its name
        "c.txt": make.word(["a"]),
        "d.txt": b"a" * (isolated.PLAIN_BYTES + 1),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert fault(path) == "parser_crashed", name


@pytest.mark.parametrize(
    "unit",
    [
        "\t ",
        "\u0316\u0301",
        "<!-->",
        "<!---->",
        "<!-- -->",
        "\u00ad\n",
        "\r",
        "[](",
        "<?xml ",
        "<meta charset",
        "\0a",
        "\n\n",
    ],
)
def test_no_text_takes_long_in_this_process(tmp_path: Path, unit: str) -> None:
    """Nothing would end it."""
    path = tmp_path / "a.txt"
    for start, end in (("a", "b"), ("", "b")):
        text = start.encode() + unit.encode() * ((isolated.PLAIN_BYTES - 2) // len(unit.encode())) + end.encode()
        path.write_bytes(text)
        started = time.process_time()
        with contextlib.suppress(IngestError):
            extract_isolated(path, "a.txt")
        assert time.process_time() - started < 5, (start, unit)


def test_same_result_as_in_this_process(tmp_path: Path) -> None:
    files = {
        "a.pdf": make.pdf(["Grüße", "two"]),
        "b.docx": make.word(["R&D"]),
        "c.xlsx": make.workbook({"S": [["a"], ["b"]]}),
        "d.pptx": make.slides([("a", "b", "c")]),
        "e.txt": "Grüße \U0001f600".encode(),
    }
    for name, data in files.items():
        path = tmp_path / "stored"
        path.write_bytes(data)
        assert extract_isolated(path, name) == extract(data, name)


def test_faults_come_through(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(make.scanned_pdf())
    assert fault(path) == "no_text"


def test_hanging_child_is_ended(use_child, text_file: Path) -> None:
    use_child("import time; time.sleep(60)")
    started = time.monotonic()
    assert fault(text_file, Limits(seconds=0.5)) == "too_slow"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "code",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os; os.abort()",
        "import sys; sys.exit(3)",
        "print('not json')",
        "pass",
    ],
)
def test_dying_child(use_child, text_file: Path, code: str) -> None:
    use_child(code)
    assert fault(text_file) == "parser_crashed"


CAPPED = """
from knowledge.ingest.child import apply_caps
from knowledge.ingest.limits import Limits
apply_caps(Limits(seconds={seconds}, memory_bytes={memory}))
{work}
"""


def test_processor_time_is_capped(use_child, text_file: Path) -> None:
    use_child(CAPPED.format(seconds=1, memory=2**31, work="while True: pass"))
    assert fault(text_file, Limits(seconds=30)) == "too_slow"


def test_memory_is_capped(use_child, text_file: Path, tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    with big.open("wb") as out:
        out.truncate(400 * MEGABYTE)
    assert fault(big, Limits(memory_bytes=200 * MEGABYTE)) == "too_much_memory"
    use_child(CAPPED.format(seconds=9, memory=200 * MEGABYTE, work="bytearray(300 * 2**20)"))
    assert fault(text_file) == "parser_crashed"


def test_child_gets_no_environment_and_loads_no_django(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hidden")
    code = (
        "import os, sys, knowledge.ingest.child, knowledge.ingest.extract\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "sys.exit(bool(loaded & {'django', 'kreuzberg', 'charset_normalizer'}) or 'SECRET_KEY' in os.environ)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=isolated.PROJECT, env={}, check=False)
    assert done.returncode == 0
    seen: dict[str, object] = {}
    real = subprocess.Popen

    def spy(*args: object, **kwargs: object):
        seen.update(kwargs)
        return real(*args, **kwargs)

    monkeypatch.setattr(isolated.subprocess, "Popen", spy)
    with pytest.raises(IngestError):
        extract_isolated(Path("missing.txt"), "missing.txt")
    assert "SECRET_KEY" not in seen["env"]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise("abcdefghijk")
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.xml", f"{LAUGHS}]><x>&k;</x>".encode()),
        ("a.docx", make.zip_of({"word/document.xml": f"{LAUGHS}]><x>&k;</x>".encode()})),
        ("a.xlsx", make.zip_of({"xl/workbook.xml": f"{LAUGHS}]><x>&k;</x>".encode()})),
        ("a.epub", make.epub({"a": "<p>x</p>"}, extra={"META-INF/encryption.xml": LAUGHS.encode()})),
        ("b.epub", make.epub({"a": "<p>" * 100_000})),
        ("a.html", b"<div>" * 200_000 + b"text"),
        ("a.eml", b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(3000))),
        ("b.eml", b"Subject: =?bogus?b?////?=\nContent-Type: text/plain; charset=bogus\n\n\xff\xfe text"),
        ("a.rtf", b"{\\rtf1" + b"{" * 200_000 + b" text"),
    ],
)
def test_hostile_structures_end_within_their_limits(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    started = time.monotonic()
    try:
        found = extract_isolated(path, name, None, Limits(seconds=20, memory_bytes=1024 * MEGABYTE))
        assert len(found.text) <= len(data) * 2 + 1000
    except IngestError as error:
        assert error.message.endswith(".")
    assert time.monotonic() - started < 30

"""`extract` in a child process with caps on time and memory, or here where no parser is needed."""

import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from knowledge.ingest.errors import IngestError
from knowledge.ingest.extract import Extracted, Page, extract
from knowledge.ingest.kinds import PLAIN_KINDS
from knowledge.ingest.limits import Limits
from knowledge.ingest.sniff import ZIP_STARTS, sniff

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "knowledge.ingest.child")
# Starting a child costs 100 ms of processor time, reading such a text 2. The size bounds what the worst text costs:
# putting a run of accents in order takes time with the square of its length, about a second for this many.
PLAIN_BYTES = 64 * 1024
_TIME_SIGNALS = (signal.SIGXCPU,) if sys.platform != "win32" else ()


def extract_isolated(
    path: Path, filename: str, content_type: str | None = None, limits: Limits | None = None
) -> Extracted:
    """Read the document at `path`. A parser that hangs, crashes or runs out of memory becomes an IngestError."""
    limits = limits or Limits()
    if (found := _plain(path, filename, content_type, limits)) is not None:
        return found
    job = {
        "path": str(path.resolve()),
        "filename": filename,
        "content_type": content_type,
        "limits": asdict(limits),
    }
    returncode, output = _run(json.dumps(job).encode(), limits.seconds)
    if returncode in [-number for number in _TIME_SIGNALS]:
        raise _too_slow()
    try:
        answer = json.loads(output) if returncode == 0 else {"crash": f"exit {returncode}"}
    except ValueError:
        answer = {"crash": "no answer"}
    return _result(answer, filename)


def _plain(path: Path, filename: str, content_type: str | None, limits: Limits) -> Extracted | None:
    """The document read in this process when it is a small text; None for every other."""
    try:
        if path.stat().st_size > PLAIN_BYTES:
            return None
        data = path.read_bytes()
    except OSError:
        return None  # the child says what is wrong with it
    if data.startswith(ZIP_STARTS) or sniff(data, filename, content_type) not in PLAIN_KINDS:
        return None
    return extract(data, filename, content_type, limits)


def _run(job: bytes, seconds: float) -> tuple[int, bytes]:
    child = subprocess.Popen(  # noqa: S603 - our own module; what people send goes over stdin
        COMMAND,
        cwd=PROJECT,
        # Nothing of the worker's environment: no secrets for a parser that was taken over.
        env={"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A group of its own: a parser's helpers end with it, and a Ctrl-C meant for the worker does not cut a parse.
        start_new_session=True,
    )
    with child:
        try:
            output, _ = child.communicate(job, timeout=seconds)
        except subprocess.TimeoutExpired as fault:
            _kill(child)
            raise _too_slow() from fault
        except BaseException:
            # The task was stopped (Celery raises in it); nobody waits for the child any more.
            _kill(child)
            raise
        return child.returncode, output


def _kill(child: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        child.kill()
    elif child.poll() is None:  # a child already reaped may have given its number to somebody else
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _result(answer: dict[str, Any], filename: str) -> Extracted:
    if found := answer.get("extracted"):
        pages = tuple(Page(**page) for page in found["pages"])
        return Extracted(pages, found["content_type"], found["page_count"])
    if fault := answer.get("fault"):
        raise IngestError(fault["message"], fault["code"])
    log.warning("Parser of a document failed: %s", answer.get("crash"), extra={"document_name": filename})
    if answer.get("crash") == "MemoryError":
        raise IngestError(
            "This document needs more memory than is allowed. Remove large pictures or split it, and upload it again.",
            "too_much_memory",
        )
    raise IngestError(
        "This document could not be read: it is damaged or too complex. Open it in its program, export it as PDF and "
        "upload that.",
        "parser_crashed",
    )


def _too_slow() -> IngestError:
    return IngestError("This document takes too long to read. Split it into parts and upload those.", "too_slow")

"""The process that parses one document: `python -m knowledge.ingest.child`, job on stdin, result on stdout, both JSON.

It caps itself before it touches the file, so that what a broken or hostile document can harm is this process alone.
"""

import json
import math
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from knowledge.ingest.errors import IngestError
from knowledge.ingest.limits import Limits


def main() -> int:
    # Libraries print; the result goes over a private copy of stdout and everything else to stderr.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        answer.write(json.dumps(run(json.load(sys.stdin)), ensure_ascii=False).encode("utf-8", "replace"))
    return 0


def run(job: dict[str, Any]) -> dict[str, Any]:
    limits = Limits(**job["limits"])
    apply_caps(limits)
    # Loaded after the caps: parsers belong under them.
    from knowledge.ingest.extract import extract

    try:
        found = extract(Path(job["path"]).read_bytes(), job["filename"], job["content_type"], limits)
    except IngestError as fault:
        return {"fault": {"message": fault.message, "code": fault.code}}
    except MemoryError:
        return {"crash": "MemoryError"}
    except Exception as fault:  # noqa: BLE001 - a parser may raise anything; its text may quote the document
        return {"crash": type(fault).__name__}
    return {"extracted": asdict(found)}


def apply_caps(limits: Limits) -> None:
    """Memory, processor time, no core files. Where the system has no such limits the wall clock still holds."""
    if sys.platform == "win32":
        return
    import resource

    seconds = math.ceil(limits.seconds)
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        if kind == resource.RLIMIT_AS and sys.platform == "darwin":
            continue  # macOS refuses a cap below what a process maps at its start
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        # Only the soft limit of processor time ends with a signal that says so; the hard one is a plain kill.
        grace = 2 if kind == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else 0
        resource.setrlimit(kind, (value, value + grace))


if __name__ == "__main__":
    sys.exit(main())

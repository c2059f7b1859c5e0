"""What the Office formats share: parts in a zip, tied together by relations."""

import posixpath
import re
import zipfile
from xml.etree import ElementTree

from knowledge.ingest.errors import IngestError

Element = ElementTree.Element
RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
# ISO "strict" files say the same under other names.
_STRICT = "{http://purl.oclc.org/ooxml/"
_TRANSITIONAL = (
    ("officeDocument/relationships}", RELATIONS),
    ("wordprocessingml/main}", "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"),
    ("presentationml/main}", "{http://schemas.openxmlformats.org/presentationml/2006/main}"),
    ("drawingml/main}", "{http://schemas.openxmlformats.org/drawingml/2006/main}"),
)


def parse_part(archive: zipfile.ZipFile, part: str) -> Element:
    """The XML of one part, in the names of the transitional format."""
    data = archive.read(part)
    # The formats have no use for a document type, and entities live only there.
    if b"<!DOCTYPE" in data or "<!DOCTYPE".encode("utf-16-le") in data or "<!DOCTYPE".encode("utf-16-be") in data:
        raise IngestError(
            "This document contains parts that are not allowed. Open it in its program, save it again and upload the "
            "new file.",
            "damaged",
        )
    root = ElementTree.fromstring(data)  # noqa: S314 - no document type, so no entities to expand
    for element in root.iter():
        if element.tag.startswith(_STRICT):
            element.tag = _plain(element.tag)
            element.attrib = {_plain(name): value for name, value in element.attrib.items()}
    return root


def related(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Relation id to (last word of its type, part it points to) of one part."""
    folder, name = posixpath.split(part)
    path = f"{folder}/_rels/{name}.rels"
    if path not in archive.NameToInfo:
        return {}
    found = {}
    for relation in parse_part(archive, path):
        target = relation.get("Target", "")
        resolved = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        found[relation.get("Id", "")] = (re.split(r"[/]", relation.get("Type", ""))[-1], resolved)
    return found


def _plain(name: str) -> str:
    if name.startswith(_STRICT):
        for strict, transitional in _TRANSITIONAL:
            if name.startswith(_STRICT + strict):
                return transitional + name.removeprefix(_STRICT + strict)
    return name

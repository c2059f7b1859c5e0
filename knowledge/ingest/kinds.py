"""The kinds of document we read, and the names they go by."""

from enum import StrEnum

OFFICE = "application/vnd.openxmlformats-officedocument."


class Kind(StrEnum):
    """A kind of document; the value is its media type."""

    PDF = "application/pdf"
    DOCX = OFFICE + "wordprocessingml.document"
    PPTX = OFFICE + "presentationml.presentation"
    XLSX = OFFICE + "spreadsheetml.sheet"
    ODT = "application/vnd.oasis.opendocument.text"
    EPUB = "application/epub+zip"
    RTF = "application/rtf"
    EML = "message/rfc822"
    CSV = "text/csv"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    JSON = "application/json"
    XML = "application/xml"
    CODE = "text/x-source"


# Kinds recognised by their bytes. A text cannot become one of these by its name.
BINARY_KINDS = frozenset({Kind.PDF, Kind.DOCX, Kind.PPTX, Kind.XLSX, Kind.ODT, Kind.EPUB, Kind.RTF})
ZIP_KINDS = frozenset({Kind.DOCX, Kind.PPTX, Kind.XLSX, Kind.ODT, Kind.EPUB})
# Kinds where `#` at the start of a line is a heading. In source code it is a comment, in a PDF a number sign.
MARKDOWN_KINDS = frozenset({Kind.DOCX, Kind.HTML, Kind.MARKDOWN, Kind.TEXT, Kind.ODT, Kind.EPUB, Kind.EML})
# Kinds that no parser opens: their text is their bytes.
PLAIN_KINDS = frozenset({Kind.MARKDOWN, Kind.TEXT, Kind.JSON, Kind.XML, Kind.CODE})
# Kinds whose text is one row per line.
ROW_KINDS = frozenset({Kind.CSV, Kind.XLSX})

_CODE = """
asm awk bash bat bib c cc cfg clj cmake cmd conf cpp cs css cxx dart diff dockerfile env erl ex exs fs gemspec go
gradle graphql groovy h hcl hh hpp hs ini ipynb java jl js jsx kt kts less lisp log lua m makefile mjs mm nix patch
php pl pm po properties proto ps1 py pyi r rb rs rst sass scala scss sh sol sql srt svelte swift tcl tex tf toml ts
tsx v vb vbs vhdl vim vtt vue yaml yml zig zsh
"""

EXTENSIONS: dict[str, Kind] = {
    "pdf": Kind.PDF,
    **dict.fromkeys(("docx", "docm", "dotx"), Kind.DOCX),
    **dict.fromkeys(("pptx", "pptm", "ppsx", "potx"), Kind.PPTX),
    **dict.fromkeys(("xlsx", "xlsm", "xltx"), Kind.XLSX),
    "odt": Kind.ODT,
    "epub": Kind.EPUB,
    "eml": Kind.EML,
    "rtf": Kind.RTF,
    **dict.fromkeys(("csv", "tsv"), Kind.CSV),
    **dict.fromkeys(("html", "htm", "xhtml"), Kind.HTML),
    **dict.fromkeys(("md", "markdown", "mdx"), Kind.MARKDOWN),
    **dict.fromkeys(("txt", "text", "asc"), Kind.TEXT),
    **dict.fromkeys(("json", "jsonl", "ndjson"), Kind.JSON),
    **dict.fromkeys(("xml", "svg", "xsd", "xsl", "xslt"), Kind.XML),
    **dict.fromkeys(_CODE.split(), Kind.CODE),
}

# What browsers and mail programs send beside our own values.
MEDIA_TYPES: dict[str, Kind] = {
    **{kind.value: kind for kind in Kind},
    "application/xhtml+xml": Kind.HTML,
    "application/csv": Kind.CSV,
    "text/tab-separated-values": Kind.CSV,
    "text/x-markdown": Kind.MARKDOWN,
    "text/json": Kind.JSON,
    "text/xml": Kind.XML,
    "text/rtf": Kind.RTF,
}

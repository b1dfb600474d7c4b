"""Streaming through an XML page: the elements two below its root, one after another, each forgotten when it was seen.

Without document types, entities and external references; an element has a bounded size and depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.files import read_blocks
from nearhash_index.formats.items import without_hashes

__all__ = ["BrokenPage", "XmlElement", "local_name", "read_elements"]

XmlElement: TypeAlias = Element

_MAX_ELEMENT_BYTES = 16 << 20
_MAX_DEPTH = 32


class BrokenPage(Exception):
    """A page that begins well, and cannot be read to its end. Its text tells a person why."""


def read_elements(path: Path, root_name: str) -> Iterator[tuple[XmlElement, XmlElement | None]]:
    """Yield each element two below the root with its parent; the parent with None at the parent's end.

    Raises
    ------
    InvalidInput
        If the root is another, or the page holds a document type or entities.
    BrokenPage
        If the XML breaks off or is malformed: what comes after is lost.
    """
    source = _Source(path)
    open_elements: list[XmlElement] = []
    try:
        for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                if not open_elements and local_name(element) != root_name:
                    raise InvalidInput(str(path), f"not a page of this list: its root is not <{root_name}>")
                open_elements.append(element)
                if len(open_elements) > _MAX_DEPTH:
                    raise BrokenPage(f"elements are nested more than {_MAX_DEPTH} deep")
                continue
            open_elements.pop()
            if len(open_elements) == 2:
                source.element_bytes = 0
                yield open_elements[1], element
                open_elements[1].remove(element)
            elif len(open_elements) == 1:
                yield element, None
    except (InvalidInput, BrokenPage):
        raise
    except DefusedXmlException:
        raise InvalidInput(str(path), "holds a document type or entities, which no list needs") from None
    except (ParseError, LookupError, ValueError) as error:  # the latter two: of the encoding it claims
        if not open_elements:
            raise InvalidInput(str(path), "not an XML page") from None
        raise BrokenPage(without_hashes(f"not well-formed XML: {error}")) from None


def local_name(element: XmlElement) -> str:
    """Return the element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


class _Source:
    """The file as the parser reads it: decompressed, and in bounded memory."""

    def __init__(self, path: Path) -> None:
        self._blocks = read_blocks(path)
        self.element_bytes = 0

    def read(self, _size: int) -> bytes:
        block = next(self._blocks, b"")
        self.element_bytes += len(block)
        if self.element_bytes > _MAX_ELEMENT_BYTES:
            raise BrokenPage(f"an element is larger than {_MAX_ELEMENT_BYTES >> 20} MiB")
        return block

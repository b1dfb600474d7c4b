"""Writes the references of the RPCs and of the command into this folder.

    python docs/generate.py [--check]

The one comes from the comments in the .proto files, the other from the command's own help. With --check nothing is
written; the exit status is 1 if a page is not fresh.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PACKAGE = "nearhash.v1"
# Numbers of fields in descriptor.proto, of which the paths of comments consist.
MESSAGES, ENUMS, SERVICES, MEMBERS = 4, 5, 6, 2

Comments = Mapping[tuple[int, ...], str]


def main() -> None:
    pages = {"rpcs.md": rpcs(), "commands.md": commands()}
    if "--check" not in sys.argv:
        for name, text in pages.items():
            (HERE / name).write_text(text)
    elif stale := [name for name, text in pages.items() if (HERE / name).read_text() != text]:
        sys.exit(f"docs: {', '.join(stale)} does not say what the code does. Run: make reference")


def commands() -> str:
    """Return the reference of the command."""
    docs = [str(BIN / "typer"), "nearhash_service.cli.app", "utils", "docs", "--name", "nearhash"]
    return subprocess.run(docs, check=True, capture_output=True, text=True).stdout


def rpcs() -> str:
    """Return the reference of the RPCs."""
    image = subprocess.run(
        [str(BIN / "buf"), "build", "--output", "-"], check=True, capture_output=True, cwd=HERE.parent / "proto"
    ).stdout
    files = [file for file in FileDescriptorSet.FromString(image).file if file.package == PACKAGE]
    files.sort(key=lambda file: file.name, reverse=True)  # lookups first
    lines = [
        f"# RPCs of `{PACKAGE}`",
        "",
        "Made from the comments in [proto/nearhash/v1](../proto/nearhash/v1) by `make reference`.",
    ]
    for file in files:
        lines += _file(file)
    return "\n".join(lines) + "\n"


def _file(file: FileDescriptorProto) -> Iterator[str]:
    comments = {
        tuple(location.path): " ".join(location.leading_comments.split())
        for location in file.source_code_info.location
        if location.leading_comments
    }
    for i, service in enumerate(file.service):
        yield from _service(service, comments, (SERVICES, i))
    for i, message in enumerate(file.message_type):
        yield from _message(message, comments, (MESSAGES, i))
    for i, enum in enumerate(file.enum_type):
        yield from _enum(enum, comments, (ENUMS, i))


def _service(service: ServiceDescriptorProto, comments: Comments, path: tuple[int, ...]) -> Iterator[str]:
    yield from _heading(f"## {service.name}", comments, path)
    yield from ("", "| RPC | request, response | |", "| --- | --- | --- |")
    for i, method in enumerate(service.method):
        types = f"{_link(method.input_type)}, {_link(method.output_type)}"
        yield f"| `{method.name}` | {types} | {_cell(comments, (*path, MEMBERS, i))} |"


def _message(message: DescriptorProto, comments: Comments, path: tuple[int, ...]) -> Iterator[str]:
    yield from _heading(f"### {message.name}", comments, path)
    if not message.field:
        yield from ("", "No fields.")
        return
    maps = {f".{PACKAGE}.{message.name}.{entry.name}": entry for entry in message.nested_type}
    yield from ("", "| field | type | number | |", "| --- | --- | ---: | --- |")
    for i, field in enumerate(message.field):
        comment = _cell(comments, (*path, MEMBERS, i))
        yield f"| `{field.name}` | {_type(field, maps, message)} | {field.number} | {comment} |"


def _enum(enum: EnumDescriptorProto, comments: Comments, path: tuple[int, ...]) -> Iterator[str]:
    yield from _heading(f"### {enum.name}", comments, path)
    yield from ("", "| value | number | |", "| --- | ---: | --- |")
    for i, value in enumerate(enum.value):
        yield f"| `{value.name}` | {value.number} | {_cell(comments, (*path, MEMBERS, i))} |"


def _heading(title: str, comments: Comments, path: tuple[int, ...]) -> Iterator[str]:
    yield from ("", title)
    if path in comments:
        yield from ("", comments[path])


def _cell(comments: Comments, path: tuple[int, ...]) -> str:
    return comments.get(path, "").replace("|", "\\|")


def _type(field: FieldDescriptorProto, maps: Mapping[str, DescriptorProto], message: DescriptorProto) -> str:
    if field.type_name in maps:
        key, value = maps[field.type_name].field
        return f"map of {_name(key)} to {_name(value)}"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {_name(field)}"
    if field.proto3_optional:
        return f"optional {_name(field)}"
    if field.HasField("oneof_index"):
        return f"{_name(field)}, one of `{message.oneof_decl[field.oneof_index].name}`"
    return _name(field)


def _name(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return _link(field.type_name)
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _link(type_name: str) -> str:
    name = type_name.removeprefix(f".{PACKAGE}.")
    return f"`{name.removeprefix('.')}`" if name == type_name else f"[{name}](#{name.lower()})"


if __name__ == "__main__":
    main()

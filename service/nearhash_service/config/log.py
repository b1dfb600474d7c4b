"""The section [log]."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from nearhash_service.config.section import Section

__all__ = ["LogSection"]


class LogSection(Section, frozen=True):
    """What to write to the standard error stream. Hashes are never written."""

    format: Annotated[Literal["text", "json"], Meta(description="text, or json: one object per line.")] = "text"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="debug, info, warning or error. With debug, calls refused for their content, too."),
    ] = "info"
    slow_call_s: Annotated[float, Meta(gt=0, description="Write down lookups that take longer than that.")] = 1.0

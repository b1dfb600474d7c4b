"""The section [publish]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nearhash_service.config.section import Section

__all__ = ["PublishSection"]


class PublishSection(Section, frozen=True):
    """When to publish unasked."""

    auto: Annotated[bool, Meta(description="Whether to publish unasked.")] = True
    changes: Annotated[int, Meta(ge=1, description="... as soon as so many changes wait.")] = 50_000
    age_s: Annotated[float, Meta(ge=1, description="... as soon as one has waited so long.")] = 900.0
    kept_generations: Annotated[
        int, Meta(ge=1, le=1000, description="So many earlier generations stay for roll back, however one publishes.")
    ] = 5

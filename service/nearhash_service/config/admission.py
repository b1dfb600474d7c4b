"""The section [admission]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nearhash_service.config.section import Section

__all__ = ["AdmissionSection"]


class AdmissionSection(Section, frozen=True):
    """What a worker takes in; the rest is refused with RESOURCE_EXHAUSTED and a time to try again."""

    threads: Annotated[
        int, Meta(ge=1, le=64, description="Interactive lookups answered at a time; more are hardly faster.")
    ] = 4
    interactive_wait_s: Annotated[
        float, Meta(gt=0, le=60, description="Refuse an interactive lookup whose turn would come later than that.")
    ] = 0.15
    large_wait_s: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="Refuse interactive lookups that take longer than 4 ms when those that wait "
            "would take longer than that together, and are more than 16.",
        ),
    ] = 0.25
    bulk_threads: Annotated[
        int, Meta(ge=1, le=64, description="Bulk lookups, those with nearhash-priority: bulk, answered at a time.")
    ] = 1
    bulk_wait_s: Annotated[
        float, Meta(gt=0, le=600, description="Refuse a bulk lookup whose turn would come later than that.")
    ] = 5.0

"""`nearhash conformance`, as an operator runs it."""

from __future__ import annotations

from .commands import ok


def test_it_prints_versions_and_what_is_not_equal():
    printed = ok("conformance")
    assert "22 images, 198 comparisons: 0 differences; 12 not judged" in printed
    assert "Pillow " in printed
    assert "libjpeg_turbo " in printed
    assert "differs" not in printed
    assert "flat.png" in printed
    assert "drawing.png" not in printed

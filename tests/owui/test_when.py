"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from owui.templatetags.when import in_words, when

NOW = datetime(2026, 3, 12, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=14), "14 hours ago"),
        (timedelta(hours=16), "yesterday"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=7), "7 days ago"),
        (timedelta(days=8), "4 Mar 2026"),
    ],
)
def test_relative_within_a_week_then_the_date(ago, words):
    assert in_words(NOW - ago, NOW) == words


def test_the_exact_time_is_in_the_title():
    html = when(NOW)
    assert 'datetime="2026-03-12T15:00:00+00:00"' in html and 'title="12 Mar 2026, 15:00 UTC"' in html
    assert when(None) == ""

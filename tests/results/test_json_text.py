"""JSON that is the same data, with innermost parts on lines of their own."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.results.json_text import readable_json

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.sampled_from('ab[]{},"\\ \n:é')),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
)


def test_rows_of_a_matrix_and_small_mappings_take_one_line_each() -> None:
    value = {"rows": [[1, 2], [3.5, None]], "pool": [{"gpu": "A", "count": 2}], "none": []}
    assert readable_json(value).splitlines() == [
        "{",
        '  "rows": [',
        "    [1, 2],",
        "    [3.5, null]",
        "  ],",
        '  "pool": [',
        '    {"gpu": "A", "count": 2}',
        "  ],",
        '  "none": []',
        "}",
    ]


@given(PLAIN)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert json.loads(readable_json(value)) == value


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        readable_json(float("nan"))

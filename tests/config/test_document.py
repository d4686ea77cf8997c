"""Raw data with the places that its fields came from."""

import copy

import pytest

from pipeline.config.document import Document, FieldPath, dotted
from pipeline.errors import InputError, missing

DATA = {"a": {"b": 1}, "pool": [{"gpu": "T4", "count": 1}, {"gpu": "A10"}]}


def test_a_field_is_known_by_the_nearest_place_that_is_known() -> None:
    origins: dict[FieldPath, tuple[str, str]] = {
        ("a",): ("a.csv", "A"),
        ("a", "x"): ("x.json", ""),
        ("m",): ("m.json", ""),
    }
    document = Document("c.yaml", {}, origins)
    assert document.where(("a", "b", 0)) == ("a.csv", "A.b[0]")
    assert document.where(("a", "x", "y")) == ("x.json", "y")
    assert document.where(("z", 1, "count")) == ("c.yaml", "z[1].count")


def test_paths_are_written_as_a_user_would() -> None:
    assert dotted(("pool", 0, "count")) == "pool[0].count"


def test_replacing_values_leaves_the_document_as_it_was() -> None:
    document = Document("c.yaml", copy.deepcopy(DATA))
    changed = document.with_values([("a.b", 2), ("pool.A10.count", 3), ("new.x", 4)], "--set")
    assert document.data == DATA
    assert document.origins == {}
    assert changed.data["a"] == {"b": 2}
    assert changed.data["pool"] == [{"gpu": "T4", "count": 1}, {"gpu": "A10", "count": 3}]
    assert changed.data["new"] == {"x": 4}
    assert changed.where(("pool", 1, "count")) == ("--set", "pool.A10.count")


def test_beneath_a_section_of_null_there_is_as_much_as_beneath_an_absent_one() -> None:
    document = Document("c.yaml", {"a": None})
    changed = document.with_values([("a.b.c", 1), ("a.b.d", 2)], "--set")
    assert changed.faults == []
    assert changed.data == {"a": {"b": {"c": 1, "d": 2}}}
    assert document.data == {"a": None}


def test_what_is_replaced_later_finds_what_was_put_earlier() -> None:
    pool = [{"gpu": "L20"}]
    changed = Document("c.yaml", dict(DATA)).with_values([("pool", pool), ("pool.L20.n", 1)], "f")
    assert changed.data["pool"] == [{"gpu": "L20", "n": 1}]


@pytest.mark.parametrize(
    "key", ["a.b.c", "pool.L4.count", "pool.2.count", "pool.٠.count", "pool.x", "", "."]
)
def test_a_path_that_leads_nowhere_is_noted(key: str) -> None:
    document = Document("c.yaml", copy.deepcopy(DATA))
    changed = document.with_values([(key, 1), ("a.b", 2)], "c.yaml", "over.")
    assert [(f.file, f.field, f.value) for f in changed.faults] == [("c.yaml", f"over.{key}", 1)]
    assert changed.data == {**DATA, "a": {"b": 2}}
    assert document.faults == []


def test_faults_that_follow_from_a_file_that_was_not_read_are_no_news() -> None:
    document = Document("c.yaml", {})
    document.note_unread(InputError([missing("m.csv", "file", "does not exist")]))
    document.faults.append(missing("c.yaml", "network", "is odd"))
    unread = missing("m.csv", "matrix", "must be square")
    known = missing("c.yaml", "network", "is also wrong")
    fault = missing("c.yaml", "pool", "must not be empty")
    assert document.news([unread, known, fault]) == [fault]

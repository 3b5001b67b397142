import pytest

from rlhf_gym.sweeps.records import append_rows, read_header, read_rows


def test_rows_come_back_as_text_in_the_order_they_were_appended(tmp_path):
    path = tmp_path / "new" / "rows.csv"
    append_rows(path, [{"a": 1, "b": "x, y"}])
    append_rows(path, [{"a": None, "b": 2.5}, {"a": 3, "b": "line\nbreak"}])
    assert read_rows(path) == [{"a": "1", "b": "x, y"}, {"a": "", "b": "2.5"}, {"a": "3", "b": "line\nbreak"}]
    assert read_header(path) == ["a", "b"]


def test_no_rows_write_no_file(tmp_path):
    append_rows(tmp_path / "rows.csv", [])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "rows.csv") == []
    assert read_header(tmp_path / "rows.csv") is None


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"a": 1, "b": 2, "c": 3}, "it lacks c"),
        ({"a": 1}, "it has b"),
        ({"b": 1, "a": 2}, "it has the same names in another order"),
    ],
)
def test_another_header_is_refused_and_the_file_left_as_it_is(tmp_path, row, what):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=f"{what}; nothing was written"):
        append_rows(path, [row])
    assert path.read_text() == "a,b\n1,2\n"


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3")
    with pytest.raises(ValueError, match="ends in the middle of a line; remove that line"):
        read_rows(path)


def test_a_row_that_does_not_fit_the_header_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,4,5\n")
    with pytest.raises(ValueError, match="row 3, has 3 values under 2 columns"):
        read_rows(path)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("")
    with pytest.raises(ValueError, match="is empty; remove it"):
        read_rows(path)


def test_a_value_with_two_characters_at_a_line_s_end_comes_back_as_it_was(tmp_path):
    append_rows(tmp_path / "rows.csv", [{"a": "one\r\ntwo", "b": "x"}])
    assert read_rows(tmp_path / "rows.csv") == [{"a": "one\r\ntwo", "b": "x"}]


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"a,b\n1,\xff\n")
    with pytest.raises(ValueError, match=r"rows\.csv is damaged \(.*0xff.*\); restore it from a copy"):
        read_rows(tmp_path / "rows.csv")

from __future__ import annotations

import pytest

from llamawire.engine.errors import InvalidArgument
from llamawire.engine.structure import Form


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("(?=a)", "looking ahead or behind is not supported"),
        ("(?<!a)", "looking ahead or behind is not supported"),
        ("(?i)a", "this kind of group is not supported: (?i"),
        (r"(a)\1", r"\1 is not supported"),
        (r"\bword", r"\b is not supported"),
        (r"\p{L}", r"\p is not supported"),
        ("a++", "possessive repetition is not supported"),
        ("a**", "two repetitions in a row"),
        ("*a", "nothing to repeat"),
        ("a{2,1}", "below its beginning"),
        ("a{x}", "write \\{"),
        ("a{3000}", "more than 2000 repetitions"),
        ("(a?){1000}", "at most 16 times"),
        ("a^b", "^ inside the expression is not supported"),
        ("a$b", "$ inside the expression is not supported"),
        ("(a", "a ( without its )"),
        ("a)", "a ) without its ("),
        ("[a", "unexpected end"),
        ("[z-a]", "a range in [] that is none"),
        ("[[:alpha:]]", "[: :] classes are not supported"),
        (r"[^\s\S]", "without a character"),
        ("a\\", "unexpected end"),
        (r"\u12", "needs 4 hex digits"),
        ("(" * 100 + ")" * 100, "nested deeper than 50"),
        ("a" * 20_000, "longer than 16384 characters"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(expression: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        Form("regex", expression).grammar()
    assert error.value.reason == "INVALID_FORMAT"
    assert told in str(error.value)


def test_a_class_is_the_union_of_its_members_however_many() -> None:
    every_other = "".join(chr(code) for code in range(0x2000, 0x5000, 2))
    many = Form("regex", f"[{every_other[::-1]}{every_other}a-cb-d]").grammar().text
    assert many.count("\\u") == len(every_other)
    assert "a-d" in many

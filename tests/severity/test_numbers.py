"""Numbers are read as complaints write them."""

from __future__ import annotations

import re

import pytest

from serving.severity.numbers import NUMBER, value_of


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3200", 3200),
        ("86,400", 86400),
        ("1.2万", 12000),
        ("3万2", 32000),
        ("3万2千", 32000),
        ("2w", 20000),
        ("3k", 3000),
        ("2W", 20000),
        ("1.5W", 15000),
        ("5K", 5000),
        ("两万三", 23000),
        ("三千二", 3200),
        ("一万三千五百", 13500),
        ("一百二十万", 1200000),
        ("十八", 18),
        ("十几万", 120000),
        ("几万", 20000),
        ("上千", 1000),
        ("上万", 10000),
        ("近万", 10000),
        ("一千零五", 1005),
        ("一万零三百", 10300),
        ("二十多万", 200000),
        ("三十", 30),
        ("1亿", 100000000),
        ("八百", 800),
    ],
)
def test_numbers_value_is_read(written: str, value: float) -> None:
    match = re.fullmatch(NUMBER, written)
    assert match
    assert value_of(written) == pytest.approx(value)


@pytest.mark.parametrize("written", ["100W充电器", "2W功率", "65w的快充", "4K电视", "20KW", "5kg", "3kW"])
def test_numbers_watts_and_pixels_are_no_thousands(written: str) -> None:
    match = re.match(NUMBER, written)
    assert match
    assert match[0].isdecimal()


@pytest.mark.parametrize(
    ("text", "written"), [("编号00317,1680元", ["00317", "1680"]), ("86,400,一件", ["86,400", "一"])]
)
def test_numbers_a_comma_joins_only_groups_of_three(text: str, written: list[str]) -> None:
    assert [match[0] for match in re.finditer(NUMBER, text)] == written


def test_numbers_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        value_of("元")

"""Numbers as complaints write them: 3,200 · 1.2万 · 两万三 · 一百二十万 · 十几万 · 2w · 5K · 上千."""

from __future__ import annotations

import re

_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "俩": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8}
_DIGITS |= {"九": 9, "几": 2, "数": 2, "好": 0, "上": 1, "成": 1, "近": 1}  # "several" is two at least
_UNITS = {"十": 10, "百": 100, "千": 1000, "k": 1000}
_MYRIADS = {"万": 10**4, "w": 10**4, "亿": 10**8}
# Arabic digits (with at most a unit and a rest: 3万2, 3万2千; a comma joins groups of three only, as 编号317,1680元 is
# two numbers), Chinese numerals, vague words. Every repetition is bounded, so that a text of nothing but digits costs
# no more than any other. A w or k before a letter (20KW, 5kg) or ahead of what has watts or pixels (100W充电器, 4K电视)
# counts nothing.
_APPLIANCE = (
    "的?(?:大?功率|瓦|(?:无线|有线|超级|极速|疾速|直流|车载|双向)?(?:快充|闪充|超充|充电|适配器|充头|插头)|电源|电机|马达"
    "|灯|投影|显示器|显示屏|屏|电视|高清|超高清|超清|画质|分辨率|音响|音箱|风扇|吹风机|热水|电热|电磁炉|微波炉|烤箱)"
)
NUMBER = (
    r"(?:(?<![\d.])(?:\d{1,3}(?:,\d{3}){1,4}(?!\d)|\d{1,16})(?:\.\d{1,4})?(?:[多来几余]?[百千万亿](?:\d[百千]?(?!\d))?|[wkWK](?![a-zA-Z]|"
    + _APPLIANCE
    + r"))?"
    r"|[一二两俩三四五六七八九十几数百千][零〇一二两三四五六七八九十几百千]{0,9}"
    r"(?:[多来余]?[万亿][零〇一二两三四五六七八九十几百千]{0,9})?"
    r"|[上成近][十百千万]{1,3})"
)
_ARABIC = re.compile(r"(\d[\d,]*(?:\.\d+)?)[多来几余]?(百|千|万|亿|w|k)?(\d?)([百千]?)$")


def value_of(written: str) -> float:
    """Value of a number that ``NUMBER`` matched; a lower bound where it is vague (几万 = 20000).

    Raises ValueError for anything else.
    """
    written = written.lower()
    arabic = _ARABIC.match(written)
    if arabic:
        head, unit, rest, rest_unit = arabic.groups()
        factor = (_UNITS | _MYRIADS).get(unit or "", 1)
        return float(head.replace(",", "")) * factor + int(rest or 0) * _UNITS.get(rest_unit, factor / 10)
    return _chinese(written)


def _chinese(written: str) -> float:
    total = section = digit = 0
    last = 10  # value of the unit before a bare last digit: 两万三 is 23000, 三千二 is 3200
    for place, sign in enumerate(written):
        if sign in _DIGITS:
            # After 零 the last digit counts ones: 一千零五.
            last = 10 if sign in "零〇" else last
            digit = _DIGITS[sign]
        elif sign in _UNITS:
            section += (digit if digit or (place and written[place - 1] in _DIGITS) else 1) * _UNITS[sign]
            digit, last = 0, _UNITS[sign]
        elif sign in _MYRIADS:
            total += (section + digit or 1) * _MYRIADS[sign]
            section, digit, last = 0, 0, _MYRIADS[sign]
        elif sign not in "多来余":
            raise ValueError(f"not a number: {written!r}")
    return float(total + section + digit * (last // 10 if last > 10 else 1))

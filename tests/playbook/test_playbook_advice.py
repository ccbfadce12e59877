"""What the shipped playbook advises in cases where general words would be wrong, too much or too late."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from serving.playbook import Plan, Playbook
from serving.playbook.limits import Limit
from serving.playbook.strategies import Strategy
from tests.playbook.cases import TAXONOMY, at, case, received

BOOK = Playbook.load()
BY_ID = {s.id: s for s in BOOK.strategies}
INSTEAD = [s for s in BOOK.strategies if s.replaces]
NOW = received(2025, 3, 4, 10)


def said(*strategies: Strategy) -> str:
    return "\n".join(line for s in strategies for line in (*s.steps, *s.script))


def chosen(plan: Plan) -> dict[str, Strategy]:
    return {s.id: BY_ID[s.id] for s in plan.strategies}


def cited(plan: Plan, strategy: str | None = None) -> set[str]:
    return {basis.rule.id for s in plan.strategies if strategy in (None, s.id) for basis in s.basis}


def hours(limit: Limit | None) -> float:
    assert limit is not None
    start = at(2025, 3, 4, 10)
    return (limit.end(start) - start) / timedelta(hours=1)


@pytest.mark.parametrize(
    "industry", ["app", "game", "bank", "telecom", "hotel", "education", "gym", "medical", "airline", "property"]
)
def test_advice_services_and_software_are_not_sent_back_within_seven_days(industry: str) -> None:
    plan = BOOK.plan(
        case(["quality.defect", "service.aftersales"], ["resolution"]), received(2025, 3, 4, industry=industry)
    )
    assert "cause.quality.defect" not in chosen(plan)
    assert "三包" not in said(*chosen(plan).values())
    assert "cpl-24" not in cited(plan)
    assert {"industry.software", "industry.service-quality"} & chosen(plan).keys()


def test_advice_defect_of_an_unknown_industry_promises_no_return_of_goods() -> None:
    defect = BY_ID["cause.quality.defect"]
    assert "三包" not in "".join((defect.title.zh, *defect.script))
    assert any("软件" in step for step in defect.steps)


@pytest.mark.parametrize("industry", ["restaurant", "takeaway"])
@pytest.mark.parametrize("cause", ["quality.defect", "quality.damage", "service.mismatch", "service.delivery"])
def test_advice_meals_are_put_right_within_the_meal(industry: str, cause: str) -> None:
    plan = BOOK.plan(case([cause], ["resolution"]), received(2025, 3, 4, 10, industry=industry))
    (meal,) = [s for s in plan.strategies if s.id.startswith("industry.meal")]
    assert f"cause.{cause}" not in chosen(plan)
    assert meal.due.at == at(2025, 3, 4, 11)
    assert not re.search("面单|运费|四十八小时|下班前", said(BY_ID[meal.id]))


def test_advice_spoiled_meal_keeps_the_rule_on_unsafe_food_and_a_wrong_dish_does_not() -> None:
    context = received(2025, 3, 4, 10, industry="takeaway")
    assert "food-148" in cited(BOOK.plan(case(["quality.damage"], ["vent"]), context))
    assert "food-148" not in cited(BOOK.plan(case(["service.mismatch"], ["vent"]), context))


@pytest.mark.parametrize("industry", ["property", "rental"])
def test_advice_homes_are_repaired_not_changed_for_another_room(industry: str) -> None:
    plan = BOOK.plan(case(["quality.facility"], ["resolution"]), received(2025, 3, 4, 10, industry=industry))
    assert "industry.premises" in chosen(plan)
    assert not re.search("换房|换座|十五分钟", said(*chosen(plan).values()))


@pytest.mark.parametrize("cause", ["service.delivery", "quality.damage"])
def test_advice_a_carrier_asks_no_other_carrier(cause: str) -> None:
    plan = BOOK.plan(case([cause], ["resolution"]), received(2025, 3, 4, 10, industry="express"))
    assert "industry.express" in chosen(plan)
    assert not re.search("承运方|补发", said(*chosen(plan).values()))
    assert plan.human_decision


@pytest.mark.parametrize("industry", ["airline", "rail"])
@pytest.mark.parametrize("cause", ["service.delivery", "quality.damage"])
def test_advice_luggage_is_no_parcel(industry: str, cause: str) -> None:
    plan = BOOK.plan(case([cause], ["resolution"]), received(2025, 3, 4, 10, industry=industry))
    assert "行李" in said(chosen(plan)["industry.journey"])
    assert not re.search("面单|签收|丢件|仓储|补发|承运方", said(*chosen(plan).values()))
    assert plan.human_decision


@pytest.mark.parametrize("strategy", INSTEAD, ids=[s.id for s in INSTEAD])
def test_advice_what_stands_in_for_the_general_is_as_quick_and_as_careful(strategy: Strategy) -> None:
    replaced = {cause for name in strategy.replaces for cause in BY_ID[name].when.cause}
    assert replaced in (set(), set(strategy.when.cause))
    for name in strategy.replaces:
        general = BY_ID[name]
        assert hours(strategy.limit) <= hours(general.limit)
        assert strategy.human_decision >= general.human_decision


def test_advice_fraud_is_not_cited_where_none_is_alleged() -> None:
    dear = BOOK.plan(case(["price.unreasonable"], ["vent"]), NOW)
    assert "group.price" in chosen(dear)
    assert not {"price-14-4", "marking-19", "cpl-55-1"} & cited(dear)
    broken = BOOK.plan(case(["integrity.breach"], ["resolution"]), NOW)
    assert "group.integrity" in chosen(broken)
    assert "cpl-55-1" not in cited(broken)
    assert {"cpl-53", "cpl-48"} <= cited(broken)


def test_advice_danger_is_about_duties_and_a_claim_about_what_is_paid() -> None:
    danger = BOOK.plan(case(["quality.safety"], ["recognition"], 3), NOW)
    assert {"cpl-18", "cpl-19"} <= cited(danger)
    assert "cpl-55-2" not in cited(danger)
    claim = BOOK.plan(case(["quality.safety"], ["compensation"], 4), NOW)
    assert {"cpl-49", "cpl-55-2"} <= cited(claim, "motive.injury")


def test_advice_leak_is_not_all_that_deception_can_be() -> None:
    deception = BY_ID["cause.integrity.deception"]
    assert "个人信息" in "".join(deception.script)
    assert "pipl-51" not in deception.basis
    public = BOOK.plan(case(["quality.defect"], ["vent"], 3), received(2025, 3, 4, 10, channel="social"))
    assert cited(public, "channel.public") == {"pipl-25"}


def test_advice_cars_follow_their_own_rules() -> None:
    plan = BOOK.plan(case(["quality.defect"], ["resolution"], 3), received(2025, 3, 4, 10, industry="auto"))
    assert "cpl-24" not in cited(plan)
    assert {"auto-28-answer", "auto-28-complete", "auto-15", "auto-21"} <= cited(plan, "industry.auto")
    answer = BOOK.contents.rules["auto-28-answer"]
    assert "更换或退货" in answer.what.zh
    assert "说明理由" in answer.what.zh


def test_advice_airlines_answer_within_ten_working_days() -> None:
    # 4 and 7 April 2025: Qingming on a Friday, then a working Monday.
    plan = BOOK.plan(case(["service.delivery"], ["resolution"]), received(2025, 4, 1, 10, industry="airline"))
    (airline,) = [s for s in plan.strategies if s.id == "industry.airline"]
    assert airline.due.at is not None
    assert airline.due.at.date() == at(2025, 4, 16).date()
    assert airline.human_decision


@pytest.mark.parametrize("style", TAXONOMY.style_ids)
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_advice_on_style_is_not_later_than_the_first_reply(style: str, level: int) -> None:
    plan = BOOK.plan(case(["service.delivery"], ["vent"], level, style), NOW)
    assert plan.first_reply
    assert plan.first_reply.at
    for s in plan.strategies:
        if s.id.startswith("style."):
            assert s.due.at
            assert s.due.at <= plan.first_reply.at


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_advice_media_get_a_spokesperson_however_small_the_matter(level: int) -> None:
    plan = BOOK.plan(case(["service.delivery"], ["resolution"], level), received(2025, 3, 4, 10, channel="media"))
    assert "channel.media" in chosen(plan)
    assert "channel.public" not in chosen(plan)
    assert plan.human_decision


def test_advice_scripts_claim_nothing_undone_and_need_no_guess() -> None:
    for s in BOOK.strategies:
        for line in s.script:
            # Nobody has looked yet when the plan is made.
            assert not re.search("照片我收到了|已调取|核对过了|我查到|已经转给", line), s.id
            # Nor may it tell the customer how to feel, admit before looking, or promise the first place.
            assert not re.search("消消气|排第一个|很在理|您看到的价格和结算价不一致", line), s.id
            # What the agent has to fill in stands in brackets.
            assert not re.search("是这一点|是这样，|约定时间前", line), s.id
            # A first reply may come after midnight: "today" takes a time.
            assert "今天" not in line or "今天（报具体时间）" in line, s.id


def test_advice_customers_need_not_tell_it_all_again() -> None:
    assert not re.search("请您先说说|把经过和期望说完", said(BY_ID["style.unclear"]))


def test_advice_one_agent_alone_is_promised_by_the_severity_only() -> None:
    sole = [s.id for s in BOOK.strategies if re.search("只需要找我|都由我和您联系", "".join(s.script))]
    assert sole == ["severity.4"]


def test_advice_fits_what_is_over_as_well_as_what_is_to_come() -> None:
    for name, words in (
        ("cause.service.appointment", "已经办完的"),
        ("cause.service.delivery", "已经送到"),
        ("cause.quality.facility", "您反映的地方"),
        ("cause.price.extra_fee", "还在续扣的"),
        ("cause.price.unreasonable", "价保约定"),
        ("cause.service.response", "发票"),
        ("cause.customer.misuse", "先请客户停用"),
        ("motive.vent", "不等客户开口"),
    ):
        assert words in said(BY_ID[name]), name


def test_advice_treble_damages_are_named_only_when_the_customer_did() -> None:
    lines = [line for line in BY_ID["motive.punitive"].script if re.search("加倍|三倍", line)]
    assert lines
    assert all(line.startswith("（客户提出") for line in lines)


def test_advice_rules_say_what_the_texts_say() -> None:
    rules = BOOK.contents.rules
    starts = rules["penalty-15-days"].starts
    assert starts
    assert "先到者" not in starts.zh
    assert "不得高于" in rules["marking-16"].what.zh
    assert "因药品质量问题" in rules["drug-144"].what.zh

"""The clocks of one case: when it came in, when limits end, and what could not be computed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from model.classification import Notice
from serving.playbook.context import CaseContext
from serving.playbook.limits import Limit, NoCalendar
from serving.playbook.plan import Due
from serving.playbook.rules import Rule


class Clocks:
    """Computes ends of limits for one case and keeps its warnings, each once."""

    def __init__(self, context: CaseContext, zone: ZoneInfo) -> None:
        self._warnings: dict[tuple[str, str], Notice] = {}
        self.now = _local(context.now, zone)
        if context.received_at is None:
            self.received = self.now
            self.warn("received_at_missing", "未提供投诉接收时间，期限从当前时间起算")
        else:
            self.received = _local(context.received_at, zone)
            if self.received > self.now:
                self.warn("received_in_future", "投诉接收时间晚于当前时间，请核对；期限仍按所给时间计算")

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """In the order in which they came up."""
        return tuple(self._warnings.values())

    def warn(self, code: str, message: str) -> None:
        """Keep a warning unless it is there already."""
        self._warnings.setdefault((code, message), Notice(code, message))

    def due(self, limit: Limit) -> Due:
        """The end of ``limit``; a year that the calendar lacks is warned about, never guessed."""
        try:
            return Due(limit, limit.end(self.received))
        except NoCalendar as missing:
            self.warn(
                "calendar_missing_year",
                f"工作日历没有 {missing.year} 年的节假日数据，跨入该年的工作日期限未算出具体时间，"
                "请人工核对；更新 chinesecalendar 包后即可计算",
            )
        except OverflowError:
            self.warn("date_out_of_range", "日期超出可计算范围，期限未算出具体时间")
        return Due(limit, None)

    def in_force(self, rule: Rule) -> bool:
        """Whether ``rule`` holds both on the day of receipt and today: a plan says what to do now."""
        return rule.in_force(self.received.date(), self.now.date())

    def not_in_force(self, rule: Rule) -> None:
        """Tell that a rule was left out, and what its author says about its end."""
        span = f"{rule.valid_from or '…'} 至 {rule.valid_to or '…'}"
        note = f"；{rule.note.zh}" if rule.note else ""
        message = f"《{rule.law.zh}》{rule.article}（有效期 {span}）不适用于本案，已略去{note}"
        self.warn("rule_not_in_force", message)

    def ends_early(self, rule: Rule, due: Due | None) -> None:
        """Tell when a rule goes out of force before its own limit ends."""
        if due and due.at and rule.valid_to and due.at.date() > rule.valid_to:
            self.warn("rule_expires", f"《{rule.law.zh}》在期限届满前（{rule.valid_to}）失效，请核对新规定")

    def order(self, due: Due) -> datetime:
        """What a strategy's urgency is measured by; without a computed end the earliest possible one."""
        return due.at or due.limit.earliest(self.received)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.tzinfo is None or moment.utcoffset() is None:
        return moment.replace(tzinfo=zone)
    try:
        return moment.astimezone(zone)
    except OverflowError:
        # At the two ends of the calendar only.
        return moment.replace(tzinfo=UTC)

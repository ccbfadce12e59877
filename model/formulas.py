"""Formulas round a complaint that say nothing about it: a hotline's notes, greetings, thanks, wishes.

The same matter reaches kesu as a customer wrote it and as an agent took it down. Its labels must not
hang on "来电人称" or "谢谢", so the network does not read them. A clause at the beginning or the end of a text is
a formula when every word of it is in a list below and one of them makes it one: "麻烦您看一下" is, "麻烦您退款" is
not. What tells an inquiry or praise from a complaint ("咨询", "表扬"), what may be a demand ("请尽快处理") and what
the other side said ("客服称") is no formula.
"""

from __future__ import annotations

import re

from model.text import NormalisedText, han_count, normalise

# So many Chinese characters have to remain; else the formula may be all that the text says.
MIN_REMAINING = 6
# A formula is short, and few follow each other.
MAX_CLAUSE = 24
MAX_CLAUSES = 6

# Who is on a hotline's line, never who works for the company: what a shop's agent says is the matter itself.
_CALLERS = (
    "来电人员 来电人 来电者 来访人 市民 居民 群众 村民 网友 客户 用户 顾客 旅客 消费者 储户 持卡人 机主 投诉人 "
    "投诉者 诉求人 反映人 反馈人 举报人 申诉人 申请人 报修人"
)
# Of these a text may speak as of the other side ("买家表示没收到"), unless it tells that they called.
_PARTIES = (
    "业主 户主 住户 租客 乘客 会员 借款人 投保人 车主 购车人 住客 宾客 客人 食客 患者 病人 家属 家长 学员 买家 "
    "寄件人 收件人 商户"
)
_BEFORE_CALLERS = "据 本机 进线 接到 接 该 匿名 某 报修 寄修 宽带 用气 普通 我行 我司 我店"
_CALLS = "来电 来话 来信 来函 来访 进线 呼入"
_LINES = "客服热线 服务热线 客服电话 客服中心 服务中心 热线 电话 12345 12315 网络 渠道 我行 我司 我台 我院"
_WHEN = "本人 于 今日 今天 现 在线 留言 核身"
_SAYS = (
    "反映 反应 反馈 表示 表述 陈述 叙述 描述 讲述 诉称 诉说 诉 称 说 讲 述 口述 自述 主诉 告知 提出 投诉 申诉 "
    "申告 内容为 内容如下 如下 所述"
)
_RECORDS = (
    "话务员 坐席 座席 客服 热线 电话 回访 通话 在线 用户 客户 留言 记录 转述 转录 转办件 转办 原话 原文 如下 整理"
)
_TITLES = (
    "来电 来话 来件 来访 进线 接诉 客诉 工单 热线 通话 录音 受理 主要 基本 具体 事件 业务 问题 投诉 诉求 反映 "
    "反馈 申诉 申告 内容 记录 描述 陈述 详情 摘要 情况 事项 事由 原因 经过 现象 渠道 类型 意见 主题 标题 如下 的"
)
_IDS = "受理号码 联系电话 联系方式 工单编号 工单号 编号"
_PERSONS = (
    "客服人员 客服 老师 师傅 小姐姐 小哥哥 小哥 哥哥 姐姐 妹妹 大哥 大姐 阿姨 宝宝 亲亲 亲 同学 同志 朋友 同事 "
    "店家 店长 店主 老板 掌柜 卖家 商家 产品经理 大堂经理 经理 行长 领导 院长 校长 园长 主任 班主任 助教 教练 "
    "大夫 医生 护士 医护人员 管家 网格员 前台 开发者 工程师 快递员 骑手 小二 话务员 工作人员 服务人员 亲们 各位 "
    "大家 诸位 您们 你们 们 您 你 大大 的 相关负责人 负责人 人工"
)
_PLACES = (
    "物业 社区 酒店 银行 平台 医院 学校 公司 小区 开发 产品 技术 售后 快递 外卖 服务中心 会员 院方 全体 全院 "
    "贵行 贵司 贵店 贵院 贵校 贵公司 贵酒店 行 院 店"
)
# Words that greet whoever stands before them.
_HELLO = (
    "您好 你好 早上好 上午好 中午好 下午好 晚上好 早安 周末好 新年好 节日好 过节好 大家好 各位好 你们好 您们好 "
    "们好 老师好 师傅好 领导好 经理好 大夫好 老板好 掌柜好 店长好 校长好 园长好 管家好 亲好 亲亲好 嗨喽 嗨 哈喽"
)
_EXCUSES = (
    "是这样的 反映个 反映一下 反映一个 反馈个 反馈一下 说一下 跟您反映 向您反映 留个言 给您留言 在吗 在不在 在不 "
    "在么 在嘛 有人吗 有人在吗 忙吗 打扰您 打扰你 打扰各位 打扰大家 打扰了 打扰啦 打扰一下 打扰下 打搅您 打搅了 "
    "叨扰 抱歉 不好意思 对不起 请见谅 见谅 多包涵 冒昧打扰 冒昧 恕我 无意冒犯 劳驾 劳烦您 耽误您 耽误你 占用您 "
    "占用你 占您 占用一点 占用几分钟 麻烦您 麻烦你 麻烦大家 麻烦各位 麻烦帮 麻烦一下 麻烦看 有劳 辛苦 说个事 "
    "说件事 说个情况 说两句 说几句"
)
_PRONOUNS = "您们 你们 您 你 各位 大家"
_FILLERS = (
    "事情 问题 想 情况 个 一下下 一下 下 一点 一会儿 一小会儿 一会 几分钟 两分钟 几句 两句 点 宝贵 这么晚 休息日 "
    "周末 百忙之中 得 了 啦 哈 呀 啊 哇 哦 噢 吧 呢 咯 嘞 喽 哟 嗯 那个 请 先 再 也 都 真的 真 很 挺 实在 万分 "
    "非常 十分 特别 多 看看 看一眼 看 听 儿 我 帮忙 帮 留言 留个言 发消息 允许 可以 方便 的话 的 时间 完"
)
_THANKS = (
    "静候佳音 劳您 提前感谢 提前谢谢 谢谢 谢过 感谢 多谢 拜谢 感恩 感激 谢 辛苦 麻烦您 麻烦你 麻烦大家 麻烦各位 "
    "麻烦老师 麻烦师傅 麻烦客服 麻烦了 麻烦啦 麻烦咯 劳烦 有劳 费心 拜托 打扰您 打扰你 打扰各位 打扰大家 打扰了 "
    "打扰啦 多有打扰 打搅了 打搅您 叨扰 抱歉 不好意思 见谅 包涵 添麻烦了 添麻烦啦 给您添麻烦 给你添麻烦 "
    "给您们添麻烦 给你们添麻烦 给各位添麻烦 给大家添麻烦 祝福 比心 鞠躬 敬礼 此致 盼复 商祺 时祺 不多说"
)
_GRATEFUL = (
    "不胜 不尽 先行 先 最后 再次 在此 谨此 真诚 真心 衷心 由衷 非常 十分 万分 多多 多有 多 实在 冒昧 工作 留言 "
    "配合 理解 体谅 支持 帮助 帮忙 关注 倾听 聆听 阅读 抽空 看完 看信 查看 看 在 百忙之中 百忙中 时间 耐心 费心 "
    "顺颂 顺祝 敬 么么哒 么么 给 让 之处 言语 不当 还 请 说得 有点 啰嗦 唠叨 占用 了 啦 哈 呀 啊 哦 噢 吧 咯 嘞 "
    "喽 哟 哒 一下 好 都 也"
)
_WISHES = "祝愿 敬祝 顺祝 恭祝 谨祝 衷心祝 祝 愿"
_WELL = "万事如意 身体健康 工作顺利 生活愉快 一切顺利 阖家幸福 生意兴隆 节日快乐 新年快乐"
_WISHED = (
    "工作 生活 身体 教学 生意 事业 家庭 节日 周末 新年 天天 一切 今天 每一天 每天 宾客 阖家 顺顺利利 顺利 顺 "
    "愉快 快乐 开心 健康 平安 幸福 万事如意 兴隆 红火 发财 大卖 盈门 越来越好 越办越好 安康 安好 安 好 里 也 都"
)
_NOTED = (
    "特此转办 现转 信息已核对 同意公开 请后台 请跟进 烦请跟进 已核对 已登记 已记录 已录入 已做登记 已存档 已知晓 "
    "已知悉 已安抚 记录完毕 录入完毕 记录结束 记录在案 特此记录 特此登记 请知悉 请知晓 请阅处 请阅知 请阅 "
    "通话结束 录入人 记录人 登记时间 办件类型 反馈渠道 受理渠道 情况如上 来电人口述"
)
_NOTES = (
    "贵单位 单位 科室 办理 阅 处理 来电号码 联系方式 联系电话 请 协助 并 以上 情况 内容 本条 此条 该条 相关 信息 "
    "诉求 为 是 来电人 诉求人 客户 用户 旅客 口述 坐席 座席 话务员 客服 值班 经理 工单 录音 该件 件 由 部门 后台 "
    "同事 在案 投诉 电话 app 内 当日 备注 无 工号 号 :"
)
_NAME = (
    r"姓?(?!客服|前台|店员|护士|导购|售后|快递|保安)[\u4e00-\u9fff]{1,2}(?:某某|某|先生|女士|小姐)"
    r"|姓(?!名)[\u4e00-\u9fff]|[\u4e00-\u9fff]某某?"
)
_NUMBER = r"[\d*][\d*x\-]{2,}"
_MARKS = r",。!?;:~、.\s"
_DECORATION = r"[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f❤]"
# A verb of saying may be half of another word, and what follows it the history of the complaint ("反映了三次").
_WHOLE = {
    "反映": "(?![了过多无好几数半两三四五六七八九十强太慢迟不打没])",
    "说": "(?![明书好话不清法])",
    "称": "(?![重呼赞号])",
    "其": "(?![他它中实余次间父母妻夫子女家])",
}


def _any(*lists: str) -> str:
    """One pattern for the words of all ``lists``, longest first; the first that fits stays chosen (no backtracking)."""
    words = sorted({word for of in lists for word in of.split()}, key=lambda word: (-len(word), word))
    return f"(?>{'|'.join(map(re.escape, words))})"


class _Formula:
    """Clauses of nothing but ``words`` and ``key`` (lists, or patterns in ``more``), with one of ``key`` at least."""

    def __init__(self, key: str, *words: str, more: str = r"(?!)") -> None:
        self._words = re.compile(f"(?>(?:{_any(key, *words)}|{more})+)")
        self._key = re.compile(_any(key))

    def fits(self, clause: str) -> bool:
        return bool(self._words.fullmatch(clause) and self._key.search(clause))


# Atomic groups and no possessive quantifiers: Python 3.11.2, which Debian 12 has, gets those wrong.
_BEFORE = f"(?>(?:{_any(_BEFORE_CALLERS)}|来电(?![人者市客用]))*)"
_SOME_CALLER = f"{_BEFORE}(?>{_any(_CALLERS)}+)"
_CALLER = f"{_SOME_CALLER}(?>(?:{_NAME})?)"
_PARTY = f"{_BEFORE}(?>{_any(_CALLERS, _PARTIES)}+)(?>(?:{_NAME})?)"
_BY = f"(?:通过|拨打|致电|电联|联系)(?>{_any(_LINES)}+)|致电"
_HOW = f"(?>(?:{_any(_CALLS, _WHEN)}|{_BY}|{_NAME}|{_NUMBER})*)"
# What a hotline's agent writes before a caller's words.
_NOTE = re.compile(
    f"{_CALLER}{_HOW}(?>{_any(_SAYS)}+)|{_PARTY}(?:反映|反馈)"
    f"|(?:{_PARTY}|{_NAME})(?>{_any(_WHEN)}*)(?>{_any(_CALLS)}|{_BY}){_HOW}(?>{_any(_SAYS)}*)"
    f"|(?>{_any(_WHEN)}*){_any(_CALLS)}{_HOW}(?>{_any(_SAYS)}+)|(?:{_NAME})(?:反映|反馈|投诉)称?"
)
_VERBS = f"(?:诉称|(?:反映|反馈|投诉|表示){_WHOLE['反映']}|称{_WHOLE['称']}|说{_WHOLE['说']})"
_THEIR = f"(?:其{_WHOLE['其']})?"
# The same without a mark behind it, where it is no beginning of another word: not "用户说明书", not "客户称重".
_RUN_ON = re.compile(
    f"(?:{_PARTY}(?>(?:{_any(_CALLS)}|致电|电话)+){_VERBS}|{_PARTY}(?:诉称|反映{_WHOLE['反映']})|{_any(_CALLS)}{_VERBS}"
    f"|(?:来电人|来电者){_VERBS}|{_SOME_CALLER}(?:{_NAME}){_VERBS})(?:称{_WHOLE['称']})?{_THEIR}"
)
# What may follow a note behind its mark: "客户来电,反映…".
_RESUMED = re.compile(f"(?:反映{_WHOLE['反映']}|诉称|投诉称|反映称){_THEIR}")
# The number of a caller or of a ticket, with what it is.
_NUMBERED = re.compile(rf"{_any(_IDS)}:?\s*{_NUMBER}[{_MARKS}]+")
_RECORD = _Formula("记录 转述 转录 转办件 转办", _RECORDS)
# A caller alone before a colon is a speaker of a chat ("客户:…客服:…"), and has to stay.
_TITLE = _Formula(_TITLES, _CALLERS)
_ID = re.compile(f"{_any(_IDS)}|12345热线")
_GREETING = re.compile(
    f"(?>(?:(?!{_any(_HELLO)}){_any(_PERSONS, _PLACES)})*)"
    f"(?:{_any(_HELLO)}|(?:尊敬|亲爱)的(?>{_any(_PERSONS, _PLACES)}+))"
    f"(?>{_any(_HELLO, _PRONOUNS, _EXCUSES, _FILLERS)}*)"
)
_EXCUSE = re.compile(
    f"(?>(?:(?!{_any(_EXCUSES)}){_any(_PERSONS, _FILLERS)})*){_any(_EXCUSES)}(?>{_any(_EXCUSES, _PRONOUNS, _FILLERS)}*)"
)
_ADDRESS = re.compile(f"(?>{_any(_PERSONS)}{{2,}})好|亲")
_GRATITUDE = _Formula(_THANKS, _PERSONS, _PLACES, _GRATEFUL)
_WISH = re.compile(f"(?>{_any(_GRATEFUL)}*){_any(_WISHES)}(?>{_any(_PERSONS, _PLACES, _WISHED)}+)|{_any(_WELL)}")
# What thanks for, and what begs for: "谢谢支持", but "拜托支持一下".
_FOR, _BEGS = re.compile("关注|支持|配合|耐心|理解|体谅|帮"), re.compile("麻烦|拜托|劳烦|有劳")
_REMARK = _Formula(_NOTED, _NOTES, more=f"{_NAME}|{_NUMBER}")
_SO_FAR = re.compile(f"以上(?>{_any(_NOTES)}*)")
_QUIET = re.compile(rf"[{_MARKS}]|{_DECORATION}")
# A clause that may open a text, with the mark behind it: in brackets, or up to the first mark.
_BRACKETED = re.compile(rf"[【\[(]([^】\])]{{1,{MAX_CLAUSE}}})[】\])][{_MARKS}]*")
_CLAUSE = re.compile(rf"((?:(?!{_QUIET.pattern}|[“\"「]).){{1,{MAX_CLAUSE}}})((?:{_QUIET.pattern})+[“\"「]?)")
# Behind this, a heading or a record is what the text is about: "投诉记录:被你们关闭了三次".
_ABOUT = re.compile("没有|没|根本|被|无|查不到|是伪造|不")
# Before this, a closing formula is what somebody said or a page shows: "客服只会回复:抱歉".
_QUOTING = re.compile(r"(?:(?:说|句|个字)[,\s]*|(?:回复|显示|是|写|叫|短信)\s*|[:、“\"]\s*)$")


def _heads(words: str) -> bool:
    """Whether ``words`` in brackets are a heading without content."""
    return bool(_TITLE.fits(words) or _ID.fullmatch(words) or _NOTE.fullmatch(words))


def _entitles(clause: str, mark: str) -> bool:
    """Whether a ``clause`` with ``mark`` behind it is a title without content."""
    return mark.startswith(":") and bool(_TITLE.fits(clause) or _RECORD.fits(clause) or _ID.fullmatch(clause))


def _opens(clause: str) -> bool:
    """Whether a ``clause`` is a formula that stands before a complaint."""
    return any(pattern.fullmatch(clause) for pattern in (_GREETING, _EXCUSE, _ADDRESS, _NOTE))


def _closes(clause: str) -> bool:
    """Whether a ``clause`` is a formula that stands behind a complaint."""
    if _GRATITUDE.fits(clause):
        return "谢" in clause or "感" in clause or not (_BEGS.search(clause) and _FOR.search(clause))
    return bool(_WISH.fullmatch(clause) or _REMARK.fits(clause.strip("()【】[]")) or _SO_FAR.fullmatch(clause))


def _start(text: str) -> int:
    """Where the opening formulas of ``text`` end."""
    start = 0
    for _ in range(MAX_CLAUSES):
        heading, clause = _BRACKETED.match(text, start), _CLAUSE.match(text, start)
        if heading and _heads(heading[1]) and not _ABOUT.match(text, heading.end()):
            start = heading.end()
        elif numbered := _NUMBERED.match(text, start):
            start = numbered.end()
        elif clause and (
            _opens(clause[1]) or (_entitles(clause[1], clause[2]) and not _ABOUT.match(text, clause.end()))
        ):
            start = clause.end()
        else:
            break
    run_on = _RUN_ON.match(text, start, start + MAX_CLAUSE) or (start and _RESUMED.match(text, start))
    return run_on.end() if run_on else start


def _stop(text: str, start: int) -> int:
    """Where the closing formulas of ``text[start:]`` begin."""
    stop = len(text)
    for _ in range(MAX_CLAUSES):
        end = stop
        while end > start and _QUIET.match(text[end - 1]):
            end -= 1
        begin = end
        while begin > start and end - begin <= MAX_CLAUSE and not _QUIET.match(text[begin - 1]):
            begin -= 1
            if text[begin] in "([【":
                break
        if begin == start or _QUOTING.search(text, max(start, begin - 8), begin) or not _closes(text[begin:end]):
            break
        stop = begin
    return stop


def without_formulas(normalised: NormalisedText) -> NormalisedText:
    """What is left of a text between its formulas; the text as it is where next to nothing would be left."""
    text = normalised.text
    start = _start(text)
    stop = _stop(text, start)
    if stop < len(text):
        stop = start + len(text[start:stop].rstrip(",;: "))
    if (start, stop) == (0, len(text)) or han_count(text[start:stop]) < MIN_REMAINING:
        return normalised
    return NormalisedText(normalised.source, text[start:stop], normalised.origin[start:stop])


def read(source: str) -> NormalisedText:
    """What the network reads of a text, in training as in service: normalised, without the formulas round it."""
    return without_formulas(normalise(source))

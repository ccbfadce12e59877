"""Label-preserving variants of a complaint, for training and for the behavioural exam.

Every augmentation is a pure function of its text and of the random generator it is handed.
None adds a demand, a feeling or an emphasis of its own: "！" is never multiplied because the
guideline reads "！！" as a lively style, the emoji are sober ones, and no typo touches a
negation or a number.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable

from opencc import OpenCC

Augmentation = Callable[[str, random.Random], str]

_FULL_WIDTH = {code: code + 0xFEE0 for code in (*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B))}
# A comma between digits groups them and a mark after a digit numbers a list: both carry meaning.
_MARK = re.compile(r"[，。；]|(?<!\d)[、,;]")
_CLAUSE_END = re.compile(r"[，。！？；!?;~…]+|$")
_EMOJI = ("📦", "📱", "🕒", "📅", "📍", "💬", "📝", "📷", "🤔", "👀", "🙂", "😶")
_GREETINGS = ("您好，", "你好，", "您好，打扰了。", "不好意思打扰一下，", "你好，在吗？")
_THANKS = ("谢谢。", "谢谢您。", "感谢。", "辛苦了。", "祝您工作顺利。")
_THANKED = re.compile(r"谢|辛苦|麻烦")
_GREETED = re.compile(r"\s*(?:您好|你好|不好意思|打扰|尊敬的)")
_FRAMES = (
    "来电人称，", "来电人反映：", "来电人表示，", "市民反映，", "市民来电称：",
    "客户来电：", "客户反映，", "【热线记录】", "来电内容：",
)  # fmt: skip
_FRAMED = re.compile(r"\s*(?:.{0,3}来电|市民|客户|诉求|【)")

# Cities whose characters also meet by chance in other words carry the context that tells them apart.
_CITIES = (
    "北京 上海 天津 重庆 广州 深圳 杭州 南京 苏州 武汉 西安 长沙 青岛 济南 郑州 沈阳 哈尔滨 长春 石家庄 太原 合肥 "
    "南昌 福州 厦门 泉州 宁波 温州 无锡 常州 徐州 东莞 佛山 珠海 南宁 桂林 海口 三亚 贵阳 昆明 兰州 西宁 银川 "
    "乌鲁木齐 呼和浩特 拉萨 洛阳 烟台 唐山 香港 澳门 台北 (?<![完变做修改换弄])成都 大连(?!锁)"
)
_SHOPPING = "淘宝 天猫 京东 拼多多 抖音 小红书 闲鱼 唯品会"
_TAKEAWAY = "美团 饿了么"
_TRAVEL = "携程 飞猪 去哪儿网 同程旅行"
_OTHER_PLATFORMS = "大众点评 哔哩哔哩"
_RIDES = "滴滴(?:出行|打车)?(?!答) 曹操出行 高德打车 首汽约车 哈啰"
_CARRIERS = (
    "京东物流 (?:顺丰|圆通|申通(?!过)|韵达|极兔|德邦|百世)(?:快递|速运|速递|快运)? 中通快递 邮政快递 菜鸟驿站 丹鸟"
)
_BANKS = "(?:中国|工商|建设|农业|招商|交通|光大|民生|平安|浦发|兴业|中信|邮储)银行"
_AIRLINES = "(?:(?:南方|东方|海南|四川|春秋|吉祥|深圳|山东)航空|(?<!中)国航|南航|东航|海航)"
_TELECOMS = "中国(?:移动|联通|电信)"
_RESTAURANTS = "麦当劳 肯德基 星巴克 瑞幸 海底捞 必胜客 蜜雪冰城"
_STORES = "永辉超市 沃尔玛 山姆 屈臣氏 优衣库 万达 宜家 名创优品"
_HOTELS = "如家 汉庭 全季 亚朵"
_AGENTS = "链家"
_PHONES = (
    "华为 小米(?=手机|电视|官网|之家) 苹果(?=手机|电脑|官网|售后) OPPO vivo 三星(?=手机|电视|显示器) "
    "联想(?=电脑|笔记本|官网) 戴尔 惠普"
)
_APPLIANCES = "海尔 格力 海信 西门子 戴森 科沃斯 九阳 苏泊尔"
_CARS = "特斯拉 比亚迪 丰田 本田 奔驰 宝马 奥迪"
_CLOTHES = "耐克 阿迪达斯 安踏"
_FOODS = "三只松鼠 良品铺子 伊利 蒙牛 飞鹤"
_MARKS_OF_CITIES, _MARKS_OF_FIRMS = "ABCDEFGH", "甲乙丙丁戊己庚辛"


def _any_of(names: str) -> str:
    return "|".join(names.split())


# Order decides where one name holds another: a carrier before the platform that owns it, an airline before its city.
_NAMES = re.compile(
    "|".join(
        f"(?P<{kind}>{pattern})"
        for kind, pattern in (
            ("carrier", _any_of(_CARRIERS)),
            ("bank", _BANKS),
            ("airline", _AIRLINES),
            ("telecom", _TELECOMS),
            ("city", f"(?:{_any_of(_CITIES)})市?"),
            ("shopping", _any_of(_SHOPPING)),
            ("takeaway", _any_of(_TAKEAWAY)),
            ("travel", _any_of(_TRAVEL)),
            ("platform", _any_of(_OTHER_PLATFORMS)),
            ("ride", _any_of(_RIDES)),
            ("restaurant", _any_of(_RESTAURANTS)),
            ("store", _any_of(_STORES)),
            ("hotel", _any_of(_HOTELS)),
            ("agent", _any_of(_AGENTS)),
            ("phone", _any_of(_PHONES)),
            ("appliance", _any_of(_APPLIANCES)),
            ("car", _any_of(_CARS)),
            ("clothes", _any_of(_CLOTHES)),
            ("food", _any_of(_FOODS)),
        )
    )
)
_KIND_NOUN = {
    "carrier": "快递", "bank": "银行", "airline": "航空", "telecom": "通信公司", "city": "市", "ride": "出行",
    **dict.fromkeys(("shopping", "takeaway", "travel", "platform"), "平台"),
    **dict.fromkeys(("restaurant", "store", "hotel", "agent"), "店"),
    **dict.fromkeys(("phone", "appliance", "car", "clothes", "food"), "牌"),
}  # fmt: skip
# Names of the same kind to put in another's place; for kinds that are not here a placeholder is put.
_OTHERS = {
    kind: names.split()
    for kind, names in {
        "carrier": "顺丰 圆通 申通 韵达 极兔 德邦 中通 京东物流",
        "bank": "中国银行 工商银行 建设银行 农业银行 招商银行 交通银行 民生银行 平安银行",
        "airline": "南方航空 东方航空 海南航空 四川航空 春秋航空 吉祥航空 厦门航空",
        "telecom": "中国移动 中国联通 中国电信",
        "city": "北京 上海 广州 深圳 杭州 武汉 长沙 青岛 郑州 沈阳 合肥 南宁 昆明 兰州 徐州 洛阳 唐山 泉州",
        "shopping": _SHOPPING,
        "takeaway": _TAKEAWAY,
        "travel": _TRAVEL,
        "ride": "滴滴出行 曹操出行 高德打车 首汽约车 哈啰",
        "restaurant": _RESTAURANTS,
        "store": _STORES,
        "hotel": _HOTELS,
        "phone": "华为 小米 苹果 OPPO vivo 三星 荣耀 联想",
        "appliance": f"{_APPLIANCES} 美的 小天鹅",
        "car": f"{_CARS} 大众 吉利 长安",
        "clothes": f"{_CLOTHES} 李宁",
        "food": _FOODS,
    }.items()
}

# word:what people type for it; homophones mostly, a few shape confusions (handwriting input, OCR).
_CONFUSIONS = """
已经:以经 再也:在也 再来:在来 再次:在次 正在:正再 安装:按装 师傅:师付/师父 客服:客夫 服务:服物 态度:太度 质量:质亮
退货:腿货 退款:退宽 退钱:腿钱 退还:腿还 快递:快第/块递 物流:物留 发票:发飘 包裹:包果 收到:受到 联系:连系 处理:处里
解决:解绝 赔偿:陪偿/培偿 赔付:陪付 补偿:补尝 补发:补法 账单:帐单 账户:帐户 账号:帐号 到账:到帐 转账:转帐 优惠:优会
活动:活洞 会员:会圆 充值:冲值 充电:冲电 预约:预月 预订:预定 提前:题前 提醒:题醒 通知:通之 临时:零时 取消:取销
电话:电活 电池:电迟 屏幕:屏暮 手机:手几 耳机:耳几 冰箱:冰相 空调:空条 洗衣机:洗衣几 维修:为修 修理:修里 检测:捡测
检查:捡查 保修:保休 售后:受后/授后 商家:商加 店家:店加 老板:老扳 经理:经里 投诉:投述 要求:要球 希望:希忘 建议:建意
道歉:到歉 严重:严中 实在:实再 竟然:竞然 居然:居燃 明明:名名 根本:跟本 非常:非长 特别:特被 一直:一值 一样:一洋
什么:什吗 怎么:怎吗 时候:时侯 时间:时问 等待:等侍 等候:等侯 耐心:奈心 麻烦:麻凡 满意:满易 失望:失忘 味道:味到
餐厅:歺厅 环境:环竟 卫生:卫声 房间:房问 酒店:酒殿 入住:人住 前台:前抬 押金:压金 合同:和同 承诺:成诺 宣传:宣船
虚假:虚加 欺骗:期骗 价格:价各 降价:降介 便宜:便谊 包装:包妆 破损:破捐 漏水:漏氺 尺码:尺马 颜色:颜涩 衣服:衣付
鞋子:鞋孑 新鲜:新先 发霉:发梅 过期:过其 日期:日其 医院:医完/衣院 孩子:孩孑 司机:司几 迟到:池到 延误:延悟 签收:签受
派送:排送 配送:配诵 订单:定单 下单:下但 付款:附款 支付:支附 扣费:扣废 扣款:扣宽 费用:废用 流量:流亮 网络:网洛
信号:信好 系统:细统 登录:登陆 软件:软见 更新:更心 页面:页而 直播:值播 课程:课成 老师:老帅 培训:陪训 教练:教炼
健身:建身 物业:物页 电梯:电剃 停车:仃车 小区:小曲 噪音:燥音 理由:理有 规定:归定 规则:归则 条款:条宽 说明:说名
介绍:介招 推荐:推存 注意:主意 仔细:子细 认真:认针 垃圾:拉圾 恶劣:恶烈 敷衍:敷演 推诿:推委 骚扰:搔扰 尽快:尽块
赶快:赶块 必须:必需 清楚:青楚 按照:安照 反映:反应 反馈:反溃 影响:影向 损失:损矢 材料:才料 家具:家俱 抽屉:抽替
门锁:门琐 地板:地扳
"""
_TYPOS = {word: tuple(wrong.split("/")) for word, wrong in (entry.split(":") for entry in _CONFUSIONS.split())}
_TYPO = re.compile("|".join(sorted(_TYPOS, key=len, reverse=True)))
_CHARACTERS_PER_TYPO = 25
_MOST_TYPOS = 4


@functools.cache
def _converter(config: str) -> OpenCC:
    return OpenCC(config)


def full_width(text: str, rng: random.Random) -> str:
    """ASCII digits and letters as full-width ones; undone by ``model.text.normalise``."""
    return text.translate(_FULL_WIDTH)


def traditional(text: str, rng: random.Random) -> str:
    """Traditional characters (OpenCC s2t)."""
    return str(_converter("s2t").convert(text))


def traditional_tw(text: str, rng: random.Random) -> str:
    """Traditional characters in the Taiwanese standard (OpenCC s2tw)."""
    return str(_converter("s2tw").convert(text))


def emoji(text: str, rng: random.Random) -> str:
    """One or two sober emoji at clause ends: more would be the sign of a lively customer."""
    if not text:
        return text
    ends = sorted({match.start() for match in _CLAUSE_END.finditer(text)} - {0})
    for end in sorted(rng.sample(ends, min(len(ends), rng.randint(1, 2))), reverse=True):
        text = text[:end] + rng.choice(_EMOJI) + text[end:]
    return text


def polite(text: str, rng: random.Random) -> str:
    """A greeting before, thanks after, or both; never a plea, which would be a motive."""
    where = rng.choice(("before", "after", "both"))
    result = text
    if text and where != "before" and not _THANKED.search(text[-10:]):
        joint = "" if text[-1] in "。！？!?~…" else "，"
        result = text + joint + rng.choice(_THANKS)
    if (where != "after" or result == text) and not _GREETED.match(text):
        result = rng.choice(_GREETINGS) + result
    return result


def hotline(text: str, rng: random.Random) -> str:
    """The words a hotline's agent writes before a caller's own; a text that has them stays as it is."""
    return text if _FRAMED.match(text) else rng.choice(_FRAMES) + text


def punctuation_dropped(text: str, rng: random.Random) -> str:
    """Commas and stops left out, all of them or two in three; "！" and "？" carry tone and stay."""
    share = rng.choice((1.0, 2 / 3))
    return _MARK.sub(lambda match: "" if rng.random() < share else match[0], text)


def punctuation_repeated(text: str, rng: random.Random) -> str:
    """One to three commas or stops doubled or tripled, as far as normalisation keeps a run."""
    spots = [match.start() for match in _MARK.finditer(text)]
    for spot in sorted(rng.sample(spots, min(len(spots), rng.randint(1, 3))), reverse=True):
        text = text[:spot] + text[spot] * rng.randint(1, 2) + text[spot:]
    return text


def punctuation_spaced(text: str, rng: random.Random) -> str:
    """Commas and stops as spaces, the way many people type on a phone."""
    return _MARK.sub(" ", text).strip()


def names(text: str, rng: random.Random) -> str:
    """Cities and firms as others of their kind, or as placeholders (A市, 甲平台): a label must not hang on a name."""
    shift, real = rng.randrange(4), rng.random() < 0.6
    seen: dict[str, dict[str, str]] = {}

    def other(match: re.Match[str]) -> str:
        kind = str(match.lastgroup)
        name = match[0].removesuffix("市") if kind == "city" else match[0]  # but 永辉超市
        known = seen.setdefault(kind, {})
        if name not in known:
            fresh = [found for found in _OTHERS.get(kind, ()) if found != name and found not in known.values()]
            if real and fresh:
                known[name] = rng.choice(fresh) + match[0].removeprefix(name)
            else:
                marks = _MARKS_OF_CITIES if kind == "city" else _MARKS_OF_FIRMS
                known[name] = marks[(shift + len(known)) % len(marks)] + _KIND_NOUN[kind]
        return known[name]

    return _NAMES.sub(other, text)


def typos(text: str, rng: random.Random) -> str:
    """One confusion in about 25 characters, four at most, from a table of words people mistype."""
    spots = list(_TYPO.finditer(text))
    count = min(len(spots), _MOST_TYPOS, 1 + len(text) // _CHARACTERS_PER_TYPO)
    for match in sorted(rng.sample(spots, count), key=lambda found: found.start(), reverse=True):
        text = text[: match.start()] + rng.choice(_TYPOS[match[0]]) + text[match.end() :]
    return text


AUGMENTATIONS: dict[str, Augmentation] = {
    function.__name__: function
    for function in (
        full_width, traditional, traditional_tw, emoji, polite, hotline,
        punctuation_dropped, punctuation_repeated, punctuation_spaced, names, typos,
    )
}  # fmt: skip

# Weight and family of what `augment` draws from. Width and script are left out or nearly so, and formulas ("polite",
# "hotline"), because `model.formulas.read` undoes them. Of one family at most one is applied.
_DRAWS: dict[str, tuple[float, str]] = {
    "traditional_tw": (0.1, "script"),
    "emoji": (0.7, "emoji"),
    "punctuation_dropped": (1.5, "punctuation"),
    "punctuation_repeated": (0.7, "punctuation"),
    "punctuation_spaced": (1.0, "punctuation"),
    "names": (2.0, "names"),
    "typos": (1.5, "typos"),
}


def augment(text: str, rng: random.Random, *, rate: float = 0.3) -> str:
    """With probability ``rate`` the text under one or two augmentations that change it, else the text.

    The order is a weighted sample without replacement (Efraimidis and Spirakis 2006). Raises
    ``ValueError`` for a rate outside 0..1.
    """
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate {rate} lies outside 0..1")
    if rng.random() >= rate:
        return text
    left = rng.randint(1, 2)
    order = sorted(_DRAWS, key=lambda name: rng.random() ** (1.0 / _DRAWS[name][0]), reverse=True)
    used: set[str] = set()
    for name in order:
        family = _DRAWS[name][1]
        if family in used:
            continue
        changed = AUGMENTATIONS[name](text, rng)
        if changed == text:
            continue
        text, left = changed, left - 1
        used.add(family)
        if not left:
            break
    return text

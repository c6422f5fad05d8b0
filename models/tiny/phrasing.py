# ruff: noqa: RUF001 (the Chinese texts have Chinese punctuation)
"""The many ways to ask one thing: paraphrases, then the small disorder of real typing.

A model this small does not understand; it learns which words of a question matter. So every fact
is asked in many forms, with other words around it, in lower case, without a question mark, with a
letter missing.
"""

from __future__ import annotations

from random import Random

WHY = [
    "why {q}",
    "why {q}",
    "why {q}",
    "why is it that {s}",
    "how come {s}",
    "what is the reason that {s}",
    "what is the reason why {s}",
    "what's the reason {s}",
    "explain why {s}",
    "tell me why {s}",
    "can you explain why {s}",
    "could you tell me why {s}",
    "do you know why {s}",
    "I wonder why {s}",
    "give me the reason why {s}",
    "for what reason {q}",
    "my child asks why {s}",
    "what is the explanation for the fact that {s}",
    "what causes it that {s}",
    "what makes it so that {s}",
    "describe why {s}",
    "I would like to understand why {s}",
    "please explain to me why {s}",
    "{s}, but why",
    "{s}. why",
    "is there a reason that {s}",
    "what is the reason for this: {s}",
    "why, in your view, {q}",
    "why would it be that {s}",
    "how is it that {s}",
    "I noticed that {s}. why is that",
    "what would you say if someone asks why {s}",
    "what is behind the fact that {s}",
    "how would you explain that {s}",
    "is it known why {s}",
    "why exactly {q}",
    "why on earth {q}",
    "{s} - what is the cause",
    "{s}: what is the reason",
    "the reason why {s}",
]
HOW = [
    "how {q}",
    "how {q}",
    "how {q}",
    "explain how {s}",
    "tell me how {s}",
    "can you explain how {s}",
    "could you tell me how {s}",
    "do you know how {s}",
    "in what way {q}",
    "I want to know how {s}",
    "describe how {s}",
    "by what means {q}",
    "I would like to understand how {s}",
    "how exactly {q}",
    "what is the way {s}",
    "how is it possible that {s}",
    "what would you say if someone asks how {s}",
    "teach me how {s}",
    "show me how {s}",
]
WHAT = [
    "what is {x}",
    "what is {x}",
    "what is {x}",
    "what's {x}",
    "explain {x}",
    "explain {x} to me",
    "explain what {x} is",
    "tell me about {x}",
    "tell me what {x} is",
    "define {x}",
    "describe {x}",
    "can you explain {x}",
    "can you tell me what {x} is",
    "could you describe {x}",
    "what do you know about {x}",
    "what does {x} mean",
    "what is meant by {x}",
    "what exactly is {x}",
    "give me a definition of {x}",
    "I want to know about {x}",
    "I have heard of {x}, what is it",
    "{x}",
    "the meaning of the words {x}",
    "how would you explain {x} to a child",
    "do you know what {x} is",
    "give me a short introduction to {x}",
    "how would you define {x}",
    "could you say a few words about {x}",
    "say something about {x}",
    "what should I know about {x}",
    "teach me about {x}",
    "what do people call {x}",
    "what do we understand by {x}",
    "help me understand {x}",
    "what kind of thing is {x}",
    "I do not understand {x}",
    "what is the idea of {x}",
    "what is the purpose of {x}",
]
OPENINGS = [
    "please tell me",
    "can you tell me",
    "could you tell me",
    "do you know",
    "I want to know",
    "I would like to know",
    "tell me",
    "quick question:",
    "question:",
    "please answer:",
    "hi,",
    "hello,",
    "hey,",
    "I have a question,",
    "so",
    "I wonder",
    "let me ask you,",
    "for my homework:",
    "any idea",
    "do you happen to know",
    "can you say",
    "I need to know",
    "I am curious:",
    "my son keeps asking:",
    "my teacher asks",
    "okay,",
    "well,",
    "now,",
    "and",
    "just",
    "I forgot,",
    "remind me,",
    "in your own words:",
    "in one line:",
    "be honest:",
]
CLOSINGS = [
    "please",
    "in one sentence",
    "in a few words",
    "briefly",
    "in simple words",
    "to a child",
    "exactly",
    "thanks",
    "really",
    "for a beginner",
    "in general",
    "in nature",
    "in the world",
    "in summer",
    "during the day",
    "these days",
    "at home",
    "in your opinion",
    "for me",
    "if you know",
    "again",
    "in short",
    "then",
    "anyway",
    "at all",
    "all the time",
    "sometimes",
    "usually",
    "by the way",
]
FILLERS = [
    "really",
    "actually",
    "always",
    "exactly",
    "just",
    "only",
    "often",
    "usually",
    "even",
    "still",
    "so",
    "very",
]
INTERROGATIVES = (
    "what",
    "which",
    "who",
    "how",
    "why",
    "where",
    "when",
    "at",
    "in",
    "is",
    "are",
    "do",
    "does",
)
SWAPS = {
    "color": ["colour", "hue", "shade"],
    "colour": ["color"],
    "colors": ["colours"],
    "biggest": ["largest", "greatest"],
    "largest": ["biggest"],
    "tallest": ["highest"],
    "highest": ["tallest"],
    "look": ["appear", "seem"],
    "sea": ["ocean"],
    "ocean": ["sea"],
    "explain": ["describe", "clarify"],
    "autumn": ["fall"],
    "happen": ["occur"],
    "airplane": ["plane", "aeroplane"],
    "planes": ["airplanes", "aircraft"],
    "volcanoes": ["volcanos"],
    "people": ["humans", "persons"],
    "made": ["produced", "formed"],
    "wrote": ["authored", "has written"],
    "painted": ["made"],
    "invented": ["created", "came up with"],
    "discovered": ["found"],
    "quickly": ["fast"],
    "function": ["method", "routine"],
    "write": ["give me", "show me", "create"],
    "sunset": ["sundown", "dusk"],
    "dog": ["dogs"],
    "cause": ["reason"],
    "causes": ["produces", "leads to", "creates"],
    "makes": ["causes", "lets"],
}
SMALL_WORDS = {
    "the",
    "a",
    "an",
    "is",
    "are",
    "do",
    "does",
    "of",
    "that",
    "it",
    "to",
    "me",
    "you",
    "please",
    "in",
}

ZH_WHY = [
    "为什么{s}{p}",
    "为什么{s}{p}",
    "{s}为什么{p}",
    "{s}为什么{p}",
    "为何{s}{p}",
    "{s}为何{p}",
    "{s}怎么{p}",
    "{s}{p}是为什么",
    "{s}{p}的原因是什么",
    "{s}{p}是什么原因",
    "什么原因让{s}{p}",
    "是什么让{s}{p}",
    "请解释为什么{s}{p}",
    "解释一下{s}{p}的原因",
    "说说{s}为什么{p}",
    "{s}{p}是因为什么",
    "孩子问我为什么{s}{p}",
    "为啥{s}{p}",
    "讲讲{s}{p}的道理",
    "为什么说{s}{p}",
    "{s}{p}，为什么",
    "{s}{p}，这是怎么回事",
    "{s}{p}有什么原因吗",
    "{s}到底为什么{p}",
    "{s}为什么看起来{p}",
    "怎么解释{s}{p}",
    "{s}为什么总是{p}",
]
ZH_HOW = ["{s}怎么{p}", "{s}是怎么{p}的", "{s}如何{p}", "{s}是如何{p}的", "{s}怎样{p}"]
ZH_WHAT = [
    "什么是{x}",
    "什么是{x}",
    "{x}是什么",
    "{x}是什么",
    "介绍一下{x}",
    "请介绍{x}",
    "解释一下{x}",
    "请解释{x}",
    "{x}是什么意思",
    "说说{x}",
    "给我讲讲{x}",
    "{x}指的是什么",
    "你知道{x}吗",
    "{x}的定义是什么",
    "什么叫{x}",
    "你能解释{x}吗",
    "告诉我{x}是什么",
    "{x}",
    "怎么理解{x}",
    "什么叫做{x}",
    "{x}到底是什么",
    "{x}究竟是什么",
    "请讲一讲{x}",
    "讲讲什么是{x}",
    "说说什么是{x}",
    "用简单的话解释{x}",
    "{x}是什么东西",
    "我想了解{x}",
    "关于{x}你知道什么",
]
ZH_OPENINGS = [
    "请问",
    "请问，",
    "请告诉我",
    "告诉我",
    "你知道",
    "我想知道",
    "你能告诉我",
    "能不能告诉我",
    "老师，",
    "问题：",
    "我有一个问题：",
    "谁知道",
    "帮我解答一下，",
    "想请教一下，",
    "小朋友问：",
    "同学问我",
    "我很好奇，",
    "那么",
    "说一下",
    "帮我解释",
    "我想问",
    "嗨，",
    "你好，",
]
ZH_FILLERS = ["到底", "究竟", "其实", "通常", "一般", "总是", "都", "真的", "平时"]
ZH_ENDS = ["呢", "呢", "呀", "啊", "吗", "的呢", "来着"]
ZH_CLOSINGS = ["请简单回答", "用一句话回答", "谢谢", "请说明", "简单说说"]
ZH_SWAPS = [
    ("为什么", "为何"),
    ("为什么", "为啥"),
    ("为什么", "为什么会"),
    ("是什么", "是啥"),
    ("怎么", "怎样"),
    ("怎么", "如何"),
    ("怎么", "是怎么"),
    ("哪个", "哪一个"),
    ("多少", "几"),
    ("的", ""),
    ("会", ""),
]


def english(rng: Random, base: str) -> str:
    """One way to type the English question `base`, which carries no punctuation at its end."""
    text = base
    words = text.split(" ")
    asks = words[0].lower() in INTERROGATIVES
    if rng.random() < 0.3:
        words = [rng.choice(SWAPS[w]) if w in SWAPS and rng.random() < 0.6 else w for w in words]
    if len(words) > 4 and rng.random() < 0.08:
        words = [w for w in words if w not in SMALL_WORDS or rng.random() < 0.5]
    if len(words) > 3 and rng.random() < 0.08:
        words.insert(rng.randrange(1, len(words)), rng.choice(FILLERS))
    if len(words) > 3 and rng.random() < 0.05:
        at = rng.randrange(1, len(words))  # The end of the question first.
        words = words[at:] + words[:at]
    if rng.random() < 0.05:
        words = _typo(rng, words)
    text = " ".join(words)
    if asks and rng.random() < 0.22:
        text = f"{rng.choice(OPENINGS)} {text}"
    if rng.random() < 0.15:
        text = f"{text}{rng.choice([' ', ', '])}{rng.choice(CLOSINGS)}"
    return (
        _case(rng, text)
        + rng.choices(
            ["?" if asks else ".", "", "??", " ?", "？", "!", "?"], [60, 25, 2, 2, 4, 2, 5]
        )[0]
    )


def _typo(rng: Random, words: list[str]) -> list[str]:
    """Drops or swaps a letter of one long word."""
    long_words = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long_words:
        return words
    i = rng.choice(long_words)
    word, at = words[i], rng.randrange(1, len(words[i]) - 1)
    if rng.random() < 0.5:
        word = word[:at] + word[at + 1 :]
    else:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return [*words[:i], word, *words[i + 1 :]]


def _case(rng: Random, text: str) -> str:
    """Mostly a capital at the start, often all lower case, seldom all capitals."""
    draw = rng.random()
    if draw < 0.6:
        return text[:1].upper() + text[1:]
    if draw < 0.95:
        return text.lower()
    return text.upper() if draw < 0.97 else text.title()


def chinese(rng: Random, base: str) -> str:
    """One way to type the Chinese question `base`, which carries no punctuation at its end."""
    text = base
    if rng.random() < 0.25:
        old, new = rng.choice(ZH_SWAPS)
        text = text.replace(old, new, 1)
    if rng.random() < 0.2:
        text = rng.choice(ZH_OPENINGS) + text
    if rng.random() < 0.04 and len(text) > 6 and not any(c.isdigit() for c in text):
        at = rng.randrange(len(text))
        text = text[:at] + text[at + 1 :]
    if rng.random() < 0.1 and not text.isascii():
        at = rng.randrange(1, max(2, len(text)))
        text = text[:at] + rng.choice(ZH_FILLERS) + text[at:]
    if rng.random() < 0.15:
        text += rng.choice(ZH_ENDS)
    end = rng.choices(["？", "?", "", "。", "？？", "! "], [45, 25, 22, 4, 2, 2])[0].strip()
    if rng.random() < 0.06:
        end = (end or "，") + rng.choice(ZH_CLOSINGS) + rng.choice(["。", ""])
    return text + end

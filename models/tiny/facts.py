# ruff: noqa: RUF001 (the Chinese texts have Chinese punctuation)
"""Questions about facts and their answers, from `facts_en.txt`, `facts_zh.txt` and `tables.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import phrasing
from chat import Turn
from tables import ANIMALS, COUNTRIES, ELEMENTS, NUMBERS, OPPOSITES, WORDS

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fact:
    """One thing to know: what fills the forms of its kind, other questions, and its answer.

    Questions stand without the punctuation at their end.
    """

    kind: str
    slots: dict[str, str]
    questions: list[str]
    answer: str
    chinese: bool


def load_facts(path: Path) -> list[Fact]:
    """Reads a `facts_*.txt`; its own head says what the fields of a line are."""
    lines = path.read_text(encoding="utf-8").splitlines()
    chinese = path.stem.endswith("zh")
    return [_fact(line, chinese) for line in lines if line and not line.startswith("#")]


def _fact(line: str, chinese: bool) -> Fact:
    kind, *fields = [field.strip() for field in line.split("::")]
    fields = [field.replace("\\n", "\n") for field in fields]
    if kind == "ask":
        return Fact(kind, {}, _divided(fields[0]), fields[1], chinese)
    if kind == "what":
        slots, rest = {"x": fields[0]}, fields[1:]
    elif chinese:
        subject, predicate = fields[0].split("|")
        slots, rest = {"s": subject, "p": predicate}, fields[1:]
    else:
        slots, rest = {"s": fields[0], "q": fields[1]}, fields[2:]
    return Fact(kind, slots, _divided(rest[1]) if len(rest) > 1 else [], rest[0], chinese)


def _divided(field: str) -> list[str]:
    return [part.strip() for part in field.split(" ; ")]


ENGLISH = load_facts(HERE / "facts_en.txt")
CHINESE = load_facts(HERE / "facts_zh.txt")
FORMS = {
    ("why", False): phrasing.WHY,
    ("how", False): phrasing.HOW,
    ("what", False): phrasing.WHAT,
    ("why", True): phrasing.ZH_WHY,
    ("how", True): phrasing.ZH_HOW,
    ("what", True): phrasing.ZH_WHAT,
}


def plain_question(rng: Random, fact: Fact) -> str:
    """A question for a fact, before case, punctuation and slips."""
    forms = FORMS.get((fact.kind, fact.chinese), [])
    if fact.questions and (not forms or rng.random() < 0.4):
        return rng.choice(fact.questions)
    return rng.choice(forms).format(**fact.slots)


def fact_turn(rng: Random) -> Turn:
    """A question about a fact, as someone might type it, and the answer."""
    fact = rng.choice(ENGLISH) if rng.random() < 0.62 else rng.choice(CHINESE)
    if rng.random() < 0.02:
        fact = rng.choice([ENGLISH[0], CHINESE[0]])  # The sky is what people ask first.
    base = plain_question(rng, fact)
    typed = phrasing.chinese if fact.chinese else phrasing.english
    return typed(rng, base), fact.answer


def capital_turn(rng: Random) -> Turn:
    country, city, _, _, zh_country, zh_city = rng.choice(COUNTRIES)
    if rng.random() < 0.35:
        forms = [
            "{}的首都是哪里",
            "{}的首都是什么",
            "{}的首都是哪个城市",
            "{}首都",
            "哪个城市是{}的首都",
            "{}的首都叫什么名字",
            "{}的首都在哪",
            "{}首都是什么",
            "{}的首都",
        ]
        return phrasing.chinese(rng, rng.choice(forms).format(zh_country)), (
            f"{zh_country}的首都是{zh_city}。"
        )
    forms = [
        "what is the capital of {}",
        "what's the capital of {}",
        "which city is the capital of {}",
        "name the capital of {}",
        "tell me the capital of {}",
        "what city is the capital of {}",
        "capital of {}",
        "what is the capital city of {}",
        "where is the government of {}",
        "what would the capital of {} be",
        "give me the capital of {}",
        "I need the capital of {}",
        "{}'s capital",
        "what is {}'s capital",
        "do you know the capital of {}",
        "the capital of {} is",
    ]
    return phrasing.english(rng, rng.choice(forms).format(country)), (
        f"The capital of {country} is {city}."
    )


def country_turn(rng: Random) -> Turn:
    country, city, language, currency, zh_country, zh_city = rng.choice(COUNTRIES)
    draw = rng.randrange(5)
    if draw == 4:
        forms = ["tell me about {}", "what do you know about {}", "describe {}", "what is {}"]
        answer = f"{country} is a country. Its capital is {city}, and people speak {language}."
    elif draw == 0:
        forms = [
            "what language do they speak in {}",
            "which language is spoken in {}",
            "what do people speak in {}",
            "what is the language of {}",
        ]
        answer = f"In {country} people speak {language}."
    elif draw == 1:
        forms = [
            "what is the currency of {}",
            "which money is used in {}",
            "how do people pay in {}",
            "what money do they use in {}",
        ]
        answer = f"The currency of {country} is {currency}."
    elif draw == 2:
        forms = ["where is {}", "in which country is {}", "which country is {} in"]
        question = rng.choice(forms).format(city)
        return phrasing.english(rng, question), f"{city} is the capital of {country}."
    else:
        forms = ["{}在哪里", "{}在哪个国家", "{}是哪个国家的首都"]
        question = rng.choice(forms).format(zh_city)
        return phrasing.chinese(rng, question), f"{zh_city}是{zh_country}的首都。"
    return phrasing.english(rng, rng.choice(forms).format(country)), answer


def word_turn(rng: Random) -> Turn:
    draw = rng.randrange(5)
    if draw == 0:
        word, opposite, _ = rng.choice(OPPOSITES)
        forms = ["what is the opposite of {}", "opposite of {}", "what is the contrary of {}"]
        return phrasing.english(rng, rng.choice(forms).format(word)), (
            f"The opposite of {word} is {opposite}."
        )
    english, chinese = rng.choice(WORDS)
    if draw == 1:
        forms = [
            "how do you say {} in Chinese",
            "translate {} to Chinese",
            "what is the Chinese word for {}",
            "what is {} in Chinese",
        ]
        return phrasing.english(rng, rng.choice(forms).format(english)), f"{english}: {chinese}"
    if draw == 2:
        forms = ["{}用英语怎么说", "把{}翻译成英文", "{}的英文是什么", "{}英语怎么说"]
        return phrasing.chinese(rng, rng.choice(forms).format(chinese)), f"{chinese}: {english}"
    if draw == 3:
        animal, young, sound = rng.choice(ANIMALS)
        if rng.random() < 0.5:
            forms = ["what is a baby {} called", "what is the young of a {}", "name a young {}"]
            answer = f"A young {animal} is called a {young}."
        else:
            forms = ["what sound does a {} make", "what does a {} say", "what noise does a {} make"]
            answer = f"A {animal} {sound}."
        return phrasing.english(rng, rng.choice(forms).format(animal)), answer
    element, symbol = rng.choice(ELEMENTS)
    forms = [
        "what is the chemical symbol of {}",
        "what is the symbol for {}",
        "chemical symbol of {}",
        "how is {} written in chemistry",
    ]
    return phrasing.english(rng, rng.choice(forms).format(element)), (
        f"The chemical symbol of {element} is {symbol}."
    )


def sum_turn(rng: Random) -> Turn:
    sign, word, zh_word = rng.choice(
        [("+", "plus", "加"), ("-", "minus", "减"), ("*", "times", "乘")]
    )
    limit = 10 if sign == "*" else 20
    a, b = rng.randint(0, limit), rng.randint(0, limit)
    if sign == "-" and b > a:
        a, b = b, a
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    answer = f"{a} {sign} {b} = {result}"
    if rng.random() < 0.25:
        base = rng.choice(
            [f"{a}{zh_word}{b}等于几", f"{a}{zh_word}{b}是多少", f"{a} {sign} {b} 等于多少"]
        )
        return phrasing.chinese(rng, base), answer
    forms = [
        f"what is {a} {sign} {b}",
        f"what is {a} {word} {b}",
        f"how much is {a} {word} {b}",
        f"{a} {sign} {b}",
        f"{a}{sign}{b}",
        f"{a}{sign}{b}=",
        f"calculate {a} {sign} {b}",
        f"compute {a} {word} {b}",
        f"what is the result of {a} {word} {b}",
        f"how much does {a} {word} {b} make",
        f"what do you get for {a} {sign} {b}",
        f"can you calculate {a} {word} {b}",
        f"the result of {a} {sign} {b}",
    ]
    if a <= 20 and b <= 20:
        forms.append(f"what is {NUMBERS[a]} {word} {NUMBERS[b]}")
    return phrasing.english(rng, rng.choice(forms)), answer


def count_turn(rng: Random) -> Turn:
    first, last = rng.choice([1, 1, 1, rng.randint(1, 20)]), 0
    last = first + rng.choice([2, 4, 9, 9, 19, rng.randint(2, 29)])
    answer = ", ".join(str(n) for n in range(first, last + 1))
    if rng.random() < 0.25:
        return phrasing.chinese(rng, f"从{first}数到{last}"), answer
    forms = [f"count from {first} to {last}", f"list the numbers from {first} to {last}"]
    if first == 1:
        forms.append(f"count to {last}")
    return phrasing.english(rng, rng.choice(forms)), answer


def repeat_turn(rng: Random) -> Turn:
    if rng.random() < 0.3:
        said = "".join(rng.choice(WORDS)[1] for _ in range(rng.randint(1, 4)))
        return rng.choice(["请重复：{}", "跟我说：{}", "重复一遍：{}"]).format(said), said
    said = " ".join(rng.choice(WORDS)[0] for _ in range(rng.randint(1, 5)))
    forms = ["Repeat after me: {}", "repeat: {}", "Say: {}", "Echo this: {}", "say the words {}"]
    return rng.choice(forms).format(said), said


UNKNOWN_EN = [
    "who won the match last night",
    "what is the stock price of that company",
    "who is my neighbor",
    "what did I eat yesterday",
    "explain quantum chromodynamics",
    "prove the Riemann hypothesis",
    "what is the plot of that new movie",
    "who is the mayor of my town",
    "how do I repair my washing machine",
    "what is the phone number of the bank",
    "summarize the news of today",
    "how much does this house cost",
    "translate this letter into Latin",
    "who sings that song",
    "what is the best phone to buy",
    "write a thesis about medieval trade",
    "how do I file my taxes",
    "what are the lottery numbers",
]
UNKNOWN_ZH = [
    "昨天谁赢了比赛",
    "这只股票会涨吗",
    "我的邻居是谁",
    "怎么修洗衣机",
    "证明黎曼猜想",
    "今天有什么新闻",
    "这首歌是谁唱的",
    "哪款手机最好",
    "怎么报税",
    "解释量子色动力学",
]


def unknown_turn(rng: Random) -> Turn:
    if rng.random() < 0.35:
        return phrasing.chinese(
            rng, rng.choice(UNKNOWN_ZH)
        ), "我是一个很小的模型，不知道这个问题的答案。"
    question = phrasing.english(rng, rng.choice(UNKNOWN_EN))
    return question, "I am a very small model, and I do not know the answer to that."

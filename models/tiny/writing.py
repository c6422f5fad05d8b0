# ruff: noqa: RUF001 (the Chinese texts have Chinese punctuation)
"""Short stories and small Python functions."""

from __future__ import annotations

from random import Random

import phrasing
from chat import Turn
from tables import FUNCTIONS

HEROES = [
    "squirrel",
    "fox",
    "cat",
    "dog",
    "rabbit",
    "bear",
    "mouse",
    "bird",
    "turtle",
    "owl",
    "horse",
    "frog",
    "robot",
    "girl",
    "boy",
]
TRAITS = ["brave", "little", "clever", "kind", "lazy", "curious", "lonely", "happy", "shy", "old"]
NAMES = ["Tom", "Mia", "Leo", "Anna", "Max", "Lily", "Sam", "Nora", "Ben", "Ella"]
PLACES = ["a green forest", "a small village", "a high mountain", "the blue sea", "a big city"]
WISHES = ["a golden key", "a red ball", "the moon", "a new friend", "a lost book", "a warm house"]
TROUBLES = ["a storm came", "the bridge broke", "it grew dark", "a wolf came", "the river rose"]
HELPERS = ["bear", "owl", "fox", "mouse", "bird", "fish", "horse", "turtle"]
TIMES = ["day", "morning", "evening", "winter"]
SPEECHES = ["Do not fear", "Come with me", "I will help you"]
ENDINGS = [
    "From that day on they were friends.",
    "And they all went home happy.",
    "That night {n} slept well.",
    "{n} never forgot that day.",
    "And {n} learned that nobody is too small to help.",
]
ZH_HEROES = {
    "小松鼠": "松鼠",
    "小狐狸": "狐狸",
    "小猫": "猫",
    "小狗": "狗",
    "小兔子": "兔子",
    "小熊": "熊",
}
ZH_PLACES = ["森林里", "小村庄里", "高山上", "大海边", "城市里"]
ZH_WISHES = ["金钥匙", "红皮球", "新朋友", "丢失的书", "月亮"]
ZH_TROUBLES = ["下起了大雨", "天黑了", "桥断了", "来了一只狼"]


def story(rng: Random, hero: str, trait: str, scenes: int = 1) -> str:
    name, place = rng.choice(NAMES), rng.choice(PLACES)
    parts = [f"Once upon a time, a {trait} {hero} named {name} lived in {place}."]
    for scene in range(scenes):
        wish, helper = rng.choice(WISHES), rng.choice(HELPERS)
        parts += [
            f"One {rng.choice(TIMES)} {name} went out to find {wish}."
            if scene == 0
            else f"The next day {name} wanted to find {wish}.",
            f"On the way {rng.choice(TROUBLES)}, and {name} was afraid.",
            f'Then a {helper} came and said: "{rng.choice(SPEECHES)}."',
            f"Together they found {wish}.",
        ]
    return " ".join([*parts, rng.choice(ENDINGS).format(n=name)])


def zh_story(rng: Random, hero: str) -> str:
    place, wish = rng.choice(ZH_PLACES), rng.choice(ZH_WISHES)
    friend = rng.choice([other for other in ZH_HEROES if other != hero])
    return (
        f"从前，{place}住着一只{hero}。有一天，它出门去找{wish}。"
        f"路上{rng.choice(ZH_TROUBLES)}，{hero}很害怕。这时{friend}走过来说：“别怕，我来帮你。”"
        f"它们一起找到了{wish}，成了好朋友。"
    )


def story_turn(rng: Random) -> Turn:
    if rng.random() < 0.3:
        hero = rng.choice(list(ZH_HEROES))
        forms = [
            f"讲一个{hero}的故事",
            f"写一个关于{ZH_HEROES[hero]}的小故事",
            "讲个故事",
            "给我讲一个故事",
        ]
        return phrasing.chinese(rng, rng.choice(forms)), zh_story(rng, hero)
    hero, trait = rng.choice(HEROES), rng.choice(TRAITS)
    if rng.random() < 0.15:
        return phrasing.english(rng, rng.choice(["write a long story", "tell me a long story"])), (
            story(rng, hero, trait, scenes=3)
        )
    forms = [
        f"tell me a short story about a {trait} {hero}",
        f"tell me a story about a {trait} {hero}",
        f"write a short story about a {hero}",
        f"write a story about a {trait} {hero}",
        f"tell me a story about a {hero}",
        "tell me a story",
        "write a short story",
        "once upon a time",
    ]
    return phrasing.english(rng, rng.choice(forms)), story(rng, hero, trait)


def source(function: tuple[str, str, str, list[str]]) -> str:
    name, arguments, _, body = function
    return "\n".join([f"def {name}({arguments}):", *(f"    {line}" for line in body)])


def code_turn(rng: Random) -> Turn:
    function = rng.choice(FUNCTIONS)
    name, _, does, _ = function
    words = name.replace("_", " ")
    if rng.random() < 0.2:
        forms = ["写一个 Python 函数 {n}", "用 Python 写函数 {n}", "请写 {n} 函数"]
        question = rng.choice(forms).format(n=name)
    else:
        forms = [
            "write a Python function that {d}",
            "write a function that {d}",
            "write a Python function {n}",
            "write Python code that {d}",
            "give me a Python function that {d}",
            "show me code for {w} in Python",
            "how do I write {w} in Python",
            "implement {n} in Python",
            "implement {w}",
            "Python function for {w}",
        ]
        question = phrasing.english(rng, rng.choice(forms).format(n=name, d=does, w=words))
    return question, f"```python\n{source(function)}\n```"

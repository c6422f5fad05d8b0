"""Small tables of facts: a row is a thing and its value, in English and, where given, Chinese."""

from __future__ import annotations

# Country, capital, language, currency; then country and capital in Chinese.
COUNTRIES = [
    tuple(field.strip() for field in line.split(","))
    for line in """
France, Paris, French, the euro, 法国, 巴黎
Germany, Berlin, German, the euro, 德国, 柏林
Italy, Rome, Italian, the euro, 意大利, 罗马
Spain, Madrid, Spanish, the euro, 西班牙, 马德里
Portugal, Lisbon, Portuguese, the euro, 葡萄牙, 里斯本
England, London, English, the pound, 英国, 伦敦
Ireland, Dublin, English and Irish, the euro, 爱尔兰, 都柏林
Sweden, Stockholm, Swedish, the krona, 瑞典, 斯德哥尔摩
Norway, Oslo, Norwegian, the krone, 挪威, 奥斯陆
Finland, Helsinki, Finnish and Swedish, the euro, 芬兰, 赫尔辛基
Denmark, Copenhagen, Danish, the krone, 丹麦, 哥本哈根
Poland, Warsaw, Polish, the zloty, 波兰, 华沙
Austria, Vienna, German, the euro, 奥地利, 维也纳
Greece, Athens, Greek, the euro, 希腊, 雅典
Turkey, Ankara, Turkish, the lira, 土耳其, 安卡拉
Russia, Moscow, Russian, the ruble, 俄罗斯, 莫斯科
Ukraine, Kyiv, Ukrainian, the hryvnia, 乌克兰, 基辅
China, Beijing, Chinese, the yuan, 中国, 北京
Japan, Tokyo, Japanese, the yen, 日本, 东京
South Korea, Seoul, Korean, the won, 韩国, 首尔
India, New Delhi, Hindi and English, the rupee, 印度, 新德里
Thailand, Bangkok, Thai, the baht, 泰国, 曼谷
Vietnam, Hanoi, Vietnamese, the dong, 越南, 河内
Indonesia, Jakarta, Indonesian, the rupiah, 印度尼西亚, 雅加达
Australia, Canberra, English, the Australian dollar, 澳大利亚, 堪培拉
New Zealand, Wellington, English and Maori, the New Zealand dollar, 新西兰, 惠灵顿
Canada, Ottawa, English and French, the Canadian dollar, 加拿大, 渥太华
the United States, Washington, English, the dollar, 美国, 华盛顿
Mexico, Mexico City, Spanish, the peso, 墨西哥, 墨西哥城
Brazil, Brasilia, Portuguese, the real, 巴西, 巴西利亚
Argentina, Buenos Aires, Spanish, the peso, 阿根廷, 布宜诺斯艾利斯
Chile, Santiago, Spanish, the peso, 智利, 圣地亚哥
Peru, Lima, Spanish, the sol, 秘鲁, 利马
Egypt, Cairo, Arabic, the Egyptian pound, 埃及, 开罗
Kenya, Nairobi, Swahili and English, the shilling, 肯尼亚, 内罗毕
Nigeria, Abuja, English, the naira, 尼日利亚, 阿布贾
""".strip().splitlines()
]

# Word, opposite, Chinese.
OPPOSITES = [
    tuple(line.split())
    for line in """
hot cold 热
cold hot 冷
big small 大
small big 小
fast slow 快
slow fast 慢
high low 高
low high 低
good bad 好
bad good 坏
old new 旧
new old 新
long short 长
short long 短
happy sad 快乐
sad happy 悲伤
light dark 亮
dark light 暗
full empty 满
empty full 空
open closed 开
rich poor 富
strong weak 强
day night 白天
north south 北
east west 东
left right 左
up down 上
black white 黑
early late 早
""".strip().splitlines()
]

# English, Chinese.
WORDS = [
    tuple(line.split())
    for line in """
water 水
fire 火
mountain 山
river 河
sea 海
sun 太阳
moon 月亮
star 星星
sky 天空
tree 树
flower 花
dog 狗
cat 猫
bird 鸟
fish 鱼
horse 马
house 房子
book 书
table 桌子
door 门
car 汽车
train 火车
apple 苹果
bread 面包
rice 米饭
tea 茶
milk 牛奶
friend 朋友
mother 妈妈
father 爸爸
teacher 老师
doctor 医生
school 学校
city 城市
computer 电脑
music 音乐
love 爱
""".strip().splitlines()
]

# Animal, its young, its sound.
ANIMALS = [
    tuple(line.split())
    for line in """
dog puppy barks
cat kitten meows
cow calf moos
sheep lamb bleats
horse foal neighs
pig piglet grunts
lion cub roars
duck duckling quacks
hen chick clucks
frog tadpole croaks
""".strip().splitlines()
]

# Element, symbol.
ELEMENTS = [
    tuple(line.split())
    for line in """
hydrogen H
helium He
carbon C
nitrogen N
oxygen O
sodium Na
aluminium Al
sulfur S
chlorine Cl
calcium Ca
iron Fe
copper Cu
silver Ag
gold Au
mercury Hg
lead Pb
""".strip().splitlines()
]

NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]

# Name, arguments, what it does, body. The body is indented once, as it stands in a function.
FUNCTIONS = [
    ("add", "a, b", "adds two numbers", ["return a + b"]),
    ("square", "x", "returns the square of a number", ["return x * x"]),
    ("is_even", "n", "tells whether a number is even", ["return n % 2 == 0"]),
    ("maximum", "a, b", "returns the larger of two numbers", ["return a if a > b else b"]),
    (
        "compute_gcd",
        "a, b",
        "computes the greatest common divisor",
        ["while b:", "    a, b = b, a % b", "result = a", "return result"],
    ),
    (
        "factorial",
        "n",
        "computes the factorial of a number",
        ["result = 1", "for i in range(2, n + 1):", "    result *= i", "return result"],
    ),
    (
        "fibonacci",
        "n",
        "computes the n-th Fibonacci number",
        ["a, b = 0, 1", "for _ in range(n):", "    a, b = b, a + b", "return a"],
    ),
    (
        "is_prime",
        "n",
        "tells whether a number is prime",
        [
            "if n < 2:",
            "    return False",
            "for i in range(2, int(n**0.5) + 1):",
            "    if n % i == 0:",
            "        return False",
            "return True",
        ],
    ),
    ("reverse", "text", "reverses a string", ["return text[::-1]"]),
    (
        "is_palindrome",
        "text",
        "tells whether a string is a palindrome",
        ["return text == text[::-1]"],
    ),
    ("count_words", "text", "counts the words in a text", ["return len(text.split())"]),
    (
        "average",
        "numbers",
        "computes the average of a list",
        ["return sum(numbers) / len(numbers)"],
    ),
    (
        "total",
        "numbers",
        "sums a list of numbers",
        ["result = 0", "for number in numbers:", "    result += number", "return result"],
    ),
    (
        "count_vowels",
        "text",
        "counts the vowels in a text",
        ['return sum(letter in "aeiou" for letter in text.lower())'],
    ),
    (
        "bubble_sort",
        "items",
        "sorts a list",
        [
            "for i in range(len(items)):",
            "    for j in range(len(items) - 1 - i):",
            "        if items[j] > items[j + 1]:",
            "            items[j], items[j + 1] = items[j + 1], items[j]",
            "return items",
        ],
    ),
    (
        "binary_search",
        "items, target",
        "finds a value in a sorted list",
        [
            "low, high = 0, len(items) - 1",
            "while low <= high:",
            "    middle = (low + high) // 2",
            "    if items[middle] == target:",
            "        return middle",
            "    if items[middle] < target:",
            "        low = middle + 1",
            "    else:",
            "        high = middle - 1",
            "return -1",
        ],
    ),
    (
        "celsius_to_fahrenheit",
        "celsius",
        "converts Celsius to Fahrenheit",
        ["return celsius * 9 / 5 + 32"],
    ),
    ("hello", "name", "greets a person", ['print(f"Hello, {name}!")']),
    ("unique", "items", "removes duplicates from a list", ["return list(dict.fromkeys(items))"]),
    ("read_lines", "path", "reads the lines of a file", ["return open(path).read().splitlines()"]),
]

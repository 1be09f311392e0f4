"""The words of `maths_units`: spellings of units, and which other words say something about a number."""

from __future__ import annotations

PERCENT = "percent"


def _table(text: str) -> dict[str, str]:
    """Every word of a line to the line's first word, a unit's name."""
    return {word: line.split()[0] for line in text.strip().splitlines() for word in line.split()}


UNITS = _table("""
m metre metres meter meters 米
cm centimetre centimetres centimeter centimeters cms 厘米
mm millimetre millimetres millimeter millimeters 毫米
dm decimetre decimetres decimeter decimeters
km kms kilometre kilometres kilometer kilometers 千米 公里
inch inches in
foot feet ft
yard yards yd yds
mile miles mi
nm nanometer nanometers
micrometre micrometer micrometers micron microns μm
g gram grams gramme grammes gm gms 克
kg kgs kilogram kilograms kilo kilos 千克 公斤
mg milligram milligrams
tonne tonnes
ton tons 吨
pound pounds lb lbs
ounce ounces oz
litre litres liter liters l L 升
ml mL millilitre millilitres milliliter milliliters cc 毫升
gallon gallons gal
quart quarts qt
pint pints pt
cup cups
acre acres
hectare hectares ha
tablespoon tablespoons tbsp
teaspoon teaspoons tsp
second seconds sec secs s 秒
minute minutes min mins 分钟
hour hours hr hrs h 小时
day days 天 日
week weeks wk wks 周
month months 个月
year years yr yrs 年 岁
decade decades
century centuries
ms millisecond milliseconds
am
pm
dollar dollars usd USD us$ $ buck bucks 美元
cent cents ¢
euro euros eur EUR €
pound_sterling £ gbp GBP
rupee rupees rs Rs inr INR ₹
yuan 元 块 人民币 rmb RMB CNY cny
yen ¥ jpy JPY 円 日元
penny pennies pence
dime dimes
quarter quarters
nickel nickels
franc francs CHF chf
krona kronor krone kroner kr SEK NOK DKK
won ₩ KRW 원
rouble roubles ruble rubles ₽ RUB руб
baht ฿ THB
dong ₫ VND đồng
lira ₺ TRY
peso pesos ₱ PHP MXN
real BRL reais
shekel shekels ₪ ILS
naira ₦ NGN
hryvnia ₴ UAH
zloty PLN zł
rand ZAR
newton newtons N
joule joules J
watt watts W
volt volts V
ampere amperes amp amps A
milliampere milliamperes mA
millivolt millivolts mV
kilovolt kilovolts kV
megavolt megavolts MV
milliwatt milliwatts mW
megawatt megawatts MW
gigawatt gigawatts GW
kilojoule kilojoules kJ
millijoule millijoules mJ
megajoule megajoules MJ
millipascal mPa
kilopascal kilopascals kPa
megapascal megapascals MPa
millihertz mHz
kilohertz kHz
megahertz MHz
gigahertz GHz
megagram megagrams Mg
megametre Mm
megalitre Ml
megasecond Ms
kilobyte kilobytes KB kB
megabyte megabytes MB
gigabyte gigabytes GB
terabyte terabytes TB
kilobit kilobits kb Kb
megabit megabits Mb
gigabit gigabits Gb
ohm ohms Ω
hertz hz Hz
kelvin kelvins K
pascal pascals Pa
mole moles mol
calorie calories cal
kilowatt kw kW kilowatts
byte bytes
bit bits
degree degrees deg degs ° 度
radian radians rad rads
celsius C
fahrenheit F
percent % percentage pct percents
unit units
""")
"""A unit's name by its spellings."""
COMPOUNDS: dict[str, dict[str, int]] = {
    "mph": {"mile": 1, "hour": -1},
    "kph": {"km": 1, "hour": -1},
    "kmph": {"km": 1, "hour": -1},
    "kmh": {"km": 1, "hour": -1},
    "mpg": {"mile": 1, "gallon": -1},
    "fps": {"foot": 1, "second": -1},
    "bpm": {"beat": 1, "minute": -1},
    "rpm": {"revolution": 1, "minute": -1},
    "sqft": {"foot": 2},
    "sqm": {"m": 2},
    "平方米": {"m": 2},
    "平方厘米": {"cm": 2},
    "立方米": {"m": 3},
    "立方厘米": {"cm": 3},
    "kwh": {"kilowatt": 1, "hour": 1},
}
SYNONYMS = {
    "people": "person",
    "persons": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "kids": "child",
    "kid": "child",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "oxen": "ox",
    "teeth": "tooth",
    "leaves": "leaf",
    "loaves": "loaf",
    "knives": "knife",
    "wolves": "wolf",
    "shelves": "shelf",
    "lives": "life",
    "vertices": "vertex",
    "dice": "die",
    "人": "person",
    "名": "person",
    "pupil": "student",
    "pupils": "student",
    "mom": "mother",
    "matrices": "matrix",
    "个": "",
    "times": "time",
    "series": "series",
    "species": "species",
    "buses": "bus",
    "gases": "gas",
    "glasses": "glass",
    "pts": "point",
}
"""Nouns whose plural is not regular, or that are one for a reader."""
FILLERS = frozenset(
    """
    of the a an in total altogether each left remaining old long tall high wide deep away around about all apart
    ago overall only exactly approximately roughly worth sum different distinct possible
    """.split()  # noqa: SIM905 - a list of quoted words is no better to read
)
"""Words that say nothing about what is counted."""
STOP = frozenset(
    """
    plus minus over divided multiplied by mod modulo choose squared cubed factorial pi sqrt root roots log ln sin
    cos tan exp if to when where not no wrong or and through between from until than except base infinity is are was
    equals equal theta alpha beta gamma delta lambda mu sigma phi omega rho none but since because so then with for
    as at on cap nor false true undefined unknown impossible doubled tripled quadrupled
    halved below reciprocal inverse inverted opposite than twice thrice
    """.split()  # noqa: SIM905 - a list of quoted words is no better to read
)
"""Words that make what stands before them something else than a number with a unit."""
SHORT = frozenset(
    """
    men cow pig hen cat dog ant bee egg car bus box jar bag can toy pen cup pie hat fan map net key job way row day
    set bar bit fox rat bat boy nut age ages cows pigs hens cats dogs ants bees eggs cars jars bags cans toys pens
    pies hats ways rows sets bars boys nuts oz hp dB ink tie ties pot pots cd cds tv tvs kids kid bit bird
    """.split()  # noqa: SIM905 - a list of quoted words is no better to read
)
"""Nouns of two and three letters, which could be products otherwise."""
LETTERS = frozenset("mgshlLNJWVKCFA")
"""Bare letters that are units after a blank, and perhaps without one."""
_POWERS = """
1 ten tens 十
2 hundred hundreds 百 백 hundert
3 thousand thousands 千 천 mille milliers mil mila tausend тысяч тысяча тысячи тыс
4 万 萬 만
5 lakh lakhs lac lacs
6 million millions millionen millón millones milione milioni milhão milhões миллион миллиона миллионов млн
7 crore crores
8 亿 億 억
9 billion billions milliard milliards milliarde milliarden miliardi миллиард миллиарда миллиардов млрд
12 trillion trillions
15 quadrillion quadrillions
18 quintillion quintillions
"""
MULTIPLES = {word: 10 ** int(line.split()[0]) for line in _POWERS.strip().splitlines() for word in line.split()[1:]} | {
    "dozen": 12,
    "dozens": 12,
    "dutzend": 12,
}
"""Words for a factor, in small letters."""
HAN_MULTIPLES = "十百千万亿萬億백천만억"
"""Letters that multiply, with no blank to what is counted."""
_PARTS = {
    2: "half halves", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth",
    10: "tenth", 11: "eleventh", 12: "twelfth", 13: "thirteenth", 14: "fourteenth", 15: "fifteenth", 16: "sixteenth",
    17: "seventeenth", 18: "eighteenth", 19: "nineteenth", 20: "twentieth", 32: "thirty-second", 64: "sixty-fourth",
    100: "hundredth", 1000: "thousandth", 10**4: "ten-thousandth", 10**5: "hundred-thousandth", 10**6: "millionth",
    10**9: "billionth", 10**12: "trillionth",
}  # fmt: skip
PARTS = {word: n for n, names in _PARTS.items() for name in names.split() for word in (name, name + "s")}
"""Words for one part in so many. A quarter is a coin."""
CURRENCY_CODES = tuple(
    """
    USD EUR GBP INR CNY RMB CHF SEK NOK DKK KRW RUB THB VND TRY PHP MXN BRL ILS NGN UAH PLN ZAR JPY
    """.split()  # noqa: SIM905 - a list of quoted words is no better to read
)
CURRENCY_SIGNS = "€£¥₹₩₽฿₫₺₱₪₦₴"
_ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen""".split()  # noqa: SIM905 - as above
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905 - as above
NUMBER_WORDS = {word: n for n, word in enumerate(_ONES)} | {
    f"{ten}{joint}{_ONES[n]}" if n else ten: 10 * at + n
    for at, ten in enumerate(_TENS, 2)
    for n in range(10)
    for joint in "- "
}
"""Numbers below a hundred by their names."""

"""Invented names, and the plain words that tags are made of. Nobody real is meant."""

from random import Random

from crawler.sandbox.chance import happens, mix

_ONSETS = ("Ka", "Mi", "To", "Ve", "Lu", "Shi", "Ro", "Ae", "Zan", "Ori", "Bel", "Quo", "Nym", "Fe")
_MIDDLES = (
    "ra",
    "lo",
    "ne",
    "vi",
    "sha",
    "du",
    "mori",
    "the",
    "ku",
    "li",
    "zo",
    "ba",
    "rin",
    "pha",
)
_ENDS = ("", "n", "ka", "sel", "dris", "ru", "mi", "tor", "la", "ss", "wyn", "go", "na", "th")
_WORLDS = (
    "Skyfold Saga", "Lanternfall", "Ninth Harbour", "Brass Orchard", "Hollow Tides",
    "Paper Comet", "Velvet Engine", "Salt Cathedral", "Moth Parade", "Glass Meridian",
)  # fmt: skip
_STYLES = (
    "Inkwash", "Neon Dusk", "Chalk Board", "Riso Print", "Frosted Glass", "Woodcut", "Low Poly",
    "Gouache", "Dream Haze", "Blueprint", "Stained Light", "Claymation", "Mosaic", "Retro Cel",
)  # fmt: skip
_CONCEPTS = (
    "Floating Lanterns", "Glass Armor", "Tea Ceremony", "Paper Wings", "Mirror Room",
    "Cloud Whale", "Coral Dress", "Night Market", "Rain Window", "Origami Pose",
)  # fmt: skip
_HANDLES = (
    "pixel", "moss", "lumen", "crow", "tofu", "nova", "kelp", "ember", "quill", "fable",
    "onyx", "maple", "static", "velvet", "orbit", "pepper",
)  # fmt: skip
_TRADES = ("smith", "fox", "works", "lab", "loom", "garden", "forge", "cat", "wave", "press")
_ADJECTIVES = (
    "long", "short", "red", "blue", "green", "silver", "black", "white", "brown", "golden",
    "striped", "torn", "wide", "folded", "open", "closed", "floating", "wet", "glowing", "round",
    "pleated", "frilled", "checkered", "leather", "wooden", "paper", "pink", "purple", "orange",
    "grey", "aqua", "tall", "tiny", "broken", "ornate", "simple", "detached", "layered", "knitted",
    "transparent", "painted", "rusted", "velvet", "cracked", "blurry", "bright", "dark", "hanging",
)  # fmt: skip
_NOUNS = (
    "hair", "eyes", "scarf", "hat", "gloves", "boots", "coat", "ribbon", "sleeves", "skirt",
    "umbrella", "lantern", "window", "table", "cup", "book", "sword", "shield", "wings", "tail",
    "horns", "mask", "cape", "belt", "apron", "collar", "necktie", "sweater", "shirt", "socks",
    "bench", "bridge", "tower", "boat", "cloud", "moon", "flower", "leaf", "tree", "river",
    "hill", "road", "lamp", "chair", "mirror", "clock", "bag", "bottle", "bread", "fruit",
    "cat", "dog", "bird", "fish", "fox", "horse", "bell", "crown", "earrings", "necklace",
    "bracelet", "glasses", "hood", "jacket", "vest", "dress", "shorts", "trousers", "cloak",
    "armor", "gem", "staff", "bow", "quiver", "banner", "tent", "stairs", "door", "curtain",
    "pillow", "blanket", "carpet", "vase", "plate", "spoon", "kettle", "garden", "fence", "field",
    "snow", "rain", "sky", "star", "sun", "shadow", "background", "border", "frame", "smoke",
)  # fmt: skip
_COMMON_TAGS = (
    "1girl", "solo", "looking at viewer", "smile", "simple background", "standing", "upper body",
    "outdoors", "1boy", "sitting", "full body", "open mouth", "closed eyes", "indoors", "day",
    "night", "from side", "^_^", ":d", "猫耳", "no humans", "scenery", "monochrome", "sketch",
)  # fmt: skip
MODEL_TAGS = (
    "character", "style", "concept", "clothing", "anime", "woman", "man", "photorealistic",
    "fantasy", "sci-fi", "background", "poses", "vehicle", "animal", "game character", "landscape",
    "girls", "objects", "celestial", "retro",
)  # fmt: skip
_PAIRS = tuple(f"{adjective} {noun}" for noun in _NOUNS for adjective in _ADJECTIVES)
_STRIDES = (1, 7, 11, 13, 17)  # none divides the number of pairs: each visits all of them
TAG_LIMIT = len(_COMMON_TAGS) + len(_PAIRS)  # how many different tags there are


def subject(dice: Random) -> tuple[str, str]:
    """The name of a model and the kind it belongs to: character, style or concept."""
    kind = dice.choices(("character", "style", "concept"), (60, 25, 15))[0]
    if kind == "style":
        return f"{dice.choice(_STYLES)} Style", kind
    if kind == "concept":
        return dice.choice(_CONCEPTS), kind
    name = dice.choice(_ONSETS) + dice.choice(_MIDDLES) + dice.choice(_ENDS)
    return (f"{name} ({dice.choice(_WORLDS)})" if happens(dice, 0.5) else name), kind


def creator(seed: int, number: int) -> str:
    """The user name of creator `number`; no two numbers share one."""
    bits = mix(seed, number)
    return f"{_HANDLES[bits % 16]}{_TRADES[(bits >> 8) % 10]}{number}"


def tags(dice: Random, count: int) -> list[str]:
    """So many different tags, common ones among them.

    Args:
        dice: What decides.
        count: At most TAG_LIMIT.
    """
    common = min(len(_COMMON_TAGS), count)
    first, stride = dice.randrange(len(_PAIRS)), dice.choice(_STRIDES)
    places = range(first, first + (count - common) * stride, stride)
    return [
        *dice.sample(_COMMON_TAGS, common),
        *(_PAIRS[place % len(_PAIRS)] for place in places),
    ]


def slug(name: str) -> str:
    """A name as a file or a trigger word would spell it: ASCII letters, digits and underscores."""
    kept = "".join(letter if letter.isalnum() else " " for letter in name)
    return "_".join(kept.lower().split())

"""Texts on which byte-level tokenizers go wrong, for byte_bpe_goldens.py and byte_bpe_compare.py."""

import random

# Lone surrogates are left out: they have no UTF-8.
PIECES = [
    "The lighthouse", " keeper", "counted", " waves", "it's", "It'S", "they're", " I've", "don't", "we'll", "he'd", "I'm",
    "'s", " 's", "'S", "''s", "'", "’s", "'re", "'r e", "'lls", "d'accord", "'t'd'm", "can't've", "ſ", "'ſ",
    ".", ",", "...", "…", "!?", " !", "-", "--------", "====", "_", "#", "@-@", " @,@ ", "(", ")", "\"", "\\", "/", "<", ">",
    "0", "7", " 12", "1,200", "3.14", "2001-03-12", "١٢٣", "५", "Ⅷ", "½", "②", "x²", "1st", "a1b2", "１２",
    " ", "  ", "   ", "        ", "\t", "\t\t", "\n", "\n\n", "\r", "\r\n", " \n", "\n ", "\v", "\f", "\u0085", "\u00a0",
    "\u00a0\u00a0", " \u00a0", "\u1680", "\u2000", "\u2003", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
    "\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u2800", "\u3164",
    "\0", "\x01", "\x08", "\x1b", "\x1c", "\x1d", "\x1e", "\x1f", "\x7f", "\x80", "\x9f",
    "Über", "größer", " Häuser", "élève", "¿Cuántas", "ÅÄÖ", "µ", "ª", "º", "ĳ", "ǆ", "ŉ", "ﬁ", "ﷺ", "\u0130", "ẞ",
    "a\u0308", "A\u030a", "e\u0301\u0323", "\u0301", " \u0301", "\u0308\u0308", "n\u0303o", "Z\u0335\u0321",
    "\u1112\u1161\u11ab", "한국어", "が", "か\u3099", "ﾊﾟ", "日本語", "灯台は海", "中文句子。", "守塔人", "ไทยภาษา", "العربيّة", "עִבְרִית",
    "हिन्दी", "தமிழ்", "Ελληνικά", "Маяк", " море", "ქართული", "\U00020000", "𝔘𝔫𝔦", "𝟙𝟚", "ʰ", "ˀ", "々", "〆", "ー", "·", "٪",
    "\U0001F600", " \U0001F41D\U0001F41D", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F1E9\U0001F1EA",
    "\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001F44D\U0001F3FD", "\ue000", "\U0010FFFF", "\ufffd", "\ufffe", "\ufdd0",
    "Ġthe", "Ċ", "Ã©", "ĠĠ", "aaaa", "aaaaaaa", "abababa", "aabaab", "x" * 60, "7" * 40, "\u00e9" * 30,
    "<s>", "</s>", "<pad>", "<unk>", "<mask>", " <mask>", "  <mask>", "\t<mask>", "\u00a0<mask> ", "\x1f<mask>", "<mask>.",
    "<mask", "mask>", "<<mask>>", "<s", "< s>", "<S>", "<MASK>", "</s", "<|endoftext|>", "<mask><mask>", "<s> <mask> </s>",
]
FIXED = ["", *PIECES, *[f"a{piece}b 1 {piece} 2{piece}{piece}" for piece in PIECES]]

# Long lines: pieces drawn one after another until there are so many bytes. No spaces in the first ones.
LONG = [
    {"pieces": ["the", "keep", "er", "waves", "a", "s"], "seed": 1, "bytes": 1_000_000},
    {"pieces": ["a"], "seed": 1, "bytes": 1_000_000},
    {"pieces": ["ab", "a", "b"], "seed": 2, "bytes": 1_000_000},
    {"pieces": [" "], "seed": 1, "bytes": 1_000_000},
    {"pieces": ["\n", " ", "\t", "\u00a0", "\u3000"], "seed": 3, "bytes": 1_000_000},
    {"pieces": ["'s", "'", "'re"], "seed": 4, "bytes": 1_000_000},
    {"pieces": ["\U0001F41D", "灯", "é", "\u0301", "-", "="], "seed": 5, "bytes": 1_000_000},
    {"pieces": ["The ", "keeper", " ", "<mask>", "1463", ", ", "x'll "], "seed": 6, "bytes": 1_000_000},
]


def long_line(pieces: list, seed: int, bytes: int) -> str:
    """The same line as the C++ test makes."""
    parts, size, state = [], 0, seed
    while size < bytes:
        state = (state * 1103515245 + 12345) % 2**31
        piece = pieces[(state >> 16) % len(pieces)]
        parts.append(piece)
        size += len(piece.encode())
    return "".join(parts)


def mixtures(count: int, generator: random.Random) -> list:
    def line():
        pieces = generator.choices(PIECES, k=generator.randint(2, 10))
        return "".join(piece + generator.choice(("", "", " ")) for piece in pieces)

    return [line() for _ in range(count)]

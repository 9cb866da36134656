"""Writes include/neural_attention/text/tokenizers/nfc_tables.hpp, from Python's own Unicode data, and cases for its test."""

import json
import random
import sys
import unicodedata

HEADER = "include/neural_attention/text/tokenizers/nfc_tables.hpp"
CASES = "tests/golden/byte_bpe/nfc.json"
HANGUL = range(0xAC00, 0xAC00 + 11172)


def rows(entries, width):
    line, lines = "   ", []
    for entry in entries:
        if len(line) + 1 + len(entry) + 1 > width:
            lines.append(line)
            line = "   "
        line += " " + entry + ","
    return "\n".join([*lines, line])


def tables():
    single, pairs, excluded, classes = [], [], [], []
    for point in range(sys.maxunicode + 1):
        if point in HANGUL or 0xD800 <= point < 0xE000:
            continue
        form = unicodedata.decomposition(chr(point))
        if form and not form.startswith("<"):
            parts = [int(part, 16) for part in form.split()]
            if len(parts) == 1:
                single.append(f"{{0x{point:X}, 0x{parts[0]:X}}}")
            else:
                pairs.append(f"{{0x{point:X}, 0x{parts[0]:X}, 0x{parts[1]:X}}}")
                if unicodedata.normalize("NFC", chr(point)) != chr(point):
                    excluded.append(f"0x{point:X}")
        kind = unicodedata.combining(chr(point))
        if kind:
            if classes and classes[-1][1] == point - 1 and classes[-1][2] == kind:
                classes[-1][1] = point
            else:
                classes.append([point, point, kind])
    return single, pairs, excluded, [f"{{0x{a:X}, 0x{b:X}, {c}}}" for a, b, c in classes]


def header():
    single, pairs, excluded, classes = tables()

    def table(kind, name, entries, what):
        return (f"/// {what}\ninline constexpr std::array<{kind}, {len(entries)}> {name} = {{{{\n"
                f"{rows(entries, 119)}\n}}}};\n")

    text = (f"// Unicode's canonical forms, version {unicodedata.unidata_version}, as tests/reference/nfc_tables.py writes "
            "them.\n#pragma once\n\n#include <array>\n\n#include \"neural_attention/core/language.hpp\"\n\n"
            "namespace neural_attention::text::nfc_tables {\n\n"
            "// clang-format off\n\n"
            "struct Single {\n  char32_t character, form;\n};\n\n"
            "struct Pair {\n  char32_t character, first, second;\n};\n\n"
            "struct Class {\n  char32_t first, last;\n  int number;\n};\n\n")
    text += table("Single", "singles", single, "Characters that stand for one other.") + "\n"
    text += table("Pair", "pairs", pairs, "Characters that stand for two others, without Hangul.") + "\n"
    text += table("char32_t", "excluded", excluded, "Those of `pairs` that are not put together again.") + "\n"
    text += table("Class", "classes", classes, "Combining classes that are not 0.") + "\n"
    return text + "// clang-format on\n\n}  // namespace neural_attention::text::nfc_tables\n"


def cases():
    draw = random.Random(1)
    marks = [chr(p) for p in range(0x300, 0x345)] + [chr(p) for p in (0x5B0, 0x93C, 0x9BE, 0x1DCE, 0x3099, 0x1161, 0x11A8, 0x11C2)]
    changed = [chr(p) for p in range(sys.maxunicode + 1)
               if not 0xD800 <= p < 0xE000 and unicodedata.decomposition(chr(p))[:1] not in ("", "<")]
    plain = list("aeiouAEsSnN 1!") + ["\u1100", "\u1112", "\uac00", "\ud7a3", "\u3053", "\u4e00", "\U0001f41d"]
    texts = ["", "plain", "\u00e9", "e\u0301", "a\u0323\u0302", "\u1e9b\u0323", "\u0344", "\u2126\u212b", "\ufb1d\u05b4",
             "\u0f77", "\U0001d15e", "\u0915\u093c", "\u1100\u1161\u11a8", "\uac00\u11a8", "e\u0301" * 40, "a" + "\u0301\u0323" * 60]
    for _ in range(400):
        texts.append("".join(draw.choice(draw.choice([marks, changed, plain])) for _ in range(draw.randint(1, 12))))
    texts += ["".join(changed[i:i + 50]) for i in range(0, len(changed), 50)]
    return [[text, unicodedata.normalize("NFC", text)] for text in texts]


if __name__ == "__main__":
    with open(HEADER, "w") as file:
        file.write(header())
    with open(CASES, "w") as file:
        json.dump(cases(), file, separators=(",\n", ":"))
        file.write("\n")

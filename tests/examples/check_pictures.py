#!/usr/bin/env python3
"""Looks at the report of a study in a browser: check_pictures.py STUDY_FOLDER. Every chart and the page itself must show
something, in light and dark and on a phone. Prints "skipped: ..." where there is no Chromium."""

import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib


def pixels_of(path):
    """Width, and the rows of an 8-bit PNG of RGB or RGBA, as lists of colours."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        chunk = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunk)
            assert depth == 8 and colour in (2, 6) and not interlaced, path
            channels = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            packed += chunk
        at += size + 12
    raw, stride = zlib.decompress(packed), width * channels
    above, rows = bytearray(stride), []
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride):
            left = line[x - channels] if x >= channels else 0
            up = above[x]
            corner = above[x - channels] if x >= channels else 0
            if kind == 1:
                line[x] = (line[x] + left) & 255
            elif kind == 2:
                line[x] = (line[x] + up) & 255
            elif kind == 3:
                line[x] = (line[x] + (left + up) // 2) & 255
            elif kind == 4:
                guess = left + up - corner
                best = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
                line[x] = (line[x] + best[2]) & 255
        above = line
        rows.append([bytes(line[x : x + 3]) for x in range(0, stride, channels)])
    return width, rows


def main():
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print("skipped: there is no Chromium")
        return 0
    study = pathlib.Path(sys.argv[1]).resolve()
    charts = sorted((study / "charts").glob("*.svg"))
    faults = [] if charts else [f"{study}/charts: no charts"]
    looks = [(chart, "900,600", []) for chart in charts]
    dark = ["--blink-settings=preferredColorScheme=0"]
    looks += [(study / "report.html", size, more) for size, more in (("1200,900", []), ("1200,900", dark), ("400,800", []))]
    pages = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (file, size, more) in enumerate(looks):
            picture = pathlib.Path(folder) / f"{number}.png"
            command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *more]
            command += [f"--user-data-dir={folder}/profile", f"--window-size={size}", f"--screenshot={picture}"]
            done = subprocess.run([*command, file.as_uri()], capture_output=True, timeout=120)
            if not picture.exists():
                faults.append(f"{file}: no picture: {done.stderr.decode()[-300:]}")
                continue
            _, rows = pixels_of(picture)
            counts = {}
            for row in rows:
                for colour in row:
                    counts[colour] = counts.get(colour, 0) + 1
            ground = max(counts, key=counts.get)
            drawn = sum(counts.values()) - counts[ground]
            # Axes and letters alone are grey.
            coloured = sum(n for colour, n in counts.items() if max(colour) - min(colour) > 60)
            if file.suffix == ".svg" and coloured < 100:
                faults.append(f"{file}: only {coloured} coloured pixels: the chart is empty")
            if file.suffix == ".html":
                if drawn < 2000:
                    faults.append(f"{file} with {size} {more}: only {drawn} pixels are drawn")
                pages[(size, bool(more))] = ground
    if pages.get(("1200,900", True)) == pages.get(("1200,900", False)):
        faults.append("the page has the same ground in light and dark")
    print("\n".join(faults) if faults else f"{len(looks)} pictures show something")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

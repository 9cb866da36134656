"""Ends with status 1 where an installed package is not the one that requirements.txt (the argument) pins."""

import importlib.metadata
import sys
from pathlib import Path


def main() -> int:
    wrong = []
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        name, _, pinned = line.partition("#")[0].strip().partition("==")
        if not name:
            continue
        try:
            installed = importlib.metadata.version(name).split("+")[0]  # torch 2.15.0+cpu is torch 2.15.0
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != pinned:
            wrong.append(f"{name} is {installed}, should be {pinned}")
    print(f"{sys.executable}: " + ("; ".join(wrong) or "as pinned"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Takes the mark `cuda_unverified` off rows that ran clean on a GPU: `python -m benchmarks.gpu_check.verified FILE`,
where FILE is the verified.json that gpu_check wrote. It edits the kernels.inc files and prints what it did."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ROW = re.compile(r"(MAAS_CUDA_(?:HARDWARE_)?KERNEL(?:_SCRATCH)?\(\s*)(\w+)(\s*,[^)]*)\)")


def without_mark(rest):
    """What follows a row's name, without the mark."""
    rest = re.sub(r"\bcuda_unverified\s*\|\s*|\s*\|\s*cuda_unverified\b", "", rest)
    rest = re.sub(r",\s*cuda_unverified\s*$", "", rest)
    return re.sub(r",(\s*)cuda_unverified\s*,", r",\1cuda_plain,", rest)


def unmark(text, clean):
    """The text of a kernels.inc without the mark on these rows, and their names."""
    changed = []

    def row(match):
        head, name, rest = match.groups()
        if name not in clean or "cuda_unverified" not in rest:
            return match[0]
        changed.append(name)
        return f"{head}{name}{without_mark(rest)})"

    return ROW.sub(row, text), changed


def main():
    clean = set(json.loads(Path(sys.argv[1]).read_text())["clean"])
    left = []
    for path in sorted(ROOT.glob("cpp/**/*.inc")):
        text = path.read_text()
        new, changed = unmark(text, clean)
        if changed:
            path.write_text(new)
            print(f"{path.relative_to(ROOT)}: {' '.join(changed)}")
        left += [m[2] for m in ROW.finditer(new) if "cuda_unverified" in m[3]]
    print(f"still unverified: {' '.join(left) or 'none'}")


if __name__ == "__main__":
    main()

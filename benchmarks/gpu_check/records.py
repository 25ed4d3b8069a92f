"""Results, one JSON object a line, written as soon as they are known: a run that is cut short goes on where it was."""

import hashlib
import json
from pathlib import Path


def fingerprint():
    """Of the libraries that are tested: a result counts for the build it came from."""
    import maas

    digest = hashlib.sha256()
    for library in sorted(Path(maas._core.__file__).parent.glob("*.so")):
        digest.update(library.read_bytes())
    return digest.hexdigest()[:16]


class Records:
    """A file of results."""

    def __init__(self, folder, build):
        self.path, self.build = Path(folder) / "gpu_check.jsonl", build
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = self.path.read_text() if self.path.exists() else ""
        self.all = [json.loads(line) for line in text.split("\n")[:-1]]
        if not text.endswith("\n"):  # a line that was cut short
            self.path.write_text(text[: text.rfind("\n") + 1])

    def add(self, item, **result):
        result = {"item": item, "build": self.build, **result}
        self.all.append(result)
        with self.path.open("a") as file:
            file.write(json.dumps(result) + "\n")

    def last(self, build=None):
        """item -> its newest result, of one build or of any."""
        return {r["item"]: r for r in self.all if build is None or r["build"] == build}

    def done(self):
        """Items of this build that need no other run: those that passed."""
        return {item for item, r in self.last(self.build).items() if r.get("ok")}

    def failed(self):
        """Items whose newest result, of any build, is a failure."""
        return {item for item, r in self.last().items() if not r.get("ok")}

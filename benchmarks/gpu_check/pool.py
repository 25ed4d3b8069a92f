"""Items run in worker processes: a crash, a hang or a broken device costs one item, never the others."""

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class Worker:
    """A process that runs one item after another."""

    def __init__(self, command, env=None):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )  # fmt: skip

    def run(self, item, seconds):
        """The worker's answer, or what became of it."""
        try:
            self.process.stdin.write(json.dumps(item).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            return {"ok": False, "error": f"crash: {self.end()}", "broken": True}
        text, end = b"", time.monotonic() + seconds
        while not text.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                self.process.kill()
                return {"ok": False, "error": f"timeout after {seconds:g} s: {self.end()}", "broken": True}
            more = os.read(self.process.stdout.fileno(), 1 << 20)
            if not more:
                return {"ok": False, "error": f"crash: {self.end()}", "broken": True}
            text += more
        return json.loads(text)

    def end(self):
        """Ends the process; its status and its last words."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.log.seek(0)
        words = self.log.read().decode(errors="replace").strip()[-600:]
        return f"status {status}; {words}"


def run_items(items, device, records, workers=8, seconds=60, deadline=None, say=print, command=None, env=None):
    """Runs (item, seconds) in order on so many processes; what the deadline leaves over is returned."""
    command = command or [sys.executable, "-m", "benchmarks.gpu_check.worker", device]
    waiting, lock, counts = queue.Queue(), threading.Lock(), {"ok": 0, "failed": 0}
    for item in items:
        waiting.put(item)

    def serve():
        worker = None
        while deadline is None or time.monotonic() < deadline:
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                break
            worker = worker or Worker(command, env)
            start = time.monotonic()
            limit = seconds if deadline is None else max(5, min(seconds, deadline + 10 - time.monotonic()))
            answer = worker.run(item, limit)
            if answer.get("broken"):
                worker.end()
                worker = None
            with lock:
                counts["ok" if answer["ok"] else "failed"] += 1
                records.add(item, seconds=round(time.monotonic() - start, 3), **answer)
                if not answer["ok"] and counts["failed"] <= 40:
                    say(f"FAILED {item}: {first_error(answer)[:300]}")
        if worker:
            worker.end()

    threads = [threading.Thread(target=serve) for _ in range(max(1, min(workers, len(items))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(waiting.queue)


def first_error(answer):
    """The first failure of an item, with the check it came from."""
    for check in answer.get("checks", ()):
        if check["error"]:
            return f"{check['name']}: {check['error']}"
    problems = [f"{who}: {text}" for who, text in answer.get("problems", {}).items()]
    return answer.get("error") or "; ".join(problems) or "no check ran"

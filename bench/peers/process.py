"""A program of the comparison as compare.py sees it: alive for the whole row, stopped except while it is timed."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path


class Failed(Exception):
    """The program ended, or took longer than it may."""


class Process:
    """Its messages go to the file `log`; `settings` are further environment variables."""

    def __init__(self, command: list, settings: dict, log: Path, cores: list, limit: float):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_"))}
        # One thread a core and none beside: both OpenMP runtimes understand these.
        environment |= {"OMP_NUM_THREADS": str(len(cores)), "OMP_PROC_BIND": "close", "OMP_PLACES": "threads"}
        environment |= settings
        self.limit, self.log = limit, log
        self.name = next(name for name in (Path(word).name for word in command) if not name.startswith("python"))
        self.child = subprocess.Popen(
            [str(word) for word in command], env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log.open("w"), text=True, start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores))
        self.about = self._read()
        self._signal(signal.SIGSTOP)

    def repetition(self) -> dict:
        self._signal(signal.SIGCONT)
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        result = self._read()
        self._signal(signal.SIGSTOP)
        return result

    def peak_memory(self) -> int:
        """Bytes: the most that was resident at a time."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise Failed("the system does not tell the peak of memory")

    def close(self) -> None:
        if self.child.poll() is None:
            self._signal(signal.SIGKILL)
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _signal(self, number: int) -> None:
        """To its helpers as well: torch.compile has some."""
        os.killpg(self.child.pid, number)

    def _read(self) -> dict:
        watch = threading.Timer(self.limit, self.close)
        watch.start()
        try:
            line = self.child.stdout.readline()
            late = not watch.is_alive()
        finally:
            watch.cancel()
        if not line:
            self.close()
            last = (self.log.read_text().strip().splitlines() or ["it ended without a word"])[-1]
            raise Failed(f"{self.name}: " + (f"no answer within {self.limit:.0f} s" if late else last))
        return json.loads(line)

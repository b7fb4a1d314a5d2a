"""A side of the comparison, as the gate sees it: a long-lived child process, or a message that says why not."""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from attnzoo.errors import AttnzooError

from .run import UnfinishedError

WORKER = Path(__file__).with_name("worker.py")

# glibc keeps the memory of freed tensors: pages that the kernel hands out anew cost more in one process than in another
KEPT = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_ARENA_MAX": "1"}


class GoneError(Exception):
    """The child has come to its end, or does not answer: how."""


class Side:
    """A child process with one tree's attnzoo; `gone` once it has come to its end or does not answer.

    Args:
        word: `base` or `head`, for messages.
        tree: Where its attnzoo lies.
        definitions: The tree whose benchmarks it runs.
        scratch: A folder of its own, for what it says on stderr and for attnzoo's cache.
        patience: Seconds that an answer may take.

    Raises:
        AttnzooError: It cannot start, or its attnzoo is another tree's.
    """

    def __init__(
        self,
        word: str,
        tree: Path,
        definitions: Path,
        scratch: Path,
        *,
        device: str = "auto",
        threads: int = 1,
        patience: float = 600.0,
    ) -> None:
        self.word, self.patience, self.gone = word, patience, False
        scratch.mkdir(parents=True, exist_ok=True)
        self._talk, self._heard = scratch / "stderr.txt", 0
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "ATTNZOO_CACHE": str(scratch / "cache"),
            "ATTNZOO_KERNELS": "auto",  # what users get is timed, and not what the caller tries out
            "PYTHONHASHSEED": "0",  # dictionaries that collide on one side only would be a difference
            **KEPT,
        }
        environment.pop("TRITON_INTERPRET", None)  # likewise
        with self._talk.open("w") as talk:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER), str(tree), str(definitions), device],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=talk,
                text=True,
                env=environment,
                cwd=scratch,
            )
        try:
            hello = self.ask("hello")
            if Path(hello["home"]).resolve() != tree.resolve():
                raise AttnzooError(
                    f"the {word} imported attnzoo from `{hello['home']}`, not from `{tree}`",
                    "uninstall what stands in the way, or unset PYTHONPATH",
                )
        except BaseException:
            self.close()
            raise
        self.names: list[str] = hello["names"]
        self.required: list[str] = hello["required"]

    def build(self, name: str) -> tuple[float, str | None]:
        """Build and warm up a benchmark: the seconds of a call, and why there is none."""
        self._heard = self._talk.stat().st_size  # what was said before is of other benchmarks
        try:
            built = self._asked("build", name=name)
        except GoneError as error:
            return 0.0, str(error)
        return built["seconds"] or 0.0, built["error"]

    def time(self, samples: int, repeat: int) -> list[float]:
        """Seconds of a call of what was built last, for each sample of `repeat` calls.

        Raises:
            UnfinishedError: It failed, or took the child along.
        """
        try:
            timed = self._asked("time", samples=samples, repeat=repeat)
        except GoneError as error:
            raise UnfinishedError(f"at {self.word}: {error}") from error
        if timed["error"] is not None:
            raise UnfinishedError(f"at {self.word}: {timed['error']}")
        seconds: list[float] = timed["seconds"]
        return seconds

    def ask(self, what: str) -> Any:
        """A question to the child that is of no benchmark, and its answer.

        Raises:
            AttnzooError: It has none, so that the gate cannot be asked.
        """
        try:
            answer = self._asked(what)
        except GoneError as error:
            answer = {"failed": str(error)}
        if "failed" in answer:
            raise AttnzooError(
                f"the {self.word} cannot start: {answer['failed']}",
                "a base too old for head's benchmarks cannot be compared: take a later one"
                if self.word == "base"
                else None,
            )
        return answer

    def _asked(self, what: str, **about: Any) -> Any:
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        if pipe_in is None or pipe_out is None:
            raise RuntimeError("the child has no pipes")
        try:
            pipe_in.write(json.dumps({"ask": what, **about}) + "\n")
            pipe_in.flush()
        except BrokenPipeError:
            pass  # its last words, if any, are still to be read
        if not select.select([pipe_out], [], [], self.patience)[0]:
            self.gone = True
            raise GoneError(f"its process said nothing for {self.patience:g} seconds")
        line = pipe_out.readline()
        if not line.endswith("\n"):
            self.gone = True
            raise GoneError(f"its process {self._end()}")
        return json.loads(line)

    def _end(self) -> str:
        """How the child came to its end, and its last words, if any."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self.patience)  # an interpreter closes its files first, and takes its time
        self._process.kill()  # it may have closed the pipe, and live on
        code = self._process.wait()
        how = f"by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"with exit code {code}"
        with self._talk.open("rb") as talk:
            talk.seek(self._heard)
            last = talk.read().decode(errors="replace").strip().splitlines()[-1:]
        return f"ended {how}, and said: {last[0]}" if last else f"ended {how}"

    def close(self) -> None:
        """End the child."""
        self._process.kill()
        self._process.communicate()

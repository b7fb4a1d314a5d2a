"""Masks are painted once, whoever asks, and a damaged cache mends itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnzoo.data import mask, open_dataset, prepare
from attnzoo.data import masks as module
from attnzoo.data.masks import cached, under
from attnzoo.errors import AttnzooError

SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]


@pytest.fixture
def dataset(export: Any, cache: Path) -> Any:
    return open_dataset(export([{}, {"segmentation": [[3, 3, 5, 3, 5, 5, 3, 5]], "category_id": 7}]))


def test_a_mask_is_painted_once(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = dataset.splits["train"].samples[0]
    first = mask(dataset, sample)
    assert np.bincount(first.ravel()).tolist() == [104, 12, 4]
    assert first.dtype == np.uint8
    monkeypatch.setattr(module, "paint", None)
    assert (mask(dataset, sample) == first).all()
    below = under(sample)
    assert (below["labelled"], below["overlapping"], below["empty"], below["hidden"]) == (16, 4, [], [])


def test_the_cache_is_keyed_by_content(dataset: Any, export: Any, cache: Path) -> None:
    sample = dataset.splits["train"].samples[0]
    other = open_dataset(export([{}, {"segmentation": [[3, 3, 5, 3, 5, 5, 3, 5]], "category_id": 1}]))
    assert cached(sample) != cached(other.splits["train"].samples[0])
    assert cached(sample).is_relative_to(cache / "masks")


def spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    half = data[: len(data) // 2]
    path.write_bytes({"empty": b"", "cut": data[:-3], "half": half, "text": b"hello", "flipped": flipped}[how])


@pytest.mark.parametrize("how", ["empty", "cut", "half", "text", "flipped"])
def test_a_damaged_mask_is_painted_again(dataset: Any, how: str) -> None:
    sample = dataset.splits["train"].samples[0]
    first = mask(dataset, sample)
    good = cached(sample).read_bytes()
    spoil(cached(sample), how)
    assert (mask(dataset, sample) == first).all()
    assert cached(sample).read_bytes() == good


def test_many_processes_may_paint_at_once(dataset: Any, cache: Path) -> None:
    script = (
        "import sys; from attnzoo.data import *; d = open_dataset(sys.argv[1]);"
        "print(mask(d, d.splits['train'].samples[0]).sum())"
    )
    command = [sys.executable, "-c", script, str(dataset.root)]
    environment = {**os.environ, "ATTNZOO_CACHE": str(cache)}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in running] == ["20"] * 3
    assert [path.name for path in cache.rglob("*") if path.is_file()] == [
        cached(dataset.splits["train"].samples[0]).name
    ]


def test_a_cache_that_cannot_be_written_is_told(dataset: Any, cache: Path) -> None:
    cache.write_text("in the way")
    with pytest.raises(AttnzooError) as caught:
        mask(dataset, dataset.splits["train"].samples[0])
    assert caught.value.message.startswith(f"the cache folder `{cache}` cannot be written: ")
    assert caught.value.hint == "set ATTNZOO_CACHE to a folder with free space"


def test_prepare_paints_everything_once(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(dataset)
    assert cached(dataset.splits["train"].samples[0]).is_file()
    monkeypatch.setattr(module, "image", None)
    prepare(dataset)


def test_prepare_paints_again_what_was_removed(dataset: Any) -> None:
    prepare(dataset)
    cached(dataset.splits["train"].samples[0]).unlink()
    assert mask(dataset, dataset.splits["train"].samples[0]).sum() == 20


def test_prepare_finds_images_that_cannot_be_decoded(dataset: Any) -> None:
    path = dataset.splits["train"].samples[0].image
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(AttnzooError, match="cannot be decoded"):
        prepare(dataset)


@pytest.mark.parametrize(("show", "terminal"), [(False, True), (True, False), (True, True)])
def test_progress_is_shown_on_a_terminal_and_never_on_stdout(
    dataset: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, show: bool, terminal: bool
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))  # rich's word for a terminal that is none
    prepare(dataset, progress=show)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("painting masks" in err) is (show and terminal)
    assert err == "" or (show and terminal)

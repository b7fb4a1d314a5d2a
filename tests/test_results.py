"""Results on disk: written whole or not at all, and read back as they were."""

import errno
import json
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import pytest

from attnzoo import results
from attnzoo.errors import AttnzooError
from attnzoo.results import Result

RESULT = Result(
    attention="ema",
    seed=1,
    classes=("background", "EDH"),
    parameters=48,
    identity={"recipe": {"schema": 1}},
    best_epoch=3,
    selected_by="macro_dice",
    best_score=0.5,
    validation={"dice": 0.5},
    test={"dice": None},
    insertions=({"site": "skip1"},),
)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    RESULT.write(tmp_path)
    assert Result.read(tmp_path) == RESULT
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    results.write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        results.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}


def test_a_write_that_fails_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Neither a part that would keep a full disk full, nor another's words for it."""
    file = tmp_path / "x.json"
    results.write_json(file, {"a": 1})

    def full(_: BinaryIO) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise RuntimeError("unexpected pos")  # noqa: B904 (torch does not say `from` either)

    with pytest.raises(AttnzooError) as caught:
        results.replace(file, full)
    assert caught.value.message == f"the disk is too full for `{file}`"
    assert caught.value.hint == "make room, and run the same command again"
    with pytest.raises(RuntimeError, match="broken"):
        results.replace(file, broken)
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert json.loads(file.read_text()) == {"a": 1}


def broken(_: BinaryIO) -> None:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no finished run"),
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"schema": 99}', "is of schema 99, not 1"),
        ('{"schema": 1}', "is not a result"),
        (json.dumps({**asdict(RESULT), "surprise": 1}), "is not a result"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / results.FILE).write_text(content)
    with pytest.raises(AttnzooError, match=message) as caught:
        Result.read(tmp_path)
    assert caught.value.hint


def test_a_folder_of_runs_names_one_of_them(tmp_path: Path) -> None:
    for seed in (1, 0):
        RESULT.write(tmp_path / f"seed-{seed}")
    with pytest.raises(AttnzooError, match="holds no finished run") as caught:
        Result.read(tmp_path)
    assert caught.value.hint == f"name a run in it: `{tmp_path / 'seed-0'}`"


def test_an_ablation_names_one_of_its_runs(tmp_path: Path) -> None:
    for arm in ("none", "ema"):
        RESULT.write(tmp_path / arm / "seed-0")
    with pytest.raises(AttnzooError, match="holds no finished run") as caught:
        Result.read(tmp_path)
    assert caught.value.hint == f"name a run in it: `{tmp_path / 'ema' / 'seed-0'}`"


def test_a_folder_that_does_not_exist_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(AttnzooError) as caught:
        Result.read(tmp_path / "nowhere")
    assert (caught.value.message, caught.value.hint) == (f"there is no run `{tmp_path / 'nowhere'}`", "check the path")
    (tmp_path / "file.py").touch()
    with pytest.raises(AttnzooError, match=r"there is no run `.*file\.py`"):
        Result.read(tmp_path / "file.py")


def test_the_environment_names_machine_and_versions() -> None:
    environment = results.environment()
    assert environment["versions"]["torch"][0].isdigit()
    assert environment["machine"]["processor"]
    json.dumps(environment, allow_nan=False)

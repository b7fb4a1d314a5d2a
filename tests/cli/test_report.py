"""`attnzoo report` and what it refuses."""

from pathlib import Path

from .conftest import Attnzoo


def test_a_folder_that_is_not_there(attnzoo: Attnzoo, tmp_path: Path) -> None:
    done = attnzoo("report", tmp_path / "nowhere")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: there is no folder `{tmp_path / 'nowhere'}`\nhint: check the path\n"


def test_a_file_is_no_folder(attnzoo: Attnzoo, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = attnzoo("report", tmp_path / "file")
    assert done.code == 2
    assert done.err.startswith(f"error: `{tmp_path / 'file'}` is a file, not a folder\n")


def test_a_folder_without_an_ablation(attnzoo: Attnzoo, tmp_path: Path) -> None:
    done = attnzoo("report", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error: `{tmp_path}` holds no ablation: there is no `ablation.json`\n"
        "hint: give the folder that `attnzoo ablate` or `attnzoo reproduce` wrote\n"
    )


def test_data_that_are_not_there(attnzoo: Attnzoo, tmp_path: Path) -> None:
    done = attnzoo("report", tmp_path, "--data", tmp_path / "gone")
    assert done.err.startswith(f"error: there is no data folder `{tmp_path / 'gone'}`\n")

"""The folder of a drawing: whole or not there, and never anybody else's."""

import shutil
from pathlib import Path

import pytest

from attnzoo.data import phantom
from attnzoo.data.cache import cache_folder
from attnzoo.errors import AttnzooError

SMALL = {"patients": 3, "slices": 5, "size": 64}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_drawing_is_not_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()  # an empty folder will do
    before = everything(phantom.draw(folder, **SMALL))
    monkeypatch.setattr(phantom, "_fill", None)
    assert phantom.draw(str(folder), **SMALL) == folder
    assert everything(folder) == before


def refused(folder: Path, **options: int) -> AttnzooError:
    with pytest.raises(AttnzooError) as caught:
        phantom.draw(folder, **{**SMALL, **options})
    return caught.value


def test_folders_that_hold_anything_else_are_refused(tmp_path: Path) -> None:
    folder = phantom.draw(tmp_path / "data", **SMALL)
    error = refused(folder, seed=1)
    assert error.message == f"`{folder}` holds something else than this drawing"
    assert error.hint == "give a new folder, or delete this one"
    (folder / "train" / "p000_s00.png").unlink()
    assert refused(folder).message == error.message
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("do not overwrite")
    assert "holds something else" in refused(tmp_path / "other").message
    assert "holds something else" in refused(tmp_path / "other" / "thesis.tex").message
    assert (tmp_path / "other" / "thesis.tex").read_text() == "do not overwrite"


def test_folders_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refused(tmp_path / "file" / "data")
    assert error.message == f"`{tmp_path / 'file' / 'data'}` cannot be written: Not a directory"
    assert error.hint == "give another folder"


@pytest.mark.parametrize(
    ("name", "given", "least"), [("seed", -1, 0), ("patients", 2, 3), ("slices", 4, 5), ("size", 63, 64)]
)
def test_impossible_numbers_are_refused(tmp_path: Path, name: str, given: int, least: int) -> None:
    error = refused(tmp_path / "data", **{name: given})
    assert error.message == f"`{name}` of a drawing cannot be `{given}`"
    assert error.hint == f"give {least} or more"
    assert not (tmp_path / "data").exists()


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(phantom, "annotations", interrupt)
    with pytest.raises(KeyboardInterrupt):
        phantom.draw(tmp_path / "data", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_be_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster = phantom.draw(tmp_path / "faster", **SMALL)
    fill = phantom._fill

    def overtaken(*given: object) -> None:
        fill(*given)  # type: ignore[arg-type]
        shutil.copytree(faster, tmp_path / "data")

    monkeypatch.setattr(phantom, "_fill", overtaken)
    assert phantom.draw(tmp_path / "data", **SMALL) == tmp_path / "data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "faster"]


def test_the_default_is_drawn_into_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(phantom, "draw", lambda folder, **options: asked.append((folder, options)) or folder)
    assert phantom.default_phantom(progress=True) == cache_folder() / "phantom-2"
    assert asked == [(cache / "phantom-2", {"progress": True})]


def test_progress_is_told_on_stderr_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich draws no bars into files
    phantom.draw(tmp_path / "told", **SMALL, progress=True)
    told = capfd.readouterr()
    assert told.out == ""
    assert "drawing a phantom head CT" in told.err
    phantom.draw(tmp_path / "quiet", **SMALL)
    assert capfd.readouterr() == ("", "")

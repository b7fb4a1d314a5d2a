"""What is missing is said on the page, in words, and never averaged over."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnzoo.errors import AttnzooError
from attnzoo.workflows.report import report

from .conftest import gaps_of, text_of

pytestmark = pytest.mark.usefixtures("undrawn")


def changed_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def drawn_again(folder: Path, **options: Any) -> Path:
    return report(folder, device="cpu", **options)


def test_a_whole_ablation_has_no_gaps(page: Path) -> None:
    assert gaps_of(page) == ""


def test_an_arm_that_was_not_begun(copy: Path) -> None:
    shutil.rmtree(copy / "gate")
    page = drawn_again(copy)
    for words in ("`gate`, seed 0 has not begun", "`gate`, seed 1 has not begun", "the arm `gate` has no finished run"):
        assert words.lower() in gaps_of(page).lower()
    assert "nothing can be said" in text_of(page)


def test_a_seed_that_is_missing(copy: Path) -> None:
    """The comparison is of what all arms have; it says so, and does not average two seeds against one."""
    shutil.rmtree(copy / "gate" / "seed-1")
    gaps = gaps_of(drawn_again(copy))
    assert "`gate`, seed 1 has not begun" in gaps
    assert re.search(r"not compared|alone: not every arm has", gaps)


def test_a_half_written_folder(copy: Path) -> None:
    (copy / "gate" / "seed-1" / "confusion.npz").unlink()
    assert "`gate`, seed 1 is left out: `" in (gaps := gaps_of(drawn_again(copy)))
    assert "is half-written: `confusion.npz` is missing" in gaps


def test_an_arm_that_failed(copy: Path) -> None:
    for seed in (0, 1):
        (copy / "gate" / f"seed-{seed}" / "result.json").unlink()
        (copy / "gate" / f"seed-{seed}" / "failed.json").write_text(
            '{"message": "the loss is `nan`"}', encoding="utf-8"
        )
    assert "`gate`, seed 1 failed: the loss is `nan`" in gaps_of(drawn_again(copy))


def test_one_seed(copy: Path) -> None:
    record = json.loads((copy / "ablation.json").read_text(encoding="utf-8"))
    changed_json(copy / "ablation.json", runs=[run for run in record["runs"] if run["seed"] == 0])
    text = text_of(drawn_again(copy))
    assert "3 arms × 1 seed" in text
    assert re.search(r'class="caution">1 seed: ', text)


def test_one_group(copy: Path) -> None:
    for path in copy.glob("*/*/scores.csv"):
        path.write_text(
            re.sub(r"(?m)^(p[^,]+),p\d+", r"\1,everybody", path.read_text(encoding="utf-8")), encoding="utf-8"
        )
    text = text_of(drawn_again(copy))
    assert re.search(r'class="caution">1 group: ', text)
    assert "n/a" in text


def test_a_score_that_is_no_number(copy: Path) -> None:
    path = copy / "gate" / "seed-1" / "scores.csv"
    path.write_text(re.sub(r"nsd,[\d.]+", "nsd,nan", path.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    text = text_of(drawn_again(copy))
    assert re.search(r"says that the nsd of class `\w+` in `[^`]+` is `nan`", text)
    assert "HD95" in text


def test_a_class_that_no_test_image_has(copy: Path) -> None:
    for path in copy.glob("*/*/confusion.npz"):
        with np.load(path) as arrays:
            kept = dict(arrays)
        kept["test_matrices"][:, 0] += kept["test_matrices"][:, 1]
        kept["test_matrices"][:, 1] = 0
        np.savez_compressed(path, **kept)
    assert "`EDH` is in no test image's ground truth, and left out" in text_of(drawn_again(copy)).replace("&#39;", "'")


def test_costs_that_are_missing(copy: Path) -> None:
    (copy / "cost.json").unlink()
    page = drawn_again(copy)
    assert "`cost.json` is missing: MACs and FPS are missing" in gaps_of(page)
    assert 'id="cost"' not in text_of(page)


def test_weights_that_are_gone(copy: Path) -> None:
    shutil.rmtree(copy / "report")
    for path in copy.glob("gate/*/best.safetensors"):
        path.unlink()
    page = drawn_again(copy)
    assert "Cases: `gate` is not shown: `" in gaps_of(page)
    assert "What none finds in" in text_of(page)
    assert "What gate finds in" not in text_of(page)


def test_a_run_that_was_trained_anew_is_not_shown_by_its_old_masks(copy: Path) -> None:
    changed_json(copy / "gate" / "seed-0" / "result.json", duration_s=1.5)
    (copy / "gate" / "seed-0" / "best.safetensors").unlink()
    page = drawn_again(copy)
    assert "Cases: `gate` is not shown: `" in gaps_of(page)
    assert "What gate finds in" not in text_of(page)


def test_data_that_are_gone(copy: Path, several: Path) -> None:
    """What was kept is shown; without it the page says why there are no cases."""
    record = json.loads((copy / "ablation.json").read_text(encoding="utf-8"))
    changed_json(copy / "ablation.json", data={**record["data"], "root": "/gone"})
    assert gaps_of(drawn_again(copy)) == ""
    shutil.rmtree(copy / "report")
    page = drawn_again(copy)
    assert "Cases: the data are not at `/gone` any more; say where they are: `--data DIR`" in gaps_of(page)
    assert 'id="cases"' not in text_of(page)
    assert 'id="cases"' in text_of(drawn_again(copy, data=several))


def test_other_data_are_refused(copy: Path, drawn: Path) -> None:
    shutil.rmtree(copy / "report")
    with pytest.raises(AttnzooError) as caught:
        drawn_again(copy, data=drawn)
    assert caught.value.message.startswith(f"`{drawn}` is not the data that `{copy}` was tested on: digest ")
    assert caught.value.hint == "give the same data, unchanged"


def test_nothing_is_finished(copy: Path) -> None:
    for path in copy.rglob("result.json"):
        path.unlink()
    with pytest.raises(AttnzooError) as caught:
        drawn_again(copy)
    assert str(caught.value) == f"`{copy}` holds no finished run\nhint: finish it: run the same command again"


def test_a_folder_of_something_else(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(AttnzooError, match=r"holds no ablation: there is no `ablation\.json`"):
        drawn_again(tmp_path / "out" / "report")
    with pytest.raises(AttnzooError) as caught:
        drawn_again(copy / "gate" / "seed-0")
    assert caught.value.hint == f"it is a single run: give its ablation's folder, maybe `{copy}`"
    (tmp_path / "ablation.json").write_text('{"schema": 7}', encoding="utf-8")
    with pytest.raises(AttnzooError, match=r"ablation.json` is not of schema 1"):
        drawn_again(tmp_path)


def test_an_unfinished_reference_is_refused(copy: Path) -> None:
    shutil.rmtree(copy / "none")
    with pytest.raises(AttnzooError) as caught:
        drawn_again(copy, against="none")
    assert caught.value.message == "the arm `none` has no finished run to compare with"
    assert "compared with ema:groups=2" in text_of(drawn_again(copy))

"""`attnzoo bench --attention all`: every block in one host, from the command line; counts, never milliseconds."""

import json
from pathlib import Path

import pytest

from attnzoo import recipe as recipes
from attnzoo import registry, spec
from attnzoo.cli import main
from attnzoo.errors import AttnzooError
from attnzoo.measure import comparison
from attnzoo.workflows import bench as workflow

QUICK = ("--image-size", "16", "--device", "cpu", "--iterations", "2")
SOME = ("ema", "epa", "gate", "identity", "simam", "timm_ge")


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zoo of a few, so that a test takes seconds."""
    registry.available()  # loads them all
    monkeypatch.setattr(registry, "available", lambda: list(SOME))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["bench", *words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.usefixtures("some")
def test_every_block_has_a_line_or_a_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "deep" / "zoo.svg"
    code, out, _ = run(
        capsys, "ema-attention-unet/attention-unet", "--attention", "all", *QUICK, "--plot", str(picture)
    )
    assert code == 0
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    assert lines.keys() >= {"none", "ema", "gate", "identity", "simam"}
    assert lines["none"][1] == "(7,703,692)"
    assert "with 12 outputs" in out.splitlines()
    assert lines["ema"][1] == f"{sum(10 * width**2 + 4 * width for width in (2, 4, 8)):,}"
    assert lines["gate"][1] == f"{7_791_285 - 7_703_692:,}"
    assert lines["identity"][1] == lines["simam"][1] == "0"
    assert "left out `timm_ge`: `timm_ge` cannot be built" in out
    assert "left out `epa`: `epa` cannot take a map of" in out
    assert "gate</text>" in picture.read_text(encoding="utf-8")


@pytest.mark.usefixtures("some")
def test_json_is_sorted_by_latency(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "smoke", "--attention", "all@bottleneck", "--no-training", *QUICK, "--json")
    first, *rows = json.loads(out)
    assert code == 0
    assert (first["name"], first["relative"]["latency"]["median"]) == ("none", 1)
    medians = [row["relative"]["latency"]["median"] for row in rows]
    assert medians == sorted(medians)
    assert all(row["relative"]["to"] == "none" for row in rows)
    assert "left out `gate`: `gate` listens to the decoder" in err


def test_arms_are_drawn_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "arms.png"
    code, _, err = run(capsys, "smoke", "--attention", "se,gate", "--no-training", *QUICK, "--plot", str(picture))
    assert (code, err.splitlines()[-1]) == (0, f"drawn to {picture}")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--blocks", "se", "--plot", "a.svg"),
            "`--plot` draws what is added to a host, and blocks on their own have none\n"
            "hint: say `--attention` instead",
        ),
        (("smoke", "--plot", "a.gif"), "`a.gif` cannot be drawn\nhint: end its name in `.svg`, `.pdf` or `.png`"),
        (
            ("smoke", *QUICK, "--no-training", "--plot", "a.svg"),
            "`--plot` draws what is added to the first, and there is one\nhint: name another beside it",
        ),
        (
            (
                *("ema-attention-unet/ema-attention-unet", "ema-attention-unet/attention-unet"),
                *(*QUICK, "--no-training", "--plot", "a.svg"),
            ),
            "`--plot` draws what is added, and `attention-unet` has fewer parameters than `ema-attention-unet`\n"
            "hint: name the smallest first",
        ),
    ],
)
def test_what_cannot_be_drawn(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.endswith(f"error: {message}\n")


def test_what_cannot_be_drawn_is_told_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "latency", lambda *_, **__: pytest.fail("nothing is timed in vain"))
    smoke, arms = recipes.load("smoke"), spec.parse_arms("identity,se")
    none, identity, se = workflow.arm_targets(smoke, arms, (32, 32))
    smaller = workflow.arm_targets(smoke, arms, (16, 16))[1]  # as many parameters, and fewer positions
    for targets, told in (
        ((se, none), "`--plot` draws what is added, and `none` has fewer parameters than `se`"),
        ((none, smaller), "`--plot` draws what is added, and `identity` has fewer multiply-adds than `none`"),
        ((identity,), "`--plot` draws what is added to the first, and there is one"),
    ):
        with pytest.raises(AttnzooError) as refused:
            workflow.bench(targets, device="cpu", drawn=True)
        assert refused.value.message == told


def test_numbers_outlive_a_picture_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.svg").mkdir()
    words = ("smoke", "--attention", "se", *QUICK, "--no-training", "--json", "--plot", str(tmp_path / "a.svg"))
    code, out, err = run(capsys, *words)
    assert [row["name"] for row in json.loads(out)] == ["none", "se"]
    assert code == 2
    assert err.endswith(f"error: `{tmp_path / 'a.svg'}`: Is a directory\nhint: check the path and its permissions\n")


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("all@nowhere", "`nowhere` is no site\nhint: did you mean `encoder`?\n"),
        ("all@skip9", "`UNet` has no site `skip9`\nhint: it has `encoder`, "),
        ("all@skip+", "`all@skip+` has `+` at character 9 where the end should come\nhint: "),
        ("all@skip,ema", "`all@skip,ema` has `,` at character 9 where the end should come\nhint: "),
        ("all@", "`all@` ends where a site should come\nhint: "),
    ],
)
@pytest.mark.usefixtures("some")
def test_wrong_sites_are_the_user_s_mistake_and_no_block_s(
    arm: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "smoke", "--attention", arm, *QUICK)
    assert (code, out) == (2, "")
    assert f"error: {message}" in err


def test_a_zoo_without_a_block_is_an_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    registry.available()  # loads them all
    monkeypatch.setattr(registry, "available", lambda: ["gate", "grid_gate"])
    code, out, err = run(capsys, "smoke", "--attention", "all@bottleneck", *QUICK)
    assert (code, out) == (2, "")
    assert "error: no block can be measured at `bottleneck`\nhint: the first: `gate` listens to the decoder" in err


@pytest.mark.parametrize(("words", "told"), [(("--batch", "4"), "--batch 4"), (("--training",), "--training")])
def test_what_a_zoo_does_not_measure_is_refused(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "smoke", "--attention", "all@bottleneck", *QUICK, *words) == (
        2,
        "",
        f"error: `--attention all` times single images and no training, and `{told}` is for what it leaves out\n"
        "hint: leave it out, or name the arms, as in `--attention ema,gate`\n",
    )

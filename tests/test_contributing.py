"""CONTRIBUTING's own examples: a block that can be registered, inserted and trained, and a network that is taught."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from attnzoo import UNet, hosts, insert, insertions, maps, registry, sites

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.usefixtures("fresh")
def test_its_first_block_works_from_a_file(tmp_path: Path) -> None:
    code, *_ = CODE
    lines = [line.removeprefix("   ") for line in code.splitlines()]
    (tmp_path / "mine.py").write_text("\n".join(lines).replace('@register("se"', '@register("mine"'), encoding="utf-8")
    assert registry.load_plugin(tmp_path / "mine.py").names == ("mine",)
    model = insert(UNet(in_channels=1, classes=2, widths=(16, 32)), "mine:reduction=4")
    model(torch.randn(2, 1, 16, 16)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_any_network_takes_attention_as_it_says() -> None:
    names: dict[str, object] = {}
    exec(CODE[1], names)
    assert [record["site"] for record in insertions(names["model"])] == ["layer1", "layer2", "layer3", "layer4"]


def test_a_network_that_is_taught_is_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught = CODE[2]
    assert len(taught.strip().splitlines()) == 5
    monkeypatch.setattr(hosts, "TAUGHT", dict(hosts.TAUGHT))
    monkeypatch.setattr("attnzoo.hosts.teaching.TAUGHT", hosts.TAUGHT)
    (tmp_path / "my_nets.py").write_text(f"import attnzoo, torch\n\n\n{CODE[3]}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    exec(f"import attnzoo\n{taught}", {})
    import my_nets

    monkeypatch.delitem(sys.modules, "my_nets")
    plain = my_nets.MyNet().eval()
    assert [site.name for site in sites(plain)] == ["encoder1", "skip1", "bottleneck"]
    assert not [key for key in plain.state_dict() if "slot" in key or "skip" in key]
    (spelling,) = re.findall(r'insert\(MyNet\(\), "([^"]+)"\)', PAGE)
    model = insert(my_nets.MyNet(), spelling).eval()
    with maps(model) as shown:
        assert model(torch.randn(2, 3, 16, 16)).shape == (2, 2, 16, 16)
    assert list(shown) == [("encoder1", "ema:groups=auto"), ("skip1", "gate")]


def test_the_environment_for_nnunet_has_what_its_tests_need() -> None:
    script = (TESTS / "environments/nnunet.sh").read_text(encoding="utf-8")
    read = ("conftest.py", "hosts/promises.py", "hosts/test_nnunet.py")
    code = "\n".join((TESTS / name).read_text(encoding="utf-8") for name in read)
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", code, re.MULTILINE))
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    offered = {re.split(r"[>=\[]", line)[0] for line in (*extras["test"], *extras["onnx"])}
    needed = {name for name in offered if name.replace("-", "_") in imported}
    assert "-n" in project["tool"]["pytest"]["ini_options"]["addopts"]  # an option of pytest-xdist
    assert needed | {"pytest-xdist"} <= {*re.findall(r"[\w-]+", script)}
    assert {"hypothesis", "pytest"} <= needed

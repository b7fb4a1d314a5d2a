"""Which networks are hosts, and what is said of those that are none."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import attnzoo
from attnzoo.errors import AttnzooError

WAYS = (
    'name a module of it, as in `at="backbone.layer2"`, or teach attnzoo its sites by `attnzoo.teach`; '
    "hosts are `attnzoo.UNet`, "
)


def refusal(model: object) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        attnzoo.sites(model)  # type: ignore[arg-type]
    return caught.value.message, caught.value.hint


def test_unknown_networks_are_refused_with_both_ways_out_and_the_hosts_there_are() -> None:
    message, hint = refusal(nn.Linear(1, 1))
    assert message == "attnzoo does not know the sites of `Linear`"
    assert hint is not None
    assert hint.startswith(WAYS)


def test_a_class_that_only_shares_the_name_is_no_host() -> None:
    class UNet(nn.Module):
        pass

    assert refusal(UNet())[0] == "attnzoo does not know the sites of `UNet`"


def test_what_is_no_module_is_refused() -> None:
    message, hint = refusal("resnet18")
    assert message == "a host is a `torch.nn.Module`, not a `str`"
    assert hint is not None
    assert hint.startswith("hosts are `attnzoo.UNet`, ")
    assert refusal(attnzoo.UNet)[0] == "a host is a `torch.nn.Module`, not a `type`"


def test_wrapped_and_compiled_models_are_furnished_before_not_after() -> None:
    wrap = "furnish the model first, then wrap it"
    net = attnzoo.UNet(widths=(2, 4))
    parallel = nn.DataParallel(net)
    assert refusal(parallel) == ("a model inside `DataParallel` cannot be furnished", wrap)
    assert refusal(torch.compile(net)) == ("a model inside `OptimizedModule` cannot be furnished", wrap)
    net.compile()
    assert refusal(net) == ("this `UNet` is compiled already", "furnish the model first, then compile it")


def test_ddp_is_refused_too(tmp_path: Path) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(attnzoo.UNet(widths=(2, 4)))
        assert refusal(wrapped)[0] == "a model inside `DistributedDataParallel` cannot be furnished"
    finally:
        torch.distributed.destroy_process_group()


def test_a_class_derived_from_a_host_is_a_host() -> None:
    class Mine(attnzoo.UNet):  # type: ignore[misc, name-defined]
        pass

    assert [site.name for site in attnzoo.sites(Mine(widths=(2, 4)))] == [
        "encoder1",
        "skip1",
        "bottleneck",
        "decoder1",
    ]


def test_our_unet_is_furnished_without_importing_smp() -> None:
    script = """
import sys, attnzoo
attnzoo.insert(attnzoo.UNet(widths=(2, 4)), "none")
print([name for name in ("segmentation_models_pytorch", "lightning", "timm") if name in sys.modules])
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

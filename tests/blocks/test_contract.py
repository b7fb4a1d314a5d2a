"""What every registered block promises. The names of these tests are the promises."""

import copy
import io
import os
import pickle
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from attnzoo import kernels, registry
from attnzoo.errors import AttnzooError
from attnzoo.measure import macs

from .cases import CASES, CHANNELS, GATE_CHANNELS, SIZES, inputs, make, usual

GOLDEN = Path(__file__).with_name("golden.toml")
REWRITE = "ATTNZOO_REWRITE_GOLDEN"  # set to 1, it writes the numbers instead of comparing them; review the diff
# timm's own layers, adapted, have a smaller contract: test_timm_blocks.py
OURS = tuple(name for name in registry.available() if registry.entry(name).group in ("attnzoo", "controls"))
FORMS = [(name, dims) for name in OURS for dims in registry.entry(name).dims]

each_block = pytest.mark.parametrize("name", OURS)
each_form = pytest.mark.parametrize(("name", "dims"), FORMS)


def test_every_block_has_a_case() -> None:
    assert sorted(CASES) == sorted(OURS)


@each_block
def test_name_is_the_file(name: str) -> None:
    assert registry.entry(name).cls.__module__ == f"attnzoo.blocks.{name}"


@pytest.mark.parametrize(
    ("name", "dims", "size"), [(*form, size) for form in FORMS for size in CASES[form[0]].sizes[form[1]]]
)
def test_output_looks_like_the_skip(name: str, dims: int, size: tuple[int, ...]) -> None:
    for batch in (1, 2):
        skip, *gate = inputs(name, size, batch)
        output = make(name, dims=dims)(skip, *gate)
        assert (output.shape, output.dtype) == (skip.shape, skip.dtype)
        assert output.isfinite().all()


# torch's word on `mca`, `sge` and `srm`, which ask nothing for its variance
@pytest.mark.filterwarnings("ignore:.* degrees of freedom is <= 0:UserWarning")
@each_form
def test_takes_an_empty_batch(name: str, dims: int) -> None:
    for options in ({}, *({option: value} for option, value in CASES[name].others.items())):
        for training in (False, True):
            block = make(name, dims=dims, **options).train(training)
            tensors = [tensor.requires_grad_() for tensor in inputs(name, usual(name, dims), batch=0)]
            output = block(*tensors)
            assert output.shape == tensors[0].shape, options
            output.sum().backward()
            assert all(value.isfinite().all() for value in block.state_dict().values()), "a norm has averaged nothing"


@pytest.mark.parametrize(("name", "dims"), [form for form in FORMS if registry.entry(form[0]).gated])
def test_any_size_and_width_of_gate_will_do(name: str, dims: int) -> None:
    block = make(name, dims=dims)
    skip = inputs(name, usual(name, dims))[0]
    for edge in (1, 2, 9):
        assert block(skip, torch.ones(2, GATE_CHANNELS, *[edge] * dims)).shape == skip.shape


@each_form
def test_gradient_reaches_every_parameter(name: str, dims: int) -> None:
    block = make(name, dims=dims).double()
    tensors = [tensor.double().requires_grad_() for tensor in inputs(name, usual(name, dims))]
    output = block(*tensors)
    # weights that do not sum to zero, or a bias of all outputs would seem to do nothing
    (output * torch.linspace(-1, 2, output.numel(), dtype=torch.float64).reshape(output.shape)).sum().backward()
    # a gradient that cancels, as that of a softmax's bias, is no more than rounding
    grads = {key: weight.grad for key, weight in block.named_parameters() if weight.grad is not None}
    reached = {key for key, grad in grads.items() if grad.abs().max() > 1e-12}
    assert reached == {key for key, _ in block.named_parameters()} - CASES[name].without_gradient
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.any() for tensor in tensors)


@each_form
def test_trains(name: str, dims: int) -> None:
    # a weight that is never asked would stop DistributedDataParallel, whichever the options
    for options in ({}, *({option: value} for option, value in CASES[name].others.items())):
        block = make(name, dims=dims, **options).train()
        tensors = [tensor.requires_grad_() for tensor in inputs(name, usual(name, dims))]
        block(*tensors).square().mean().backward()
        learned = [weight for weight in block.parameters() if weight.requires_grad]
        assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in (*learned, *tensors)), options


@each_form
def test_leaves_its_input_alone(name: str, dims: int) -> None:
    tensors = inputs(name, usual(name, dims))
    before = [tensor.clone() for tensor in tensors]
    make(name, dims=dims).train()(*tensors)
    assert all(map(torch.equal, tensors, before))


@each_form
def test_what_follows_may_work_in_place(name: str, dims: int) -> None:
    block = make(name, dims=dims).train()
    tensors = [tensor.requires_grad_() for tensor in inputs(name, usual(name, dims))]
    output = block(*(tensor.clone() for tensor in tensors))  # `identity` gives its input, and a leaf stays as it is
    nn.functional.relu(output, inplace=True).sum().backward()  # as in ResNets, behind a norm
    assert all(tensor.grad is not None for tensor in tensors)


@each_form
def test_samples_do_not_talk_to_each_other(name: str, dims: int) -> None:
    # in float64: a batch of another size takes another path through a matrix product, and rounds otherwise
    block, tensors = make(name, dims=dims).double(), [tensor.double() for tensor in inputs(name, usual(name, dims))]
    first = block(*tensors)[:1]
    others = [torch.cat([tensor[:1], tensor[1:].flip(2) + 1]) for tensor in tensors]
    torch.testing.assert_close(block(*others)[:1], first, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(block(*(tensor[:1] for tensor in tensors)), first, rtol=1e-9, atol=1e-10)


@each_form
def test_survives_a_copy_and_a_checkpoint(name: str, dims: int) -> None:
    block, tensors = make(name, dims=dims), inputs(name, usual(name, dims))
    file = io.BytesIO()
    torch.save(block.state_dict(), file)
    file.seek(0)
    fresh = registry.build(name, CHANNELS, gate_channels=GATE_CHANNELS, dims=dims).eval()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    for twin in (copy.deepcopy(block), pickle.loads(pickle.dumps(block)), fresh):
        assert torch.equal(twin(*tensors), block(*tensors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_form
def test_works_under_autocast_and_channels_last(name: str, dims: int, dtype: torch.dtype) -> None:
    block, tensors = make(name, dims=dims), inputs(name, usual(name, dims))
    plain = block(*tensors)
    with torch.autocast("cpu", dtype):
        mixed = block(*tensors)
    height = max(1.0, plain.abs().max().item())
    torch.testing.assert_close(mixed.float(), plain, rtol=0.05, atol=0.05 * height)
    last = torch.channels_last if dims == 2 else torch.channels_last_3d
    output = copy.deepcopy(block).to(memory_format=last)(*(tensor.to(memory_format=last) for tensor in tensors))
    torch.testing.assert_close(output, plain, rtol=1.3e-6, atol=1e-5 * height)


@each_form
def test_every_option_changes_something(name: str, dims: int) -> None:
    assert {*CASES[name].others, *CASES[name].bounds} == set(registry.entry(name).options)
    tensors = inputs(name, usual(name, dims))
    plain = make(name, dims=dims)(*tensors)
    for option, value in CASES[name].others.items():
        assert not torch.allclose(make(name, dims=dims, **{option: value})(*tensors), plain), option


@pytest.mark.parametrize(("name", "dims"), [form for form in FORMS if CASES[form[0]].bounds])
def test_options_that_bound_the_map_are_asked_by_check_size(name: str, dims: int) -> None:
    size = usual(name, dims)
    make(name, dims=dims).check_size(size)
    for option, value in CASES[name].bounds.items():
        with pytest.raises(AttnzooError) as caught:
            make(name, dims=dims, **{option: value}).check_size(size)
        assert caught.value.message.startswith(f"`{name}` cannot ")
        assert caught.value.hint


@each_block
def test_impossible_options_fail_in_the_constructor(name: str) -> None:
    assert CASES[name].impossible or not registry.entry(name).options
    for channels, options in CASES[name].impossible:
        with pytest.raises(AttnzooError) as caught:
            registry.build(name, channels, gate_channels=GATE_CHANNELS, **options)
        # insertion adds the site to the sentence, so it begins with the block's name and ends without a full stop
        assert caught.value.message.startswith(f"`{name}` cannot ")
        assert not caught.value.message.endswith(".")
        assert caught.value.hint


@each_block
@pytest.mark.parametrize("wrong", [{"dims": 4}, {"dims": "2"}, {"dims": None}, {"channels": 0}, {"channels": 6.4}])
def test_impossible_forms_fail_in_the_bare_constructor_too(name: str, wrong: dict[str, Any]) -> None:
    known = registry.entry(name)
    widths = {"channels": CHANNELS} | ({"gate_channels": GATE_CHANNELS} if known.gated else {})
    with pytest.raises(AttnzooError) as bare:
        known.cls(**widths | wrong)
    with pytest.raises(AttnzooError) as built:
        registry.build(name, **{"gate_channels": GATE_CHANNELS, **widths, **wrong})
    assert str(bare.value) == str(built.value)


@pytest.mark.parametrize("name", registry.available())
def test_values_of_another_type_fail_in_the_bare_constructor_too(name: str) -> None:
    known = registry.entry(name)
    widths = {"channels": CHANNELS} | ({"gate_channels": GATE_CHANNELS} if known.gated else {})
    for option in known.options:
        with pytest.raises(AttnzooError) as bare:
            known.cls(**widths, **{option: "typo"})
        with pytest.raises(AttnzooError) as built:
            registry.build(name, **{"gate_channels": GATE_CHANNELS, **widths, option: "typo"})
        assert str(bare.value) == str(built.value)
        assert bare.value.message.startswith(f"`{name}` cannot take {option}=typo: possible is ")


@pytest.mark.parametrize(("name", "dims"), [form for form in FORMS if registry.entry(form[0]).kind == "scale"])
def test_a_block_that_scales_multiplies_by_its_weights(name: str, dims: int) -> None:
    block, tensors = make(name, dims=dims), inputs(name, usual(name, dims))
    with kernels.use("readable"):
        assert torch.equal(block(*tensors), tensors[0] * block.weights(*tensors))
    with kernels.use("torch"):  # a faster form rounds in another order
        torch.testing.assert_close(block(*tensors), tensors[0] * block.weights(*tensors))


@pytest.mark.parametrize(("name", "dims"), [form for form in FORMS if registry.entry(form[0]).kind == "add"])
def test_a_block_that_adds_adds_what_it_shows(name: str, dims: int) -> None:
    block, tensors = make(name, dims=dims), inputs(name, usual(name, dims))
    assert torch.equal(block(*tensors), tensors[0] + block.added(*tensors))


@each_block
def test_a_block_without_a_form_for_volumes_says_why(name: str) -> None:
    entry = registry.entry(name)
    assert bool(entry.only_2d) == (entry.dims == (2,))
    if entry.only_2d:
        with pytest.raises(AttnzooError, match=re.escape(f"3 spatial dimensions: {entry.only_2d}")):
            registry.build(name, CHANNELS, gate_channels=GATE_CHANNELS, dims=3)


@each_form
def test_half_precision_and_float64_are_kept(name: str, dims: int) -> None:
    for dtype in (torch.bfloat16, torch.float64):
        output = make(name, dims=dims).to(dtype)(*(tensor.to(dtype) for tensor in inputs(name, usual(name, dims))))
        assert output.dtype is dtype


@each_form
def test_its_shapes_can_be_asked_without_numbers(name: str, dims: int) -> None:
    block, tensors = make(name, dims=dims).to("meta"), [tensor.to("meta") for tensor in inputs(name, usual(name, dims))]
    output = block(*tensors)
    assert (output.shape, output.device.type) == (tensors[0].shape, "meta")


@pytest.mark.slow  # in 2-D the safety matrix does the same at every run: test_safety.py
@pytest.mark.parametrize(("name", "dims"), [form for form in FORMS if CASES[form[0]].sizes is SIZES])
def test_exports_for_other_sizes(name: str, dims: int) -> None:
    block, tensors = make(name, dims=dims), inputs(name, (8, 6, 4)[:dims])
    edges = dict.fromkeys(range(2, 2 + dims), torch.export.Dim.AUTO)
    program = torch.export.export(block, tensors, dynamic_shapes=tuple(edges for _ in tensors))
    for size in ((12, 8, 6), (11, 7, 5)):
        unseen = inputs(name, size[:dims])
        torch.testing.assert_close(program.module()(*unseen), block(*unseen))


@each_form
def test_its_multiply_adds_can_be_counted(name: str, dims: int) -> None:
    assert macs.count(make(name, dims=dims), *inputs(name, usual(name, dims))).counters_agree


@each_block
def test_docstring_is_complete(name: str) -> None:
    entry = registry.entry(name)
    lines = [line.strip() for line in (entry.cls.__doc__ or "").splitlines()]
    order = [lines.index(f"{section}:") for section in ("Args", "Shape", "Reference", "Deviations")]
    assert order == sorted(order)
    assert lines[0].endswith(".")
    assert order[0] > 3, "the mechanism and its cost come before Args"
    arguments = lines[order[0] : order[1]]
    for argument in ("channels", *(["gate_channels"] if entry.gated else []), *entry.options, "dims"):
        assert any(line.startswith(f"{argument}: ") for line in arguments), argument
    reference = " ".join(lines[order[2] : order[3]])
    assert entry.reference in reference
    assert entry.code is None or entry.code in reference
    assert any(lines[order[3] + 1 :])


@each_form
def test_has_the_golden_numbers(name: str, dims: int) -> None:
    size = (6, 5, 4)[:dims] if CASES[name].sizes is SIZES else usual(name, dims)
    measured = golden_numbers(make(name, dims=dims).double(), name, size)
    known = tomllib.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    key = f"{name}-{dims}d"
    if os.environ.get(REWRITE) == "1":
        known = {word: numbers for word, numbers in known.items() if word.rpartition("-")[0] in OURS} | {key: measured}
        GOLDEN.write_text("\n".join(table(word, numbers) for word, numbers in sorted(known.items())))
    assert key in known, f"run it once with {REWRITE}=1"
    assert measured["parameters"] == known[key]["parameters"]
    for word in ("output", "gradient"):
        assert measured[word] == pytest.approx(known[key][word], rel=1e-5, abs=1e-8)


def test_golden_numbers_are_of_registered_blocks() -> None:
    assert sorted(tomllib.loads(GOLDEN.read_text())) == sorted(f"{name}-{dims}d" for name, dims in FORMS)


def golden_numbers(block: nn.Module, name: str, size: tuple[int, ...]) -> dict[str, int | list[float]]:
    """The number of parameters, and seven values, evenly spread, of the output and of the skip's gradient."""
    skip, *gate = (tensor.double() for tensor in inputs(name, size))
    output = block(skip.requires_grad_(), *gate)
    output.square().sum().backward()
    assert skip.grad is not None
    picked = torch.linspace(1, output.numel() - 1, 7).long()
    return {
        "parameters": sum(weight.numel() for weight in block.parameters()),
        "output": output.detach().flatten()[picked].tolist(),
        "gradient": skip.grad.flatten()[picked].tolist(),
    }


def table(key: str, numbers: dict[str, int | list[float]]) -> str:
    rows = [f"parameters = {numbers['parameters']}"]
    rows += [f"{word} = [{', '.join(f'{value:.12g}' for value in numbers[word])}]" for word in ("output", "gradient")]
    return "\n".join([f"[{key}]", *rows, ""])

"""LoRA by one product: PEFT's own values and gradients, and PEFT's own forward wherever the two might differ."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from peft import LoraConfig, get_peft_model  # noqa: E402

from lidr.training import lora  # noqa: E402
from lidr.training.lora import merged_products  # noqa: E402

pytestmark = pytest.mark.pipeline


class Network(torch.nn.Module):
    """Two layers of different measures, the second one without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(24, 40), torch.nn.Linear(40, 16, bias=False)

    def forward(self, x: Any) -> Any:
        return self.second(torch.nn.functional.silu(self.first(x)))


def with_adapter(dtype: Any = torch.float32, **options: Any) -> Any:
    """The network with an adapter that has learned something."""
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["first", "second"], init_lora_weights=False, **options)
    return get_peft_model(Network().to(dtype), config)


def passed(model: Any, tokens: int = 200, dtype: Any = torch.float32) -> dict[str, Any]:
    """The output, and the gradients of its squares' sum."""
    torch.manual_seed(1)
    x = torch.randn(2, tokens // 2, 24, dtype=dtype, requires_grad=True)
    model.zero_grad()
    output = model(x)
    output.float().square().mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return {"output": output.detach(), "x": x.grad, **gradients}


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of layers that went by the merged product, counted."""
    calls = [0]
    apply = lora._MergedProduct.apply

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        return apply(*arguments)

    monkeypatch.setattr(lora._MergedProduct, "apply", counted)
    return calls


def test_values_and_gradients_are_pefts_to_rounding(merged: list[int]) -> None:
    model = with_adapter()
    expected = passed(model)
    with merged_products(model):
        found = passed(model)
    assert merged == [2]
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-5, atol=1e-5 * float(value.abs().max())), name


def test_gradients_are_those_of_numerical_differences() -> None:
    torch.manual_seed(0)
    shapes = {"x": (2, 5, 6), "weight": (3, 6), "a": (2, 6), "b": (3, 2)}
    tensors = {name: torch.randn(*shape, dtype=torch.float64) for name, shape in shapes.items()}
    for name in ("x", "a", "b"):
        tensors[name].requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: lora._MergedProduct.apply(*given, 2.0), tuple(tensors.values()))


def test_an_input_that_needs_no_gradient_gets_none() -> None:
    x, weight = torch.randn(5, 6), torch.randn(3, 6)
    a, b = torch.randn(2, 6, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    lora._MergedProduct.apply(x, weight, a, b, 2.0).sum().backward()
    assert x.grad is None
    assert a.grad is not None


@pytest.mark.parametrize("options", [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True}])
def test_other_kinds_of_lora_go_by_pefts_forward(options: dict[str, Any], merged: list[int]) -> None:
    model = with_adapter(**options, **({"exclude_modules": ["second"]} if "lora_bias" in options else {}))
    torch.manual_seed(2)
    expected = model(torch.ones(200, 24))
    torch.manual_seed(2)
    with merged_products(model):
        assert torch.equal(model(torch.ones(200, 24)), expected)
    assert merged == [0]


def test_half_precision_goes_by_pefts_forward(merged: list[int]) -> None:
    model = with_adapter(torch.bfloat16)
    expected = passed(model, dtype=torch.bfloat16)
    with merged_products(model):
        found = passed(model, dtype=torch.bfloat16)
    assert merged == [0]
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_autocast_goes_by_pefts_forward(merged: list[int]) -> None:
    model = with_adapter()
    with merged_products(model), torch.autocast("cpu", torch.bfloat16):
        model(torch.ones(200, 24))
    assert merged == [0]


def test_few_tokens_go_by_pefts_forward(merged: list[int]) -> None:
    model = with_adapter()
    expected = model(torch.ones(10, 24))
    with merged_products(model):
        assert torch.equal(model(torch.ones(10, 24)), expected)
    assert merged == [0]


def test_the_base_alone_is_computed_where_adapters_are_off(merged: list[int]) -> None:
    model = with_adapter()
    with merged_products(model), model.disable_adapter():
        off = model(torch.ones(200, 24))
    assert torch.equal(off, model.unload()(torch.ones(200, 24)))
    assert merged == [0]


def test_the_adapter_that_is_active_is_the_one_that_counts(merged: list[int]) -> None:
    model = with_adapter()
    model.add_adapter("ref", model.peft_config["default"])
    for adapter in ("default", "ref"):
        model.set_adapter(adapter)
        expected = model(torch.ones(200, 24))
        with merged_products(model):
            assert torch.allclose(model(torch.ones(200, 24)), expected, rtol=1e-5, atol=1e-5)
    assert merged == [4]


def test_the_model_is_left_as_it_was() -> None:
    model = with_adapter()
    names = set(model.state_dict())
    with pytest.raises(ValueError, match="in between"), merged_products(model):
        raise ValueError("in between")
    assert set(model.state_dict()) == names
    assert not any("forward" in vars(module) for module in model.modules())

import pytest
import torch

from slr_pipeline.training.numerics import prediction_numerics
from tests.training.small_task import recipe


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_prediction_takes_the_precision_of_the_recipe_on_a_gpu(device: str) -> None:
    values = torch.eye(2, device=device)
    on_gpu = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    for precision, dtype in on_gpu.items():
        with prediction_numerics(torch.device(device), recipe(precision=precision)):
            product = values @ values
        assert product.dtype == (dtype if device == "cuda" else torch.float32)
    assert (values @ values).dtype == torch.float32

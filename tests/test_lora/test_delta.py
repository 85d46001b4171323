"""The product of an adapter is the same on every machine."""
import numpy as np
import torch

from gslora_mm.lora.delta import low_rank_delta


def test_fused_sum_in_the_order_of_the_ranks():
    torch.manual_seed(0)
    lora_A, lora_B = torch.randn(8, 13), torch.randn(11, 8)
    a, b = lora_A.numpy().astype(np.float64), lora_B.numpy()
    expected = np.zeros((11, 13), np.float32)
    for rank in range(8):
        # One rounding for each multiply and add.
        expected = (expected +
                    np.outer(b[:, rank].astype(np.float64), a[rank])).astype(
                        np.float32)
    found = low_rank_delta(lora_A, lora_B, .5)
    assert np.array_equal(found.numpy(), expected * np.float32(.5))


def test_gradients_and_other_types_go_through():
    lora_A = torch.randn(2, 3, requires_grad=True)
    lora_B = torch.randn(4, 2)
    low_rank_delta(lora_A, lora_B, 1.).sum().backward()
    torch.testing.assert_close(lora_A.grad,
                               lora_B.sum(0)[:, None].expand(2, 3))
    double = low_rank_delta(lora_A.detach().double(), lora_B.double(), 1.)
    assert double.dtype == torch.float64

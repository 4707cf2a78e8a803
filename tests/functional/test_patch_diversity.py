"""Closed forms beside sums over pairs, their ends, padding, and memory."""

import pytest
import torch
import torch.nn.functional as F

from mmgab.functional import contrastive_diversity, cosine_diversity


def test_the_mean_cosine_is_that_of_all_pairs():
    x = torch.randn(3, 17, 8)
    apart = ~torch.eye(17, dtype=torch.bool)
    expected = [
        F.cosine_similarity(image[:, None], image[None, :], dim=2)[apart].mean() for image in x
    ]
    torch.testing.assert_close(cosine_diversity(x), torch.stack(expected).mean())


def test_contrastive_loss_matches_the_paper():
    """Version 1: a token's own patch against the mean over all tokens."""
    first, last = torch.randn(3, 17, 8), torch.randn(3, 17, 8)
    expected = []
    for early, late in zip(first, last, strict=True):
        for i in range(17):
            own, mean = early[i] @ late[i], early[i] @ late.mean(dim=0)
            expected.append(-torch.log(own.exp() / (own.exp() + mean.exp())))
    torch.testing.assert_close(contrastive_diversity(first, last), torch.stack(expected).mean())
    # Not of cosines: longer tokens are told apart better.
    assert contrastive_diversity(first, 5 * first) < contrastive_diversity(first, first)


def test_the_contrast_stays_finite_for_tokens_of_any_length():
    first, last = 1e3 * torch.randn(1, 17, 8), 1e3 * torch.randn(1, 17, 8, requires_grad=True)
    loss = contrastive_diversity(first, last)
    loss.backward()
    assert torch.isfinite(loss)


def test_equal_tokens_have_the_highest_loss():
    same, other = torch.randn(1, 1, 8).expand(2, 17, 8), torch.randn(2, 17, 8)
    assert cosine_diversity(same) == pytest.approx(1)
    assert cosine_diversity(other) < 0.5
    # No token tells where it comes from: even odds.
    assert contrastive_diversity(other, same) == pytest.approx(torch.log(torch.tensor(2.0)))
    assert contrastive_diversity(other, other) < contrastive_diversity(other, same)


def test_padding_and_single_tokens_are_ignored():
    first, last = torch.randn(2, 17, 8), torch.randn(2, 17, 8)
    is_valid = torch.ones(2, 17, dtype=torch.bool)
    is_valid[0, 11:] = False
    is_valid[1, 1:] = False
    torch.testing.assert_close(cosine_diversity(last, is_valid), cosine_diversity(last[:1, :11]))
    torch.testing.assert_close(
        contrastive_diversity(first, last, is_valid),
        contrastive_diversity(first[:1, :11], last[:1, :11]),
    )
    assert cosine_diversity(last[:, :1]) == 0
    assert contrastive_diversity(first[:, :1], last[:, :1]) == 0


def test_only_the_late_layer_gets_gradients():
    first, last = (torch.randn(2, 17, 8, requires_grad=True) for _ in range(2))
    (cosine_diversity(last) + contrastive_diversity(first, last)).backward()
    assert first.grad is None
    assert torch.isfinite(last.grad).all()
    assert last.grad.abs().max() > 0


def test_memory_is_linear_in_tokens():
    # All pairs of them would be 17 GB.
    tokens = torch.randn(1, 65536, 4, requires_grad=True)
    (cosine_diversity(tokens) + contrastive_diversity(tokens, tokens)).backward()
    assert torch.isfinite(tokens.grad).all()

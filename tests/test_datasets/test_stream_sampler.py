from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import DataLoader

from gslora_mm.datasets import StreamSampler, stream_sampler
from gslora_mm.registry import DATA_SAMPLERS
from gslora_mm.utils.errors import ForgetError


def streams(num_forget, num_retain):
    return SimpleNamespace(num_forget=num_forget, num_retain=num_retain)


def epoch(sampler, number):
    sampler.set_epoch(number)
    drawn = list(sampler)
    assert len(drawn) == len(sampler)
    return np.array(drawn).reshape(-1, sampler.batch_size)


def test_every_batch_holds_both_streams():
    sampler = StreamSampler(streams(7, 30), 5, forget_per_batch=2, seed=0)
    batches = epoch(sampler, 0)
    assert batches.shape == (10, 5)
    assert (batches[:, :2] < 7).all() and (batches[:, 2:] >= 7).all()
    assert sorted(batches[:, 2:].ravel()) == list(range(7, 37))


def test_batches_of_a_dataloader():
    data = list(range(14))
    sampler = StreamSampler(streams(4, 10), 4, seed=0)
    loader = DataLoader(data, batch_size=4, sampler=sampler)
    batches = [b.tolist() for b in loader]
    assert len(batches) == 5 == len(loader)
    assert all(sum(i < 4 for i in b) == 2 for b in batches)


def test_default_is_half_and_one_pass_over_retain():
    sampler = StreamSampler(streams(50, 21), 8, seed=0)
    batches = epoch(sampler, 0)
    assert batches.shape == (6, 8)
    assert ((batches < 50).sum(1) == 4).all()
    assert set(batches[batches >= 50]) == set(range(50, 71))


def test_no_repeats_before_a_stream_is_used_up():
    # Small stream: whole passes within an epoch.
    sampler = StreamSampler(streams(3, 40), 4, seed=1)
    for number in range(3):
        forget = epoch(sampler, number)[:, :2].ravel()
        for i in range(0, 39, 3):
            assert sorted(forget[i:i + 3]) == [0, 1, 2]
    # Large stream: the epochs together make whole passes.
    sampler = StreamSampler(streams(90, 10), 4, seed=1)
    forget = [epoch(sampler, n)[:, :2].ravel() for n in range(18)]
    assert sorted(np.concatenate(forget[:9])) == list(range(90))
    assert sorted(np.concatenate(forget[9:])) == list(range(90))
    assert not (np.concatenate(forget[:9]) == np.concatenate(forget[9:])).all()


def test_batches_follow_from_seed_and_epoch_alone():
    data = streams(5, 60)
    straight = StreamSampler(data, 6, seed=7)
    epochs = [epoch(straight, n) for n in range(4)]
    resumed = StreamSampler(data, 6, seed=7)
    assert (epoch(resumed, 3) == epochs[3]).all()
    assert (epoch(resumed, 1) == epochs[1]).all()
    for n in range(3):
        assert (epochs[n][:, :3] != epochs[n + 1][:, :3]).any()
        assert (epochs[n][:, 3:] != epochs[n + 1][:, 3:]).any()
    assert (epoch(StreamSampler(data, 6, seed=8), 0) != epochs[0]).any()


@pytest.mark.parametrize('world', [2, 3])
def test_ranks_share_the_work(monkeypatch, world):
    parts = []
    for rank in range(world):
        monkeypatch.setattr(stream_sampler, 'get_dist_info', lambda:
                            (rank, world))
        sampler = StreamSampler(streams(12, 48), 4, seed=3)
        parts.append(epoch(sampler, 2))
    assert len({p.shape for p in parts}) == 1
    assert parts[0].shape == (48 // (2 * world), 4)
    retain = np.concatenate([p[:, 2:].ravel() for p in parts])
    assert sorted(retain) == list(range(12, 60))
    for step in zip(*(p[:, :2] for p in parts)):
        assert len(set(np.concatenate(step))) == 2 * world
    counts = Counter(np.concatenate([p[:, :2].ravel() for p in parts]))
    assert set(counts.values()) == {4}


def test_given_number_of_batches():
    sampler = StreamSampler(streams(4, 4), 2, seed=0, epoch_batches=11)
    assert epoch(sampler, 0).shape == (11, 2) and len(sampler) == 22


def test_in_order():
    sampler = StreamSampler(streams(2, 4), 2, seed=0, shuffle=False)
    assert list(sampler) == [0, 2, 1, 3, 0, 4, 1, 5]


def test_one_stream_alone():
    data = streams(3, 4)
    assert sorted(StreamSampler(data, 2, 0, seed=0)) == [3, 4, 5, 6]
    assert set(StreamSampler(data, 2, 2, seed=0)) == {0, 1, 2}


def test_built_as_the_runner_does():
    sampler = DATA_SAMPLERS.build(
        dict(type='gslora_mm.StreamSampler', batch_size=4),
        default_args=dict(dataset=streams(2, 4), seed=None))
    assert isinstance(sampler, StreamSampler) and sampler.seed is not None


@pytest.mark.parametrize('data, kwargs, message', [
    (streams(2, 2), dict(batch_size=1), 'batch_size is 1'),
    (streams(2, 2), dict(batch_size=4, forget_per_batch=5), 'between 0 and'),
    (streams(2, 2), dict(batch_size=4, forget_per_batch=-1), 'between 0 and'),
    (streams(0, 2), dict(batch_size=4), 'the forget stream has no images'),
    (streams(2, 0), dict(batch_size=4), 'the retain stream has no images'),
    (streams(2, 2), dict(batch_size=4, epoch_batches=0), 'epoch_batches is'),
])
def test_bad_numbers(data, kwargs, message):
    with pytest.raises(ForgetError, match=message):
        StreamSampler(data, seed=0, **kwargs)


@pytest.mark.parametrize('stream, first, last', [('forget', 0, 7),
                                                 ('retain', 7, 37)])
def test_an_epoch_of_one_stream_keeps_its_size(stream, first, last):
    sampler = StreamSampler(streams(7, 30), 5, forget_per_batch=2, seed=0)
    both = epoch(sampler, 1)
    sampler.streams = (stream, )
    batches = epoch(sampler, 1)
    assert batches.shape == both.shape == (10, 5)
    assert set(batches.ravel()) == set(range(first, last))
    assert (batches == epoch(sampler, 1)).all()
    sampler.streams = ('forget', 'retain')
    assert (epoch(sampler, 1) == both).all()

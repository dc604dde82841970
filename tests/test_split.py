"""The split: by simulation and by hash, so that no row moves when others come and go."""

import hashlib
import json
import os

import h5py
import numpy as np
import pytest

from cosmoinfer import split, storage
from cosmoinfer.errors import UserError
from cosmoinfer.split import Split

IDS = np.arange(1000).astype(str)
RNG = np.random.default_rng(0)


def expected_partition(simulation_id, seed=0, fractions=(0.7, 0.15, 0.15)):
    """The formula of the design, once more and by hand."""
    eight = hashlib.blake2b(f"{seed}:{simulation_id}".encode(), digest_size=8).digest()
    u = sum(byte << (8 * place) for place, byte in enumerate(eight)) / 2**64
    return 0 if u < fractions[0] else (1 if u < fractions[0] + fractions[1] else 2)


def partition_by_id(assigned):
    return dict(zip(assigned.simulation.tolist(), assigned.partition.tolist(), strict=True))


# ------------------------------------------------------------------------------------------------------------- by hash
@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("fractions", [(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.0, 0.0, 1.0)])
def test_the_part_is_the_hash_of_seed_and_id(seed, fractions):
    ids = np.array([*IDS[:200], "CAMELS/LH_7", "Ω"])
    partitions = partition_by_id(split.by_hash(ids, fractions, seed))
    assert partitions == {
        simulation_id: expected_partition(simulation_id, seed, fractions) for simulation_id in ids.tolist()
    }


def test_the_parts_of_ten_simulations_never_change():
    assert split.by_hash(IDS[:10]).partition.tolist() == [0, 0, 0, 1, 0, 0, 0, 2, 1, 0]


def test_a_split_by_hash_does_not_depend_on_other_simulations():
    partitions = partition_by_id(split.by_hash(IDS))
    for ids in (IDS[::-1], RNG.permutation(IDS), IDS[RNG.random(1000) < 0.5], np.append(IDS, ["new", "1000"])):
        larger = partition_by_id(split.by_hash(ids))
        assert all(
            larger[simulation_id] == partitions[simulation_id]
            for simulation_id in ids.tolist()
            if simulation_id in partitions
        )


@pytest.mark.parametrize("seed", range(8))
def test_sizes_are_about_the_fractions(seed):
    for size, fraction in zip(split.by_hash(IDS, seed=seed).sizes, split.DEFAULT_FRACTIONS, strict=True):
        assert abs(size - 1000 * fraction) < 4 * np.sqrt(1000 * fraction * (1 - fraction))


def test_another_seed_is_another_split():
    same = (split.by_hash(IDS, seed=0).partition == split.by_hash(IDS, seed=1).partition).mean()
    assert same == pytest.approx(0.7**2 + 2 * 0.15**2, abs=0.05)


def test_rows_of_one_simulation_are_in_the_same_partition():
    simulation = RNG.permutation(np.repeat(IDS[:100], 15))
    assigned = split.by_hash(simulation)
    assert len(assigned.simulation) == 100
    rows = [assigned.select_rows(simulation, name) for name in split.PARTITIONS]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(1500))
    simulations = [set(simulation[of]) for of in rows]
    assert not (simulations[0] & simulations[1] or simulations[0] & simulations[2] or simulations[1] & simulations[2])
    assert [len(of) for of in rows] == [15 * size for size in assigned.sizes]


def test_a_simulation_that_the_split_does_not_know_is_in_no_part():
    assigned = split.by_hash(IDS[:10])
    strangers = np.array(["0", "stranger"])
    assert assigned.partition_of(strangers).tolist() == [expected_partition("0"), 255]
    assert sum(len(assigned.select_rows(strangers, name)) for name in split.PARTITIONS) == 1


@pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (np.nan, 0.5, 0.5), (70, 15, 15)])
def test_fractions_must_be_shares(fractions):
    with pytest.raises(UserError, match="three fractions that add to 1"):
        split.by_hash(IDS, fractions)


def test_an_empty_partition_is_refused_with_a_remedy():
    assert split.by_hash(IDS).require_complete().sizes == split.by_hash(IDS).sizes
    with pytest.raises(UserError, match=r"the test partition is empty .*`fractions` or `split_seed`"):
        split.by_hash(IDS, (0.8, 0.2, 0.0)).require_complete()
    with pytest.raises(UserError, match=r"the train partition is empty"):
        split.by_hash(IDS, (0.0, 0.5, 0.5)).require_complete()
    with pytest.raises(UserError, match=r"is empty \(2 simulations\)"):
        split.by_hash(IDS[:2]).require_complete()


# ----------------------------------------------------------------------------------------------------------- by label
def test_the_labels_of_a_catalog_are_honoured():
    labels = RNG.integers(0, 3, 1000).astype(np.uint8)
    assigned = split.by_labels(np.repeat(IDS, 3), np.repeat(labels, 3))
    assert partition_by_id(assigned) == dict(zip(IDS.tolist(), labels.tolist(), strict=True))


def test_a_simulation_in_two_parts_is_refused():
    with pytest.raises(UserError, match="simulation b is in two partitions"):
        split.by_labels(np.array(["a", "b", "c", "b"]), np.array([0, 1, 2, 2]))


@pytest.mark.parametrize("label", [3, 255, -1, 0.5, np.nan])
def test_a_label_that_is_no_part_is_refused(label):
    with pytest.raises(UserError, match=r"expected 0 \(train\), 1 \(validation\) or 2 \(test\), found"):
        split.by_labels(np.array(["a", "b"]), np.array([0, label]))


# ------------------------------------------------------------------------------------------------------------ from file
TEST_IDS = ["17", "3", "998"]


def as_text(folder):
    (folder / "ids.txt").write_text("17\n3, 998\n")
    return folder / "ids.txt"


def as_json(folder):
    (folder / "ids.json").write_text(json.dumps(["17", 3, 998]))
    return folder / "ids.json"


def as_npy(folder):
    np.save(folder / "ids.npy", np.array([17, 3, 998]))
    return folder / "ids.npy"


def as_hdf5(folder):
    with h5py.File(folder / "ids.h5", "w") as file:
        file["test"] = [17, 3, 998]
    return folder / "ids.h5"


@pytest.mark.parametrize("write", [as_text, as_json, as_npy, as_hdf5])
def test_a_list_of_ids_is_the_test_simulations(tmp_path, write):
    assigned = split.from_file(write(tmp_path), IDS)
    assert assigned.simulation[assigned.partition == 2].tolist() == sorted(TEST_IDS, key=int)
    training = {
        simulation_id: partition for simulation_id, partition in partition_by_id(assigned).items() if partition != 2
    }
    shares = (0.7 / 0.85, 0.15 / 0.85, 0.0)
    assert training == {
        simulation_id: expected_partition(simulation_id, fractions=shares) for simulation_id in training
    }


def test_a_split_file_is_read_back(tmp_path):
    written = split.by_hash(IDS, seed=3)
    split.write(tmp_path / "a.split.h5", written, {"settings": {}})
    again = split.from_file(tmp_path / "a.split.h5", IDS[::-1], (0.1, 0.1, 0.8), seed=9)
    assert partition_by_id(again) == partition_by_id(written)
    assert split.fingerprint(split.read(tmp_path / "a.split.h5")) == split.fingerprint(written)
    half = split.from_file(tmp_path / "a.split.h5", IDS[:500])
    assert partition_by_id(half) == partition_by_id(split.by_hash(IDS[:500], seed=3))


@pytest.mark.parametrize("number", [-1, 3, 10**18])
def test_a_partition_that_is_none_is_refused(tmp_path, number):
    arrays = {"simulation": np.array(["a", "b"]), "partition": np.array([0, number])}
    storage.write(tmp_path / "a.split.h5", storage.FileContents("split", {}, arrays))
    with pytest.raises(UserError, match=f"a.split.h5: partition: expected 0 .train., .* found {number}"):
        split.read(tmp_path / "a.split.h5")


def test_a_split_file_must_know_every_simulation(tmp_path):
    split.write(tmp_path / "a.split.h5", split.by_hash(IDS[:990]), {})
    with pytest.raises(UserError, match=r"has no partition for simulation 990, 991, .* \(10 in all\)"):
        split.from_file(tmp_path / "a.split.h5", IDS)


@pytest.mark.parametrize("write", [as_text, as_json, as_npy, as_hdf5])
def test_an_unknown_id_is_refused(tmp_path, write):
    with pytest.raises(UserError, match="test simulation 998 is not in the catalog"):
        split.from_file(write(tmp_path), IDS[:998])


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("ids.json", b"[1, 2", "is no JSON"),
        ("ids.json", b'{"test": [1]}', "expected a JSON list of test simulations, found dict"),
        ("ids.json", b"[" * 200_000, "is no JSON .nested too deeply"),
        ("ids.json", b"[" + b"7" * 5_000 + b"]", "is no JSON"),
        ("ids.txt", b"\xff\xfe\x00", "is no text in UTF-8"),
        ("ids.npy", b"\x93NUMPY", "is no .npy file of numbers or text, or a truncated one"),
        ("ids.npy", b"", "is no .npy file of numbers or text, or a truncated one"),
        ("ids.h5", b"1 2 3", "is a text file, no HDF5 file"),
        ("ids.csv", b"id\n1\n", "test simulation id is not in the catalog"),
    ],
)
def test_a_malformed_split_file_is_refused(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=complaint) as error:
        split.from_file(tmp_path / name, IDS)
    assert "\n" not in str(error.value)


def test_a_list_with_a_pickle_in_it_is_not_opened(tmp_path):
    np.save(tmp_path / "ids.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"ids\.npy: is no \.npy file of numbers or text, or a truncated one$"):
        split.from_file(tmp_path / "ids.npy", IDS)


@pytest.mark.parametrize("name", ["ids.txt", "ids.h5", "ids.npy", "ids.json"])
def test_a_pipe_is_no_list(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="is no regular file, but a pipe"):
        split.from_file(tmp_path / name, IDS)


@pytest.mark.parametrize("name", ["ids.txt", "ids.h5", "ids.npy", "ids.json"])
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="no such file"):
        split.from_file(tmp_path / name, IDS)


def test_which_of_several_datasets_is_the_list_is_not_guessed(tmp_path):
    with h5py.File(tmp_path / "ids.h5", "w") as file:
        file["a"], file["b"] = [1], [2]
    with pytest.raises(UserError, match="expected a split file or one dataset of test ids, found a, b"):
        split.from_file(tmp_path / "ids.h5", IDS)


def test_an_empty_list_leaves_no_test_part(tmp_path):
    (tmp_path / "ids.txt").write_text("\n")
    with pytest.raises(UserError, match="the test partition is empty"):
        split.from_file(tmp_path / "ids.txt", IDS).require_complete()


def test_a_list_needs_a_share_for_the_others(tmp_path):
    with pytest.raises(UserError, match="train and validation cannot both be 0"):
        split.from_file(as_text(tmp_path), IDS, (0, 0, 1))


def test_a_fingerprint_tells_every_change():
    original = split.by_hash(IDS[:100])
    moved = original.partition.copy()
    moved[7] = (moved[7] + 1) % 3
    assert split.fingerprint(original) == split.fingerprint(split.by_hash(IDS[:100]))
    assert split.fingerprint(original) != split.fingerprint(Split(original.simulation, moved))
    assert split.fingerprint(original) != split.fingerprint(
        Split(np.append(original.simulation[:-1], "x"), original.partition)
    )

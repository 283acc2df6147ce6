"""A catalogue is a function of its size, its seed and its faults."""

import pytest

from crawler.errors import UsageError
from crawler.model import Outcome
from crawler.sandbox import Catalogue, Faults
from crawler.sandbox.chance import chosen, chosen_ones
from crawler.sandbox.entries import Sort


def everything(catalogue: Catalogue) -> list[object]:
    return [catalogue.item(index, "http://here") for index in range(len(catalogue))]


def test_the_same_seed_makes_the_same_bytes() -> None:
    one, other = Catalogue(40, seed=7), Catalogue(40, seed=7)
    assert everything(one) == everything(other)
    for file_id in one.truth():
        first, second = one.find_file(file_id), other.find_file(file_id)
        assert first is not None
        assert first == second
        assert one.content(first) == other.content(first)


def test_another_seed_makes_another_catalogue() -> None:
    assert everything(Catalogue(10, seed=1)) != everything(Catalogue(10, seed=2))


@pytest.mark.parametrize("size", [1, 3, 500])
def test_everything_is_found_by_its_id(size: int) -> None:
    catalogue = Catalogue(size)
    models, versions, files = set(), set(), set()
    for index in range(size):
        model_id = catalogue.traits(index).model_id
        assert catalogue.find_model(model_id) == index
        models.add(model_id)
        for release in catalogue.releases(index):
            assert catalogue.find_version(release.version_id) == index
            assert catalogue.uploads(release.version_id) == release.uploads
            versions.add(release.version_id)
            for upload in release.uploads:
                assert catalogue.find_file(upload.file_id) == upload
                files.add(upload.file_id)
    assert len(models) == size
    between = set(range(min(versions), max(versions) + 100)) - versions
    assert all(catalogue.find_version(version_id) is None for version_id in between)
    assert all(catalogue.find_model(model_id) is None for model_id in (0, max(models) + 1))
    assert all(catalogue.find_file(file_id) is None for file_id in (0, max(files) + 1))


def test_a_million_models_cost_nothing_until_they_are_asked_for() -> None:
    catalogue = Catalogue(10_000_000)
    for index in (0, 499_999, 9_999_999):
        model_id = catalogue.traits(index).model_id
        assert catalogue.find_model(model_id) == index
        assert catalogue.item(index, "")["id"] == model_id
    assert catalogue.last_version_at(9_999_999) < catalogue.now


@pytest.mark.parametrize("size", [-1, 10_000_001])
def test_a_size_out_of_bounds_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"not {size}"):
        Catalogue(size)


def test_ids_ascend_with_time() -> None:
    catalogue = Catalogue(2_000)
    times = [catalogue.last_version_at(index) for index in range(2_000)]
    assert times == sorted(times)
    assert len(set(times)) < 2_000, "a few models share their time"
    plain = Catalogue(2_000, faults=Faults.plain())
    assert len({plain.last_version_at(index) for index in range(2_000)}) == 2_000


def test_models_look_like_the_real_ones() -> None:
    catalogue = Catalogue(3_000)
    counts = [len(catalogue.releases(index)) for index in range(3_000)]
    assert 1.3 < sum(counts) / len(counts) < 1.9
    assert max(counts) == 20
    bases = {base for index in range(3_000) for base in catalogue.traits(index).base_models}
    assert bases == {
        "SD 1.5", "SD 2.1", "SDXL 1.0", "Pony", "Illustrious", "NoobAI", "Flux.1 D", "Other",
    }  # fmt: skip
    downloads = sorted(catalogue.counts(i, Sort.MOST_DOWNLOADED)[0] for i in range(3_000))
    assert downloads[1_500] < 200
    assert downloads[-1] > 10_000


def test_plain_means_that_everything_is_decoded() -> None:
    catalogue = Catalogue(200, faults=Faults.plain())
    truth = catalogue.truth(mature=False, key=False)
    assert set(truth.values()) == {Outcome.DECODED}
    files = [it for i in range(200) for release in catalogue.releases(i) for it in release.uploads]
    assert truth.keys() == {upload.file_id for upload in files}


@pytest.mark.parametrize(
    ("faults", "key", "outcome"),
    [
        (Faults(login_required=1.0), False, Outcome.LOGIN_REQUIRED),
        (Faults(login_required=1.0), True, Outcome.DECODED),
        (Faults(forbidden=1.0), True, Outcome.FORBIDDEN),
        (Faults(forbidden=1.0), False, Outcome.LOGIN_REQUIRED),
        (Faults(early_access=1.0), True, Outcome.EARLY_ACCESS),
        (Faults(downloads_disabled=1.0), True, Outcome.DOWNLOADS_DISABLED),
        (Faults(gone=1.0), True, Outcome.NOT_FOUND),
        (Faults(archived_late=1.0), True, Outcome.ARCHIVED),
        (Faults(pickle=1.0), True, Outcome.NOT_SAFETENSORS),
        (Faults(pickle=1.0, login_required=1.0), False, Outcome.NOT_SAFETENSORS),
        (Faults(lfs_body=1.0), True, Outcome.NOT_SAFETENSORS),
        (Faults(bad_header=1.0), True, Outcome.BAD_HEADER),
        (Faults(no_metadata=1.0), True, Outcome.NO_METADATA),
    ],
)
def test_a_share_of_one_strikes_everything(faults: Faults, key: object, outcome: Outcome) -> None:
    truth = Catalogue(20, faults=faults).truth(key=bool(key))
    assert len(truth) >= 20
    assert set(truth.values()) == {outcome}


@pytest.mark.parametrize(
    "faults",
    [Faults(real_person=1.0), Faults(archived=1.0), Faults(unlisted=1.0), Faults(no_files=1.0)],
)
def test_what_no_list_shows_has_no_truth(faults: Faults) -> None:
    assert Catalogue(20, faults=faults).truth() == {}


def test_what_a_header_may_have_decides_about_huge_ones() -> None:
    catalogue = Catalogue(10, faults=Faults(huge_header=1.0))
    assert set(catalogue.truth().values()) == {Outcome.FAILED}
    assert set(catalogue.truth(max_header=40 * 1024**2).values()) == {Outcome.NO_METADATA}
    giants = Catalogue(10, faults=Faults(giant_body=1.0)).truth(max_header=2**20)
    assert set(giants.values()) == {Outcome.DECODED}


def test_the_full_mix_holds_every_outcome() -> None:
    outcomes = Catalogue(3_000, faults=Faults.full()).truth(key=True).values()
    assert set(outcomes) == set(Outcome) - {Outcome.PENDING, Outcome.LOGIN_REQUIRED}


@pytest.mark.parametrize("size", [1, 7, 100, 1_003])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.1, 0.5, 0.99, 1.0])
def test_a_share_of_positions_is_named_and_recognised(size: int, share: float) -> None:
    named = list(chosen_ones(size, share, 5, 1, 2))
    assert len(named) == round(size * share)
    assert named == [index for index in range(size) if chosen(index, size, share, 5, 1, 2)]
    assert not chosen(-1, size, share, 5, 1, 2)
    assert not chosen(size, size, share, 5, 1, 2)


def test_the_mild_mix_holds_every_outcome_that_can_be_had() -> None:
    outcomes = set(Catalogue(4_000).truth(key=False).values())
    refused_with_a_key = {Outcome.FORBIDDEN}
    never = {Outcome.PENDING, Outcome.FAILED}
    assert outcomes == set(Outcome) - never - refused_with_a_key

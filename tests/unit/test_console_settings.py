"""Where the server is and who speaks, or one clear line about what lacks."""

from pathlib import Path

import pytest
from platformdirs import user_data_dir

from console.errors import BadInput
from console.settings import base_url, read_address

NAMES = ("URL", "TOKEN", "ADMIN_TOKEN", "DATA_DIR")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"LIFEOS_{name}", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def keep_token(folder: Path, token: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "admin-token").write_text(token, encoding="utf-8")


def test_the_administrators_token_is_found_where_the_server_leaves_it() -> None:
    keep_token(Path(user_data_dir("lifeos")), "kept\n")

    address = read_address()

    assert (address.url, address.token) == ("http://127.0.0.1:8000", "kept")


def test_a_data_folder_of_ones_own_is_looked_into(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keep_token(tmp_path / "data", "kept")
    monkeypatch.setenv("LIFEOS_DATA_DIR", str(tmp_path / "data"))

    assert read_address().token == "kept"


def test_a_token_that_is_given_comes_before_one_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_token(Path(user_data_dir("lifeos")), "kept")
    monkeypatch.setenv("LIFEOS_ADMIN_TOKEN", "the-administrators")
    assert read_address().token == "the-administrators"

    monkeypatch.setenv("LIFEOS_TOKEN", "mine")
    assert read_address().token == "mine"


def test_a_file_in_the_working_folder_counts_and_the_environment_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("LIFEOS_URL=http://10.0.0.1:9\nLIFEOS_TOKEN=filed\nLIFEOS_CONCURRENCY=5\nOTHER=1\n")
    assert (read_address().url, read_address().token) == ("http://10.0.0.1:9", "filed")

    monkeypatch.setenv("LIFEOS_TOKEN", "mine")
    assert read_address().token == "mine"


def test_without_any_token_it_says_what_to_do() -> None:
    with pytest.raises(BadInput, match="set LIFEOS_TOKEN, or start a server here with `lifeos serve`"):
        read_address()


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_token(Path(user_data_dir("lifeos")), " \n")
    monkeypatch.setenv("LIFEOS_TOKEN", "")

    with pytest.raises(BadInput, match="is empty"):
        read_address()


@pytest.mark.parametrize("token", ["two words", "nön-ascii", "new\nline"])
def test_what_can_be_no_token_is_refused_without_repeating_it(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFEOS_TOKEN", token)

    with pytest.raises(BadInput) as caught:
        read_address()

    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("https://lifeos.example/graphql", "https://lifeos.example"),
        ("https://example.org/lifeos/graphql/", "https://example.org/lifeos"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_address_may_end_with_a_slash_or_the_apis_path(given: str, base: str) -> None:
    assert base_url(given) == base


@pytest.mark.parametrize(
    "given", ["127.0.0.1:8000", "ftp://example.org", "http://", "http://host:99999", "http://[::1"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(BadInput, match="LIFEOS_URL"):
        base_url(given)


@pytest.mark.parametrize("given", ["http://127.0.0.1:8000/?token=s3cret", "http://ada:s3cret@127.0.0.1:8000"])
def test_an_address_with_a_token_in_it_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(BadInput) as caught:
        base_url(given)

    assert "s3cret" not in str(caught.value)

"""What is checked of images, and how their copies and folders are kept."""

import io
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from tests.environment.conftest import Here, zipped

from runtara_domain.error import InvalidValue
from runtara_domain.model.stored_images import RunnerType
from runtara_domain.ports.placements import LaunchFailed
from runtara_environment.folders import LaunchFolder, safe_name
from runtara_environment.identity import IdentityTaken, held_identity
from runtara_environment.images import validation
from runtara_environment.images.cache import ImageCache
from runtara_environment.images.metadata import check_metadata
from runtara_environment.images.validation import check_image, check_zip
from runtara_environment.runners.process import ProcessRunner
from runtara_persistence.memory import MemoryPersistence

TARGET = {"target": "orders.flow:run"}


@pytest.mark.parametrize(
    ("key", "value", "takes"),
    [
        ("workflow", "", "the name of a workflow"),
        ("placement", 7, "the name of a placement"),
        ("memory_mb", "64", "a number of MiB"),
        ("cpus", 0, "from 0.01"),
        ("timeout_s", -1, "seconds"),
        ("start_timeout_s", True, "seconds"),
        ("grace_s", 1e9, "to a day"),
        ("max_concurrent", 1.5, "a whole number"),
        ("env", {"A": 1}, "an object of texts"),
        ("env", {"RUNTARA_LAUNCH_ID": "x"}, "take another name"),
        ("env", {"A=B": "x"}, "names of variables"),
        ("target", "orders.flow", "MODULE:FUNCTION"),
        ("target", "../x:run", "MODULE:FUNCTION"),
        ("warm", "no", "true or false"),
        ("python", "python3", "absolute path"),
        ("schedule", "@daily", "an object such as"),
        ("schedule", {"cron": "@daily", "colour": "red"}, "with texts .*got colour"),
        ("schedule", {"cron": "@daily", "jitter_s": "1"}, "got jitter_s"),
        ("schedule", {"cron": "often"}, "five fields"),
        ("schedule", {"cron": "@daily", "overlap": "never"}, "'never' is not a valid Overlap"),
        ("schedule", {"cron": "@daily", "catch_up_s": 1e300}, ""),
    ],
)
def test_a_bad_value_is_refused_by_its_key(key: str, value: object, takes: str) -> None:
    """The message names the key and what it takes."""
    with pytest.raises(InvalidValue, match=f"metadata: (env|{key}): .*{takes}"):
        check_metadata(RunnerType.PYTHON, {**TARGET, key: value})


def test_good_and_unknown_keys_are_taken() -> None:
    """A Python image needs a target; keys that nothing knows mean nothing."""
    good = {"memory_mb": 64, "cpus": 0.5, "env": {"A": "b"}, "warm": False, "colour": "red"}

    check_metadata(RunnerType.PYTHON, {**TARGET, **good})
    check_metadata(RunnerType.NATIVE, {})
    with pytest.raises(InvalidValue, match="target: a Python image needs it"):
        check_metadata(RunnerType.PYTHON, {})


def archive(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries:
            made.writestr(name, content)
    return path


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def test_a_zip_must_stay_in_its_folder(tmp_path: Path) -> None:
    """No absolute path, no .., no link, no name twice."""
    file = tmp_path / "a.zip"
    for name in ("../x", "/etc/x", "a/../../x", "a\\b"):
        with pytest.raises(InvalidValue, match=r"relative paths without \.\."):
            check_zip(archive(file, (name, b"")))
    with pytest.raises(InvalidValue, match="something else"):
        check_zip(archive(file, (link("x"), b"/etc/passwd")))
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(file, ("x", b"1"), ("x", b"2"))
    with pytest.raises(InvalidValue, match="twice"):
        check_zip(file)
    check_zip(archive(file, ("a/", b""), ("a/b.py", b"x = 1")))


def test_a_zip_of_ten_gigabytes_of_zeros_is_refused(tmp_path: Path) -> None:
    """Its own table decides, before a byte is unpacked. A zip with a false table is broken."""
    file = archive(tmp_path / "a.zip", ("zeros", bytes(3_000_000)))
    content = file.read_bytes()
    size = (3_000_000).to_bytes(4, "little")
    huge, small = (0xFFFFFF00).to_bytes(4, "little"), (3).to_bytes(4, "little")

    file.write_bytes(content.replace(size, huge))
    with pytest.raises(InvalidValue, match="bytes unpacked"):
        check_zip(file)
    file.write_bytes(content.replace(size, small))
    with pytest.raises(InvalidValue, match="a zip of source, or a wheel"):
        check_zip(file)


def test_a_zip_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a file in every environment's folder."""
    monkeypatch.setattr(validation, "MAX_FILES", 3)
    entries = [(f"{number}", b"") for number in range(4)]

    check_zip(archive(tmp_path / "a.zip", *entries[:3]))
    with pytest.raises(InvalidValue, match="at most 3 files, got 4"):
        check_zip(archive(tmp_path / "a.zip", *entries))


def test_bytes_are_checked_by_runner_type(tmp_path: Path) -> None:
    """No bytes, WASM, and what is no zip are refused; an executable is taken as it is."""
    file = tmp_path / "content"
    file.write_bytes(b"")
    with pytest.raises(InvalidValue, match="binary is required"):
        check_image((), file, RunnerType.NATIVE, {})
    file.write_bytes(b"\x7fELF anything")
    check_image((), file, RunnerType.OCI, {})
    with pytest.raises(InvalidValue, match="WASM is not supported"):
        check_image((), file, RunnerType.WASM, {})
    with pytest.raises(InvalidValue, match="a zip of source, or a wheel"):
        check_image((), file, RunnerType.PYTHON, TARGET)
    file.write_bytes(zipped(flow="x = 1"))
    check_image((), file, RunnerType.PYTHON, TARGET)
    whole = io.BytesIO(zipped(flow="x = 1")).getvalue()
    for end in range(len(whole) - 1):
        file.write_bytes(whole[:end])
        with pytest.raises(InvalidValue):
            check_image((), file, RunnerType.PYTHON, TARGET)


def test_no_two_ids_share_a_folder() -> None:
    """Names are short, plain and different, whatever the ids are."""
    ids = ["a", "A", ".", "..", "%", "%2E", "a/b", "a%2Fb", "ü", "\x01", "x" * 200, "x" * 201]
    ids += ["y" * 1024, "%sha256-" + "0" * 64]
    names = {safe_name(each) for each in ids}

    assert len(names) == len(ids)
    assert all(len(name) <= 200 for name in names)
    assert not any("/" in name or name.startswith(".") for name in names)


def test_what_a_process_left_is_read_without_following_links(tmp_path: Path) -> None:
    """A link, a folder, a pipe and a file that is too large count as nothing."""
    folder = LaunchFolder(tmp_path, "t", "i", "l")
    folder.make(None)
    output = folder.path / "output.json"
    assert folder.read_output(10) is None
    output.write_bytes(b"0123456789")
    assert (folder.read_output(10), folder.read_output(9)) == (b"0123456789", None)
    output.unlink()
    output.mkdir()
    assert folder.read_output(10) is None
    (folder.path / "stderr.log.1").write_bytes(b"older ")
    (folder.path / "stderr.log").write_bytes(b"newer")
    assert folder.tail(8) == b"er newer"
    (folder.path / "stderr.log").unlink()
    (folder.path / "stderr.log").symlink_to("/etc/passwd")
    assert folder.tail(6) == b"older "


def test_an_environment_keeps_its_id_alone(tmp_path: Path) -> None:
    """The folder gives the same id again; a second process gets an error with the owner's pid."""
    with held_identity(tmp_path) as identity:
        script = (
            "import sys; from pathlib import Path;"
            "from runtara_environment.identity import *;"
            "held_identity(Path(sys.argv[1])).__enter__()"
        )
        other = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False
        )
        with pytest.raises(IdentityTaken, match=identity.environment_id):
            held_identity(tmp_path).__enter__()
    (tmp_path / "id").write_text(
        f'{{"environment_id": "{identity.environment_id}", "machine": "m", "boot_id": "b"}}'
    )
    with held_identity(tmp_path) as again:
        assert again.environment_id == identity.environment_id
        assert again.boot_id != "b"
    (tmp_path / "id").write_text("broken")
    with held_identity(tmp_path) as fresh:
        assert fresh.environment_id != identity.environment_id

    assert other.returncode == 1
    assert identity.environment_id.encode() in other.stderr


async def test_a_copy_is_verified_before_it_is_run(here: Here) -> None:
    """Bytes that differ from the registered ones are no image, and nothing stays of them."""
    image = await here.image(b"content")
    cache = ImageCache(here.persistence.images, here.data_dir / "images")
    folder = await cache.installed(image, ProcessRunner())
    assert (folder / "program").read_bytes() == b"content"
    cache.sweep((), time.time() + 1)
    assert isinstance(here.persistence, MemoryPersistence)
    here.persistence.store.image_chunks.clear()

    with pytest.raises(LaunchFailed, match="differ from the registered ones"):
        await cache.installed(image, ProcessRunner())
    assert list((here.data_dir / "images").iterdir()) == []

"""Fan-out over files, killed at random points."""

import hashlib
import json
from pathlib import Path

from tests.acceptance.workflows.launched import KILLED, launched


async def test_each_file_is_uploaded_once_and_few_at_the_same_time(tmp_path: Path) -> None:
    """The results are gathered in the order of the files, whichever process made them."""
    folder = tmp_path / "files"
    folder.mkdir()
    texts = {f"{number:02}.txt": f"né {number} 🦊\n" * number for number in range(12)}
    for name, text in texts.items():
        (folder / name).write_text(text)

    async with launched(tmp_path, seed=1) as examples:
        examples.world.company = 2
        await examples.start("fan_out:fan_out", "files-1", str(folder))
        ended = await examples.ended("files-1")
        exits = await examples.exits("files-1")

    results = json.loads(ended.output or b"null")
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts.values()]
    assert [(one["file"], one["digest"]) for one in results] == list(
        zip(texts, digests, strict=True)
    )
    assert sorted(one["number"] for one in results) == list(range(1, 13))
    uploaded = examples.world.done("files")
    assert len(uploaded) == len(texts)
    assert {one["item"]: one["text"] for one in uploaded} == texts
    assert 1 < examples.world.most_at_once <= 4
    assert KILLED in exits

"""The files of a folder, each read and uploaded, a few at the same time."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import httpx

from runtara_sdk import Retry, current, map_steps, step, workflow


@dataclass
class Content:
    text: str
    digest: str


@dataclass
class Uploaded:
    file: str
    digest: str
    number: int


@step
def files_of(folder: str) -> list[str]:
    # A step, because the folder may look different when another process goes on.
    return sorted(str(path) for path in Path(folder).iterdir())


@step  # A plain function runs in a thread.
def read(file: str) -> Content:
    text = Path(file).read_text()
    return Content(text, hashlib.sha256(text.encode()).hexdigest())


@step(retry=Retry(attempts=5, on=httpx.HTTPError), timeout="30s")
async def upload(file: str, content: Content) -> int:
    headers = {"Idempotency-Key": current().idempotency_key}
    async with httpx.AsyncClient(base_url=os.environ["SERVICE_URL"]) as client:
        body = {"item": Path(file).name, "text": content.text}
        answer = await client.post("/files", json=body, headers=headers)
    number: int = answer.raise_for_status().json()["number"]
    return number


async def process(file: str) -> Uploaded:
    content = await read(file)
    return Uploaded(Path(file).name, content.digest, await upload(file, content))


@workflow(name="fan-out")
async def fan_out(folder: str) -> list[Uploaded]:
    # Each file is a branch named by its path: its steps are found again in any order.
    return await map_steps(process, await files_of(folder), key=str, limit=4)

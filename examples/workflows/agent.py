"""An agent of pydantic-ai: the framework's own tasks call its tools at the same time, durably."""

from dataclasses import dataclass, field

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from runtara_sdk import step, workflow


@dataclass
class Wanted:
    """A tool that the model wants called, and the key of that call."""

    tool: str
    city: str
    id: str


@dataclass
class Answer:
    """What the model says: an answer, or tools to call first."""

    text: str = ""
    wanted: list[Wanted] = field(default_factory=list)


@step
async def think(heard: list[str]) -> Answer:
    """Stands for a model: asked again, one would say something else, so its answer is saved."""
    if len(heard) == 1:
        cities = heard[0].split(", ")
        return Answer(wanted=[Wanted("weather", city, f"weather-{city}") for city in cities])
    return Answer("; ".join(heard[1:]))


@step
async def measure(city: str) -> str:
    return f"{len(city)} degrees in {city}"


async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    # Each question has a key: the framework may ask it in a task of its own. Only what was said
    # goes into the step, for messages have the time of day and random ids in them as well.
    said = await think.keyed(f"question {len(messages)}")(heard_in(messages))
    if said.text:
        return ModelResponse([TextPart(said.text)])
    calls = [ToolCallPart(one.tool, {"city": one.city}, one.id) for one in said.wanted]
    return ModelResponse(calls)


def heard_in(messages: list[ModelMessage]) -> list[str]:
    parts = [part for message in messages for part in message.parts]
    return [
        str(part.content) for part in parts if isinstance(part, UserPromptPart | ToolReturnPart)
    ]


agent = Agent(FunctionModel(answer))


@agent.tool
async def weather(context: RunContext[object], city: str) -> str:
    """Measure the weather in a city."""
    assert context.tool_call_id is not None
    return await measure.keyed(context.tool_call_id)(city)


@workflow(name="agent")
async def report(cities: str) -> str:
    return (await agent.run(cities)).output

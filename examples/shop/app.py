"""The shop's web application; each of its processes is a worker of its workflows, too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.templating import Jinja2Templates
from steps import Decision, Order, Report
from workflows import APPROVAL, fulfil, nightly, undo

from runtara import RuntaraError, Worker, connect

REFUSALS = {
    "INSTANCE_NOT_FOUND": 404,
    "INSTANCE_ALREADY_EXISTS": 409,
    "INVALID_INSTANCE_STATE": 409,
    "VALIDATION_ERROR": 422,
    "NOT_SERIALIZABLE": 422,
}

ORDER = "order-"  # Begins the ids of orders: so a customer's id names no other instance.
client = connect()
templates = Jinja2Templates(Path(__file__).parent / "templates")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Be a client and a worker for as long as the application runs."""
    async with client, Worker(fulfil, undo, nightly):
        yield


app = FastAPI(title="A shop", lifespan=lifespan)


@app.exception_handler(RuntaraError)
async def refused(request: Request, error: RuntaraError) -> JSONResponse:
    """Say in HTTP's words what the core refuses."""
    return JSONResponse({"detail": str(error)}, REFUSALS.get(error.code, 503))


@app.get("/")
async def page(request: Request) -> Response:
    """Show the orders of a day, with buttons."""
    orders = [one async for one in client.list(fulfil, since="1d")]
    return templates.TemplateResponse(request, "orders.html", {"orders": orders, "prefix": ORDER})


@app.post("/orders", status_code=202)
async def place(order: Order) -> dict[str, object]:
    """Take an order; the same one again is the same order."""
    handle = await client.start(fulfil, order, id=ORDER + order.id)
    return {"id": order.id, "is_new": handle.created}


@app.get("/orders/{order_id}")
async def show(order_id: str) -> dict[str, object]:
    """Say how an order stands, with its receipt or why there is none."""
    handle = client.handle(fulfil, ORDER + order_id)
    found = await handle.status()
    return {
        "status": found.status,
        "progress": found.progress,
        "waits_for": [wait.name for wait in found.waiting_for],
        "receipt": await handle.result() if found.status == "completed" else None,
        "error": found.error,
    }


@app.post("/orders/{order_id}/decision")
async def decide(order_id: str, decision: Decision) -> dict[str, object]:
    """Approve or decline a large order; the first decision stands."""
    sent = await client.handle(fulfil, ORDER + order_id).send(APPROVAL, decision)
    return {"stands": sent.is_first, "warning": sent.warning}


@app.delete("/orders/{order_id}", status_code=202)
async def cancel(order_id: str) -> None:
    """Have an order undone that is under way."""
    await client.handle(fulfil, ORDER + order_id).cancel("the customer's wish")


@app.get("/reports")
async def reports() -> list[Report]:
    """Give the reports of the last nights."""
    nights = client.list(nightly, status="completed", since="30d")
    return [await client.handle(nightly, one.instance_id).result() async for one in nights]

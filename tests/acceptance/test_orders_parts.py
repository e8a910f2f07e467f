"""The parts of the orders example by themselves: its file, its payments, its plan."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from kill_plan import ORDERS_A_KILL, TooManyKills, plan_faults, plan_kills
from make_orders import make_orders
from orders_csv import UnusableFile, read_orders
from payment_service import Books, Fate, PaymentServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"


@pytest.mark.parametrize(("orders", "seed"), [(300, 1), (40, 2), (3, 3), (1, 4)])
def test_every_row_of_a_messy_file_is_an_order_or_rejected_for_its_reason(
    tmp_path: Path, orders: int, seed: int
) -> None:
    """The maker of the file knows the truth; the reader finds the same, row for row."""
    made = make_orders(orders, seed)
    path = tmp_path / "orders.csv"
    path.write_bytes(made.content)

    file = read_orders(path)

    assert {o.id: (o.line, o.amount, o.currency) for o in file.orders} == made.valid
    assert [rejected.line for rejected in file.rejected] == sorted(made.bad)
    for rejected in file.rejected:
        assert made.bad[rejected.line] in rejected.reason


def test_the_committed_file_is_what_its_maker_makes() -> None:
    """orders.csv is what its maker makes, and has each kind of bad record that is promised."""
    content = (EXAMPLE / "orders.csv").read_bytes()

    assert content == make_orders().content
    assert content.startswith(b"\xef\xbb\xbf")
    assert len(content) < 2_000_000


def test_a_row_says_everything_that_is_wrong_with_it(tmp_path: Path) -> None:
    """Mending a row once is enough."""
    path = tmp_path / "orders.csv"
    path.write_text("order_id,placed_on,customer,amount,currency,note\nA 1,soon,Ann,1e3,EURO,\n")

    [rejected] = read_orders(path).rejected

    for word in ("'A 1'", "'soon'", "'1e3'", "'EURO'"):
        assert word in rejected.reason


@pytest.mark.parametrize("content", ["", "id,amount\n1,2\n", '"order_id\n'])
def test_a_file_that_is_no_file_of_orders_is_refused_whole(tmp_path: Path, content: str) -> None:
    """Better no import than one by guessed columns."""
    path = tmp_path / "orders.csv"
    path.write_text(content)

    with pytest.raises(UnusableFile, match="the header is"):
        read_orders(path)


@contextmanager
def serving(books: Path, **faults: Fate) -> Iterator[httpx.Client]:
    with (
        closing(Books(books)) as kept,
        PaymentServer(kept, seed=None, faults=faults, stall_s=0.5) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


def charge(client: httpx.Client, order_id: str, amount: int = 100) -> httpx.Response:
    body = {"order_id": order_id, "amount": amount, "currency": "EUR", "description": "né 🦊"}
    return client.post("/charges", json=body, headers={"Idempotency-Key": order_id})


def test_a_key_is_charged_once_by_concurrent_requests(tmp_path: Path) -> None:
    """Of eight requests at once one makes the charge, and all get its receipt."""
    with (
        serving(tmp_path / "books.sqlite") as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: charge(client, "A"), range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert {answer.json()["charge_id"] for answer in answers} == {1}


@pytest.mark.parametrize(
    ("fate", "trouble", "is_charged"),
    [
        (Fate.DROPPED, httpx.RemoteProtocolError, True),
        (Fate.MUTE, httpx.ReadTimeout, True),
        (Fate.LATE, httpx.ReadTimeout, False),
    ],
)
def test_a_repeated_request_without_an_answer_is_charged_once(
    tmp_path: Path, fate: Fate, trouble: type[Exception], is_charged: bool
) -> None:
    """200 says that the first attempt was charged already, 201 that it is only now."""
    with serving(tmp_path / "books.sqlite", A=fate) as client:
        client.timeout = httpx.Timeout(0.2)
        with pytest.raises(trouble):
            charge(client, "A")
        answer = charge(client, "A")

    assert answer.status_code == (200 if is_charged else 201)
    assert answer.json()["description"] == "né 🦊"


def test_a_refusal_charges_nothing(tmp_path: Path) -> None:
    """503 is an answer: this attempt was not charged."""
    with serving(tmp_path / "books.sqlite", A=Fate.REFUSED) as client:
        assert [charge(client, "A").status_code for _ in range(2)] == [503, 201]


def test_a_key_is_not_for_two_different_charges(tmp_path: Path) -> None:
    """The books keep the first charge, and refuse the second."""
    with serving(tmp_path / "books.sqlite") as client:
        charge(client, "A")
        answer = charge(client, "A", amount=999)

    assert answer.status_code == 409


@pytest.mark.parametrize("seed", range(20))
def test_kills_are_planned_one_after_the_other_with_room_between(seed: int) -> None:
    """A kill that is sent a little late does not make the next one miss."""
    order_ids = [str(number) for number in range(10 * ORDERS_A_KILL)]

    plan = plan_kills(order_ids, 10, seed)

    assert plan == plan_kills(order_ids, 10, seed)
    places = [int(kill.order_id) for kill in plan]
    assert all(later - earlier >= 2 for earlier, later in pairwise(places))
    assert len(plan_faults(plan, order_ids)) == len(plan)


def test_more_kills_than_there_is_room_for_are_refused() -> None:
    """Otherwise the demonstration would kill less often than its option says."""
    with pytest.raises(TooManyKills, match="3 kills need 12 orders"):
        plan_kills(["a"] * 11, 3, seed=1)

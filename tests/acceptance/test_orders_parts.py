"""The parts of the orders example by themselves: what its file holds, and its payment service."""

from pathlib import Path

import pytest
from make_orders import make_orders
from orders_csv import UnusableFile, read_orders

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
    """Nobody needs to guess how orders.csv came about, and it holds the mess it promises."""
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

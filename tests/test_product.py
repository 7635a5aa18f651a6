"""What tests get from tests/product.py, whatever other tests have done before."""

from __future__ import annotations

from pathlib import Path

from tests.product import Product, free_port


def test_no_port_is_returned_twice() -> None:
    """A caller may use its port later: two servers of one test would get the same one in 1 of 2,000 runs."""
    assert len({free_port() for _ in range(200)}) == 200


def test_what_was_printed_before_is_not_waited_for(tmp_path: Path) -> None:
    product = Product(tmp_path)
    product.printed.put("The worker was killed (signal 9); restarting.")
    product.discard_printed()
    product.printed.put("Ready")
    assert product.wait_for("") == "Ready"

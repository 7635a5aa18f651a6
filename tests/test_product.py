"""What tests get from tests/product.py, whatever other tests have done before."""

from tests.product import free_port


def test_no_port_is_returned_twice() -> None:
    """A caller may use its port later: two servers of one test would get the same one in 1 of 2,000 runs."""
    assert len({free_port() for _ in range(200)}) == 200

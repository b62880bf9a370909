"""Users who look for products, add some, and buy them, for Locust."""

from uuid import uuid4

from accounts import API, SignedIn
from locust import task

PRODUCT, ORDER = f"{API}/products/[id]", f"{API}/orders/[id]"
STOCK = 1_000_000


class Customer(SignedIn):
    """A user who reads far more than it buys."""

    product_id = ""

    def on_start(self) -> None:
        """Sign in, add a product, and buy it."""
        super().on_start()
        self.add_product()
        self.check_out()

    @task(1)
    def add_product(self) -> None:
        """Create a product."""
        new = {"sku": f"LOAD-{uuid4().hex.upper()}", "name": "Load", "price": 1250, "stock": STOCK}
        response = self.client.post(f"{API}/products", json=new)
        if response.ok:
            self.product_id = response.json()["id"]

    @task(10)
    def list_products(self) -> None:
        """List the products."""
        self.read_pages("/products")

    @task(10)
    def read_product(self) -> None:
        """Read one of them."""
        self.client.get(f"{API}/products/{self.product_id}", name=PRODUCT)

    @task(2)
    def check_out(self) -> None:
        """Place an order, pay it, and read it."""
        order = {"lines": [{"product_id": self.product_id, "quantity": 2}]}
        key = {"Idempotency-Key": uuid4().hex}
        response = self.client.post(f"{API}/orders", json=order, headers=key)
        if not response.ok:
            return
        placed = f"{API}/orders/{response.json()['id']}"
        self.client.post(f"{placed}/pay", name=f"{ORDER}/pay")
        self.client.get(placed, name=ORDER)

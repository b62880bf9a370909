"""Orders: an example of money, stock, states, and rows that belong to their buyers."""

from app.core.feature import Feature
from app.features.orders.events import EVENTS
from app.features.orders.jobs import expire_unpaid
from app.features.orders.models import Order, OrderLine
from app.features.orders.permissions import OrderPermission
from app.features.orders.router import router
from app.features.orders.sample import sample
from app.features.orders.settings import OrderSettings

feature = Feature(
    router=router,
    models=(Order, OrderLine),
    events=EVENTS,
    jobs=(expire_unpaid,),
    permissions=(OrderPermission,),
    member_permissions=(OrderPermission.PLACE,),
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenant_permissions=dict.fromkeys(("owner", "admin"), tuple(OrderPermission)),
    # {% endif %}
    settings=(OrderSettings,),
    sample=sample,
)

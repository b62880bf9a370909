"""Products for sale: an example of a feature, from HTTP to the database."""

from app.core.feature import Feature
from app.features.products.jobs import change_prices, purge_products
from app.features.products.models import Product
from app.features.products.permissions import ProductPermission
from app.features.products.router import router
from app.features.products.sample import sample
from app.features.products.settings import ProductSettings

feature = Feature(
    router=router,
    models=(Product,),
    jobs=(change_prices, purge_products),
    permissions=(ProductPermission,),
    member_permissions=(ProductPermission.READ,),
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenant_permissions=dict.fromkeys(("owner", "admin"), tuple(ProductPermission)),
    # {% endif %}
    settings=(ProductSettings,),
    sample=sample,
)

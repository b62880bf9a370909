"""The features that this service is made of.

To remove one, delete its folder and its two lines here.
"""

from app.core.feature import Feature
from app.features import (
    audit,
    auth,
    health,
    # {% if cookiecutter.include_example %}
    products,
    # {% endif %}
    users,
)

FEATURES: list[Feature] = [
    health.feature,
    users.feature,
    auth.feature,
    audit.feature,
    # {% if cookiecutter.include_example %}
    products.feature,
    # {% endif %}
]

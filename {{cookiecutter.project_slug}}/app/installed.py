"""The features that this service is made of.

To remove one, delete its folder and its two lines here.
"""

from pydantic_settings import BaseSettings

from app.core.feature import Feature
from app.core.jobs import (
    Jobs,
    # {% if cookiecutter.use_celery %}
    celery,
    # {% endif %}
)
from app.core.mail.outbox import deliver
from app.core.settings import Settings
from app.features import (
    audit,
    auth,
    health,
    jobs,
    metrics,
    # {% if cookiecutter.include_example %}
    products,
    # {% endif %}
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenants,
    # {% endif %}
    users,
)

FEATURES: list[Feature] = [
    health.feature,
    users.feature,
    auth.feature,
    audit.feature,
    jobs.feature,
    metrics.feature,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenants.feature,
    # {% endif %}
    # {% if cookiecutter.include_example %}
    products.feature,
    # {% endif %}
]

SETTINGS: list[type[BaseSettings]] = [
    Settings,
    # {% if cookiecutter.use_celery %}
    celery.CelerySettings,
    # {% endif %}
    *(kind for feature in FEATURES for kind in feature.settings),
]

JOBS: Jobs = {
    job.name: job for job in [deliver, *(job for feature in FEATURES for job in feature.jobs)]
}

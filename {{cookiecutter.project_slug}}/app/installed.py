"""The features that this service is made of.

To remove one, delete its folder and its two lines here.
"""

from collections.abc import Sequence

from app.core.feature import Feature
from app.core.jobs import (
    Job,
    Jobs,
    # {% if cookiecutter.use_celery %}
    celery,
    # {% endif %}
)
from app.core.mail.outbox import deliver
from app.core.settings import FeatureSettings, Settings
from app.features import (
    audit,
    auth,
    cache,
    # {% if cookiecutter.use_graphql %}
    graphql,
    # {% endif %}
    health,
    idempotency,
    jobs,
    limits,
    metrics,
    # {% if cookiecutter.include_example %}
    orders,
    products,
    # {% endif %}
    sentry,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenants,
    # {% endif %}
    tracing,
    users,
)

FEATURES: list[Feature] = [
    # {% if cookiecutter.use_celery %}
    celery.feature,
    # {% endif %}
    health.feature,
    limits.feature,
    idempotency.feature,
    cache.feature,
    users.feature,
    auth.feature,
    audit.feature,
    jobs.feature,
    metrics.feature,
    sentry.feature,
    tracing.feature,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenants.feature,
    # {% endif %}
    # {% if cookiecutter.include_example %}
    products.feature,
    orders.feature,
    # {% endif %}
    # {% if cookiecutter.use_graphql %}
    graphql.feature,
    # {% endif %}
]


def settings_of(features: Sequence[Feature]) -> list[type[FeatureSettings]]:
    """The settings classes of the service, then those of its features."""
    return [Settings, *(kind for feature in features for kind in feature.settings)]


def jobs_of(features: Sequence[Feature]) -> Jobs:
    """All jobs, by name."""
    jobs: list[Job[...]] = [deliver, *(job for feature in features for job in feature.jobs)]
    return {job.name: job for job in jobs}


SETTINGS = settings_of(FEATURES)
JOBS = jobs_of(FEATURES)

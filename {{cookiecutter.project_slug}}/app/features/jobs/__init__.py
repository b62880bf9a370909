"""Inspecting jobs, and retrying dead ones."""

from app.core.feature import Feature
from app.core.jobs.models import JobRun
from app.features.jobs.cli import cli
from app.features.jobs.jobs import purge_jobs
from app.features.jobs.permissions import JobPermission
from app.features.jobs.router import router
from app.features.jobs.settings import JobSettings

feature = Feature(
    router=router,
    models=(JobRun,),
    jobs=(purge_jobs,),
    permissions=(JobPermission,),
    settings=(JobSettings,),
    cli=cli,
)

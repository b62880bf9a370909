"""Who did what, when and from where; written in the transaction of the change."""

from app.core.feature import Feature
from app.features.audit.jobs import purge_events
from app.features.audit.models import AuditEvent
from app.features.audit.permissions import AuditPermission
from app.features.audit.repository import page
from app.features.audit.router import router
from app.features.audit.service import record
from app.features.audit.settings import AuditSettings

__all__ = ["feature", "page", "record"]

feature = Feature(
    router=router,
    models=(AuditEvent,),
    jobs=(purge_events,),
    permissions=(AuditPermission,),
    settings=(AuditSettings,),
)

"""Users, and their roles."""

from app.core.feature import Feature
from app.features.users.cli import cli, demo
from app.features.users.events import EVENTS
from app.features.users.models import Role, User, UserRole
from app.features.users.permissions import RolePermission, UserPermission
from app.features.users.repository import ACCOUNT, by_email, credentials, credentials_of, lock
from app.features.users.roles import seed
from app.features.users.router import router
from app.features.users.sample import sample
from app.features.users.service import add

__all__ = ["ACCOUNT", "add", "by_email", "credentials", "credentials_of", "feature", "lock"]

feature = Feature(
    router=router,
    models=(User, Role, UserRole),
    events=EVENTS,
    permissions=(UserPermission, RolePermission),
    seed=seed,
    demo=demo,
    sample=sample,
    cli=cli,
)

"""Registration, login and logout: access tokens, sessions, mailed tokens."""

from app.core.feature import Feature
from app.features.auth.authentication import scheme
from app.features.auth.jobs import forgot_password, purge_sessions, register
from app.features.auth.listeners import listeners
from app.features.auth.models import AuthSession, MailedToken, RefreshToken
from app.features.auth.router import router
from app.features.auth.settings import AuthSettings

feature = Feature(
    router=router,
    models=(AuthSession, RefreshToken, MailedToken),
    listeners=listeners,
    jobs=(register, forgot_password, purge_sessions),
    schemes=(scheme,),
    settings=(AuthSettings,),
)

"""Example rows."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sampling import Sampling
from app.core.security.passwords import UNUSABLE
from app.features.users import repository, roles
from app.features.users.models import User, UserRole

FIRST = ("Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Katherine", "Niklaus")
LAST = ("Allen", "Dijkstra", "Hopper", "Johnson", "Knuth", "Liskov", "Lovelace", "Turing", "Wirth")


async def sample(session: AsyncSession, sampling: Sampling) -> None:
    """Add verified accounts with the role `member`, which cannot sign in: they have no password."""
    role = await repository.role_for_update(session, roles.MEMBER)
    if role is None:
        raise RuntimeError("the built-in roles are missing: run `app db upgrade` first")
    new = await sampling.add(
        session,
        User,
        lambda number, random: {
            "email": f"sample{number}.seed{sampling.seed}@example.com",
            "full_name": f"{random.choice(FIRST)} {random.choice(LAST)}",
            "password_hash": UNUSABLE,
            "email_verified_at": sampling.at(number),
        },
    )
    assigned = {"role_id": role.id}
    await sampling.add(
        session, UserRole, lambda number, _: assigned | {"user_id": sampling.id(User, number)}, new
    )

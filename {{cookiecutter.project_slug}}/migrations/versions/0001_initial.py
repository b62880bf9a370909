"""The tables that the service starts with."""

import sqlalchemy as sa
from alembic import op

from app.core.db.types import (
    ExactText,
    UTCDateTime,
    # {% if cookiecutter.include_example %}
    references,
    # {% endif %}
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("object_type", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("correlation_id", sa.String(length=64), nullable=True),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        # {% endif %}
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        info={"append_only": "AUDIT_DAYS"},
    )
    op.create_index(
        "ix_audit_events_actor_id", "audit_events", ["actor_id", "created_at"], unique=False
    )
    op.create_index(
        "ix_audit_events_created_at", "audit_events", ["created_at", "id"], unique=False
    )
    op.create_index(
        "ix_audit_events_object",
        "audit_events",
        ["object_type", "object_id", "created_at"],
        unique=False,
    )
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.create_index(
        "ix_audit_events_tenant_id", "audit_events", ["tenant_id", "created_at", "id"], unique=False
    )
    # {% endif %}
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=False),
        sa.Column("leased_until", UTCDateTime(), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        # {% endif %}
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("key", name="uq_idempotency_keys_key"),
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at", "id"], unique=False
    )
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.create_index(
        "ix_idempotency_keys_tenant_id",
        "idempotency_keys",
        ["tenant_id", "created_at", "id"],
        unique=False,
    )
    # {% endif %}
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("arguments", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("claim", sa.Uuid(), nullable=True),
        sa.Column("nudged_at", UTCDateTime(), nullable=True),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("error", sa.String(length=1000), nullable=True),
        sa.Column("unique_key", sa.String(length=64), nullable=True),
        sa.Column("unique_until", UTCDateTime(), nullable=True),
        sa.Column("actor", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("correlation_id", sa.String(length=64), nullable=True),
        sa.Column("trace_context", sa.String(length=64), nullable=True),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        # {% endif %}
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("unique_key", name="uq_jobs_unique_key"),
    )
    op.create_index("ix_jobs_created_at", "jobs", ["created_at", "id"], unique=False)
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at", "id"], unique=False)
    op.create_index("ix_jobs_name_due_at", "jobs", ["name", "due_at"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state", "finished_at", "due_at"], unique=False)
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.create_index("ix_jobs_tenant_id", "jobs", ["tenant_id", "created_at", "id"], unique=False)
    # {% endif %}
    op.create_table(
        "roles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("name", ExactText(64), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("seeded", sa.JSON(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("name", name="uq_roles_name"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("email", ExactText(320), nullable=False),
        sa.Column("full_name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("email_verified_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_index("ix_users_created_at", "users", ["created_at", "id"], unique=False)
    op.create_table(
        "auth_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("user_agent", sa.String(length=200), nullable=False),
        sa.Column("last_used_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_auth_sessions_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auth_sessions")),
    )
    op.create_index("ix_auth_sessions_expires_at", "auth_sessions", ["expires_at"], unique=False)
    op.create_index(
        "ix_auth_sessions_user_id", "auth_sessions", ["user_id", "created_at"], unique=False
    )
    op.create_table(
        "mailed_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("new_email", ExactText(320), nullable=True),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_mailed_tokens_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailed_tokens")),
        sa.UniqueConstraint("token_hash", name="uq_mailed_tokens_token_hash"),
    )
    op.create_index("ix_mailed_tokens_expires_at", "mailed_tokens", ["expires_at"], unique=False)
    op.create_index(
        "ix_mailed_tokens_user_id", "mailed_tokens", ["user_id", "purpose"], unique=False
    )
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("personal_user_id", sa.Uuid(), nullable=True),
        sa.Column("suspended_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["personal_user_id"],
            ["users.id"],
            name="fk_tenants_personal_user_id",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("personal_user_id", name="uq_tenants_personal_user_id"),
    )
    op.create_index("ix_tenants_created_at", "tenants", ["created_at", "id"], unique=False)
    op.create_index("ix_tenants_deleted_at", "tenants", ["deleted_at"], unique=False)
    op.create_index("ix_tenants_name", "tenants", ["name", "id"], unique=False)
    # {% endif %}
    op.create_table(
        "user_roles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name="fk_user_roles_role_id", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_roles_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_roles")),
        sa.UniqueConstraint("user_id", "role_id", name="uq_user_roles_user_id_role_id"),
    )
    op.create_index("ix_user_roles_role_id", "user_roles", ["role_id"], unique=False)
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("email", ExactText(320), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["users.id"], name="fk_invitations_invited_by", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_invitations_tenant_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("tenant_id", "email", name="uq_invitations_tenant_id_email"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
    )
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"], unique=False)
    op.create_index("ix_invitations_invited_by", "invitations", ["invited_by"], unique=False)
    op.create_index(
        "ix_invitations_tenant_id", "invitations", ["tenant_id", "created_at", "id"], unique=False
    )
    # {% endif %}
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.create_table(
        "memberships",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_memberships_tenant_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_memberships_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("tenant_id", "user_id", name="uq_memberships_tenant_id_user_id"),
    )
    op.create_index(
        "ix_memberships_tenant_id", "memberships", ["tenant_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_memberships_user_id", "memberships", ["user_id", "created_at", "id"], unique=False
    )
    # {% endif %}
    # {% if cookiecutter.include_example %}
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("pay_until", UTCDateTime(), nullable=False),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        # {% endif %}
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_orders_tenant_id"),
        # {% endif %}
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.UniqueConstraint("tenant_id", "id", name="uq_orders_tenant_id_id"),
        # {% endif %}
    )
    op.create_index(
        "ix_orders_buyer_id",
        "orders",
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "buyer_id",
            "created_at",
            "id",
        ],
        unique=False,
    )
    op.create_index(
        "ix_orders_created_at",
        "orders",
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "created_at",
            "id",
        ],
        unique=False,
    )
    op.create_index(
        "ix_orders_state",
        "orders",
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "state",
            "pay_until",
        ],
        unique=False,
    )
    # {% endif %}
    # {% if cookiecutter.include_example %}
    op.create_table(
        "products",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("stock", sa.BigInteger(), server_default="0", nullable=False),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        # {% endif %}
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("live", sa.Boolean(), server_default=sa.text("true"), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("updated_by", sa.Uuid(), nullable=True),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_products_tenant_id"),
        # {% endif %}
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.UniqueConstraint("tenant_id", "id", name="uq_products_tenant_id_id"),
        # {% endif %}
        sa.UniqueConstraint(
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "sku",
            "live",
            name="uq_products_sku",
        ),
    )
    op.create_index(
        "ix_products_created_at",
        "products",
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "created_at",
            "id",
        ],
        unique=False,
    )
    op.create_index(
        "ix_products_name",
        "products",
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "name",
            "id",
        ],
        unique=False,
    )
    op.create_index(
        "ix_products_price",
        "products",
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "price",
            "id",
        ],
        unique=False,
    )
    op.create_index(
        "ix_products_sku",
        "products",
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "sku",
            "id",
        ],
        unique=False,
    )
    # {% endif %}
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        sa.Column("repeated_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["auth_sessions.id"],
            name="fk_refresh_tokens_session_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
        sa.UniqueConstraint("token_hash", name="uq_refresh_tokens_token_hash"),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"], unique=False)
    # {% if cookiecutter.include_example %}
    op.create_table(
        "order_lines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        # {% endif %}
        sa.ForeignKeyConstraint(
            *references(
                "orders",
                # {% if cookiecutter.multi_tenancy == "row" %}
                "tenant_id",
                # {% endif %}
                "order_id",
            ),
            name="fk_order_lines_order_id",
            ondelete="CASCADE",
        ),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_order_lines_tenant_id"),
        # {% endif %}
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
        # {% if cookiecutter.multi_tenancy == "row" %}
        sa.UniqueConstraint("tenant_id", "id", name="uq_order_lines_tenant_id_id"),
        # {% endif %}
        sa.UniqueConstraint(
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            "order_id",
            "position",
            name="uq_order_lines_order_id_position",
        ),
    )
    # {% endif %}


def downgrade() -> None:
    """Drop them."""
    # {% if cookiecutter.include_example %}
    op.drop_table("order_lines")
    # {% endif %}
    op.drop_table("refresh_tokens")
    # {% if cookiecutter.include_example %}
    op.drop_table("products")
    # {% endif %}
    # {% if cookiecutter.include_example %}
    op.drop_table("orders")
    # {% endif %}
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.drop_table("memberships")
    # {% endif %}
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.drop_table("invitations")
    # {% endif %}
    op.drop_table("user_roles")
    # {% if cookiecutter.multi_tenancy == "row" %}
    op.drop_table("tenants")
    # {% endif %}
    op.drop_table("mailed_tokens")
    op.drop_table("auth_sessions")
    op.drop_table("users")
    op.drop_table("roles")
    op.drop_table("jobs")
    op.drop_table("idempotency_keys")
    op.drop_table("audit_events")

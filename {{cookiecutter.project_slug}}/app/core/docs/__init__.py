"""The documentation page: Swagger UI, self-hosted."""

from html import escape
from pathlib import Path, PurePosixPath

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from app.core.routing import API_PREFIX, SERVICE, router as new_router
from app.core.security.access import public
from app.core.settings import Environment, Settings

FOLDER = Path(__file__).parent
PAGE = (FOLDER / "page.html").read_text(encoding="utf-8")
ASSETS = ["favicon-32x32.png", "start.js", "swagger-ui-bundle.js", "swagger-ui.css"]
# The package is only a source of files; none of its code runs. Installers may have symlinked them.
STATIC = StaticFiles(
    directory=FOLDER / "static", packages=[("fastapi_swagger", "resources")], follow_symlink=True
)
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"

docs = new_router("/docs", tag="docs", about=SERVICE, prefix="")
root = new_router("", tag="docs", about=SERVICE, prefix="")


@docs.get("", dependencies=[public], include_in_schema=False)
async def read_docs(request: Request) -> HTMLResponse:
    """The page; its URLs are relative, so that it works under any prefix."""
    app: FastAPI = request.app
    values = {"title": app.title, "document": str(app.openapi_url).removeprefix("/")}
    page = PAGE
    for name, value in values.items():
        page = page.replace(f"[[ {name} ]]", escape(value))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


async def read_asset(request: Request) -> Response:
    """A file of the page; the browser revalidates it each time, and refetches it only if it changed."""
    name = PurePosixPath(request.scope["path"]).name
    response = await STATIC.get_response(name, request.scope)
    response.headers["Cache-Control"] = "no-cache"
    return response


for name in ASSETS:
    docs.add_api_route(f"/{name}", read_asset, dependencies=[public], include_in_schema=False)


@root.get("/", dependencies=[public], include_in_schema=False)
async def find_docs() -> RedirectResponse:
    """Redirect the bare address to the documentation, in development."""
    return RedirectResponse("docs")


def document_url(settings: Settings) -> str | None:
    """Where the OpenAPI document is served, if it is."""
    return f"{API_PREFIX}/openapi.json" if settings.api_docs else None


def install(app: FastAPI, settings: Settings) -> None:
    """Add the page, if the document is served."""
    if settings.api_docs:
        app.include_router(docs)
        if settings.environment is Environment.LOCAL:
            app.include_router(root)

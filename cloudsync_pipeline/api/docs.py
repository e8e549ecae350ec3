"""How the API is called, as OpenAPI tells it, and a page that shows that; its scripts come from here."""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

from cloudsync_pipeline.api.gate import ASSETS
from cloudsync_pipeline.api.problems import ProblemDocument

DESCRIPTION = """
Syncs of customers' storages into the company's file manager: launched, watched, decided on.

Send `Authorization: Bearer KEY`. A key has scopes: `read` looks, `sync` launches syncs and hands over events, `admin`
decides on held deletes and has the other two. Lists come in pages: hand `next_cursor` back as `cursor` until it is
null. Errors are problem documents (RFC 9457); `remedy` says what to do.
"""


def add_docs(app: FastAPI) -> None:
    """Serve `/docs`, and describe the API with every error it answers."""
    app.mount(ASSETS.rstrip("/"), StaticFiles(directory=str(resources.files("fastapi_offline") / "static")))
    app.add_api_route("/docs", _page, include_in_schema=False)
    described: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not described:
            described.update(_described(app))
        return described

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it, "Extending OpenAPI"


async def _page() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="cloudsync API",
        swagger_js_url=f"{ASSETS}swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}favicon.png",
    )


def _described(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {**schema.pop("$defs", {}), "ProblemDocument": schema}
    return document

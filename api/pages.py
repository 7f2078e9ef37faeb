"""The web page, and the interactive documentation: files of this package and of a pinned Swagger UI, nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

WEB = Path(__file__).parent / "web"
PARTS_OF_PAGES = (".js", ".css", ".svg")
SWAGGER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")

router = APIRouter(include_in_schema=False)


def _swagger() -> Path:
    # Only the folder is looked up: the package's code, a Flask blueprint, is never imported.
    spec = importlib.util.find_spec("flask_swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("flask-swagger-ui is not installed: run `make setup`.")
    return Path(spec.submodule_search_locations[0]) / "dist"


def _serve(path: str, file: Path) -> None:
    # One route per file that exists for the public: no path from outside ever reaches the file system.
    @router.get(path)
    async def page() -> FileResponse:
        return FileResponse(file, headers={"Cache-Control": "no-cache"})


_serve("/", WEB / "index.html")
_serve("/federation", WEB / "federation.html")
_serve("/docs", WEB / "docs.html")
for _file in sorted(WEB.iterdir()):
    if _file.suffix in PARTS_OF_PAGES:
        _serve(f"/web/{_file.name}", _file)
for _name in SWAGGER_FILES:
    _serve(f"/web/{_name}", _swagger() / _name)
_serve("/favicon.ico", WEB / "icon.svg")

"""The portal, put together: settings in, a Flask application out."""

import datetime as dt
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from flask_babel import Babel, get_locale
from flask_bootstrap import Bootstrap5

from crypto.custody import PLATFORM
from crypto.vault import Vault
from models.clock import clock_of
from models.cluster import login_url
from models.custody import open_vault
from models.database import Database
from models.objects import open_store
from models.settings import Settings
from portal import access, errors, formats, scripts, texts
from portal.api import BLUEPRINTS as API
from portal.description import ProblemApi
from portal.refusals import fault
from portal.requests import refuse_malformed
from portal.web import BLUEPRINTS as PAGES
from portal.web.forms import note_fault
from portal.web.frame import frame

LANGUAGES = ("zh", "en")
BODY_BYTES_MAX = 1 << 20  # uploads raise this for themselves

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; media-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def create_app(settings: Settings, database: Database | None = None) -> Flask:
    """The application over `database`, or over the one that the settings name."""
    app = Flask("portal", root_path=str(Path(__file__).parent))
    app.config.update(
        API_TITLE="Consign",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
        BABEL_DEFAULT_LOCALE="zh",
        BABEL_DEFAULT_TIMEZONE="Asia/Shanghai",
        BABEL_TRANSLATION_DIRECTORIES="translations",
        BOOTSTRAP_SERVE_LOCAL=True,
        MAX_CONTENT_LENGTH=BODY_BYTES_MAX,
        SECURE_COOKIES=settings.secure_cookies,
        SESSION_COOKIE_NAME="consign_flash",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_SAMESITE="Lax",
        LOG_HOST=settings.host,
    )
    app.extensions["consign.settings"] = settings
    app.extensions["consign.database"] = database or Database(
        login_url(settings), open_vault(settings), clock_of(settings)
    )
    app.extensions["consign.objects"] = cache(lambda: open_store(settings.object_store, require_write_once=False))
    app.secret_key = flash_key(app.extensions["consign.database"].vault)
    Babel(app, locale_selector=chosen_language)
    texts.install(app)
    Bootstrap5(app)
    formats.install(app.jinja_env, lambda: str(get_locale()), page_clock)
    app.jinja_env.filters["fault"] = fault
    app.jinja_env.globals.update(integrity=scripts.integrity, opener_modules=scripts.OPENER, note_fault=note_fault)
    errors.register(app)
    app.context_processor(frame)
    app.before_request(refuse_malformed)
    api = ProblemApi(app)
    for blueprint in API:
        api.register_blueprint(blueprint, url_prefix="/api/v1")
    for page in PAGES:
        app.register_blueprint(page)
    app.after_request(harden)
    _mark_public(app)
    return app


def flash_key(vault: Vault) -> bytes:
    """What signs the one message that a redirect carries along: the same in every process, never stored.

    Nothing else is in that cookie; who is signed in stands in the database. Ed25519 signs one message one way.
    """
    return sha256(vault.custody.sign(PLATFORM, "cookie", b"consign/flash/1")).digest()


def page_clock() -> dt.datetime:
    """Pages tell relative times by the clock that the Works tell theirs by."""
    return access.database().clock()


def chosen_language() -> str:
    """The cookie's choice, else the account's, else the browser's; a program that asks for none reads English."""
    chosen = request.cookies.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    if request.path.startswith("/api/"):
        return request.accept_languages.best_match(LANGUAGES, "en") or "en"
    known = g.get("known")
    if known and known.member.locale:
        return str(known.member.locale)
    return request.accept_languages.best_match(LANGUAGES, "zh") or "zh"


def harden(response: Response) -> Response:
    """Nothing from elsewhere, nothing kept by caches, nothing told to other sites."""
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    if request.endpoint not in {"static", "bootstrap.static"}:
        response.headers.setdefault("Cache-Control", "no-store")
    if request.path.startswith("/api/"):
        response.headers.setdefault("Content-Language", str(get_locale()))
    return response


def _mark_public(app: Flask) -> None:
    """Static files and the API's description hold nothing of anyone."""
    for endpoint in ("static", "bootstrap.static", "api-docs.openapi_json"):
        view: Any = app.view_functions[endpoint]
        app.view_functions[endpoint] = access.public(lambda *args, _view=view, **kwargs: _view(*args, **kwargs))

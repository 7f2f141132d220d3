"""The portal for a WSGI server: `gunicorn wsgi:app`."""

from models.settings import Settings
from portal.app import create_app

app = create_app(Settings.from_environment())

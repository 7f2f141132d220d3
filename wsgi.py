"""The portal for a WSGI server: `gunicorn wsgi:app`."""

import atexit
import gc

from models.settings import Settings
from portal.app import create_app

app = create_app(Settings.from_environment())

# What is loaded now stays: no collection has to walk through it again, which would stop every thread for long.
gc.collect()
gc.freeze()
atexit.register(gc.unfreeze)

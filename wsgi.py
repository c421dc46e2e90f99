"""The WSGI application: settings from the environment, the parts put together, the web on top."""

from jobs.services import build
from jobs.settings import Settings
from web import create_app

app = create_app(build(Settings.from_environ()))

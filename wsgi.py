"""The WSGI application: settings from the environment, the parts put together, the web on top."""

from jobs import logs
from jobs.services import build
from jobs.settings import Settings
from web import create_app

settings = Settings.from_environ()
logs.configure(as_json=settings.log_json)
app = create_app(build(settings))

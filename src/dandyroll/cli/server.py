"""Which server a command talks to, and with which key."""

import argparse

import dandyroll
from dandyroll.settings import BadSetting, Settings


def add_server_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", metavar="URL", help="the server (DANDYROLL_URL)")
    command.add_argument("--key", metavar="KEY", help="your API key (better in DANDYROLL_KEY)")


def server_settings(options: argparse.Namespace) -> Settings:
    """The settings, which do name a server and a key. Raises `BadSetting`."""
    settings = Settings.from_env(url=options.url, key=options.key)
    for name in ("url", "key"):
        if not getattr(settings, name):
            raise BadSetting(f"DANDYROLL_{name.upper()}: expected it to be set, or --{name} given.")
    return settings


def open_client(options: argparse.Namespace) -> "dandyroll.Client":
    """A client of the server that the options or the environment name. Raises `BadSetting`."""
    settings = server_settings(options)
    return dandyroll.Client(settings.url, settings.key)

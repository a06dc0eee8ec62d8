"""`dandyroll cdn`: the CDN's signing keys, and the page behind it."""

import argparse

from dandyroll.aws.cdn import KEYS
from dandyroll.aws.cdn_keys import PARAMETERS, drop_key, ensure_key
from dandyroll.aws.page import publish_page
from dandyroll.aws.stack import operators_cloud, stack_parameters
from dandyroll.cli.report import print_error
from dandyroll.cli.subcommands import Subcommands, add_stack_options, find_stack
from dandyroll.settings import Settings


def add_commands(commands: Subcommands) -> None:
    group = commands.add_parser("cdn", help="the AWS home's CDN: signing keys, the page")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    key = actions.add_parser("key", help="make a signing key, or tell it: the template's parameter")
    key.set_defaults(command=_key)
    drop = actions.add_parser("drop-key", help="delete a signing key that no longer signs")
    drop.set_defaults(command=_drop_key)
    for command in (key, drop):
        command.add_argument("key", choices=KEYS)
        add_stack_options(command)
    publish = actions.add_parser("publish", help="put the page where the CDN serves it from")
    publish.set_defaults(command=_publish)
    add_stack_options(publish)


def _key(options: argparse.Namespace) -> int:
    # By its name alone: the first key is made before there is a stack.
    stack = options.stack or Settings.from_env().stack
    cloud = operators_cloud(options.region)
    if stack_parameters(stack, cloud) is None:
        print_error(f"there is no stack {stack} yet: this key is for one that will be called so")
    value = ensure_key(cloud, stack, options.key)
    print(f"{PARAMETERS[options.key]}={value}")
    return 0


def _drop_key(options: argparse.Namespace) -> int:
    stack = options.stack or Settings.from_env().stack
    dropped = drop_key(operators_cloud(options.region), stack, options.key)
    print(f"{options.key}: {'deleted' if dropped else 'there was none'}")
    return 0


def _publish(options: argparse.Namespace) -> int:
    stack = find_stack(options)
    url = stack.output("CdnUrl")
    for key in publish_page(stack):
        print(f"put {key}")
    print(url)
    return 0

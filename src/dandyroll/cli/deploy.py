"""`dandyroll deploy`: the AWS home from this checkout into an account, or its upgrade."""

import argparse
import sys
from dataclasses import replace

from dandyroll.aws.adopt import adopt
from dandyroll.aws.deploy import AFTER_DEPLOY, deploy, describe_changes, last_event
from dandyroll.aws.prerequisites import Wanted, examine
from dandyroll.cli.subcommands import Subcommands, add_stack_options
from dandyroll.settings import BadSetting, Settings

_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("deploy", help="put the AWS home up, or upgrade it")
    add_stack_options(command)
    command.add_argument("--architecture", choices=("arm64", "x86_64"), help="(arm64)")
    help_ = "of deploy/template.yaml; what is not named stays as it is"
    command.add_argument(
        "--parameter",
        type=_parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=help_,
    )
    help_ = "take over the bucket and table that an earlier stack of the name has left"
    command.add_argument("--adopt", action="store_true", help=help_)
    command.add_argument("--check", action="store_true", help="look at what it needs, no more")
    command.add_argument("--yes", action="store_true", help="do not ask before changing anything")
    command.set_defaults(command=_deploy)


def _deploy(options: argparse.Namespace) -> int:
    parameters = dict(options.parameter)
    if options.architecture:
        parameters["Architecture"] = options.architecture
    name = options.stack or Settings.from_env().stack
    if not (options.check or options.yes or sys.stdin.isatty()):
        raise BadSetting("Expected a terminal to ask at, or --yes; got neither.")
    checks, plan = examine(Wanted(name, options.region, parameters, options.adopt))
    for check in checks:
        print(f"{_MARKS[check.state]}  {check.name}: {check.says}")
        if check.fix and check.state != "ok":
            print(f"       fix: {check.fix}")
    if plan is None:
        return 1
    if options.check:
        return 0
    sys.stdout.flush()  # before what the tools say
    if options.adopt and not plan.stands:
        adopt(plan)
        plan = replace(plan, stands=True)
    before = last_event(plan)
    stack = deploy(plan, ask=not options.yes)
    print(describe_changes(stack, before))
    print(f"API: {stack.output('ApiUrl')}")
    for step in AFTER_DEPLOY:
        says = step(stack)
        if says:
            print(says)
    return 0


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name.isalnum() or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE; got {text!r}")
    return name, value

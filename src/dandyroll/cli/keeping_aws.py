"""`dandyroll restore --aws` and `verify --aws`: what keeps a stack's table and bucket in step."""

import argparse
from collections import Counter
from collections.abc import Iterator

from dandyroll.aws.home import open_upkeep
from dandyroll.aws.restore import open_source, restore_rows
from dandyroll.aws.stack import Stack
from dandyroll.aws.verify import Care, verify
from dandyroll.cli.report import print_error, print_json
from dandyroll.findings import Finding

_OUTCOMES = ("restored", "kept", "gone", "busy", "unreadable")


def verify_on_aws(options: argparse.Namespace, stack: Stack) -> Iterator[Finding]:
    """What `verify` finds in the stack."""
    care = Care(options.read, options.repair, options.forget)
    return verify(open_upkeep(stack.settings(), stack.cloud), care)


def restore_on_aws(options: argparse.Namespace, stack: Stack) -> int:
    """Rows back from the table `--from`; says how many, and of which image what was not."""
    if options.data:
        raise ValueError("--data: expected none beside --aws; rows go into the stack's own table.")
    if options.source == stack.output("TableName"):
        raise ValueError(f"--from {options.source}: expected another table than the stack's own.")
    counts: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
    upkeep = open_upkeep(stack.settings(), stack.cloud)
    for done in restore_rows(upkeep, open_source(options.source, stack.cloud)):
        counts[done.outcome] += 1
        if done.outcome in ("gone", "busy", "unreadable"):
            print_error(f"{done.image_id}: {done.outcome}")
    if options.json:
        print_json(counts)
    else:
        print(", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES))
    return 1 if counts["unreadable"] or counts["busy"] else 0

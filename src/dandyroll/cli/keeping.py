"""`dandyroll backup`, `restore`, `verify` and `doctor`: what keeps an installation in order."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dandyroll.cli.key_homes import refuse
from dandyroll.cli.subcommands import Subcommands, add_aws_option, add_config_option, find_stack
from dandyroll.findings import Finding
from dandyroll.local.backup import backup
from dandyroll.local.config import read_settings
from dandyroll.local.doctor import examine
from dandyroll.local.restore import restore
from dandyroll.local.verify import verify_folder
from dandyroll.settings import Settings

_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("backup", help="copy the data folder, beside a running server")
    command.add_argument(
        "--to", type=Path, required=True, metavar="DIR_OR_TAR", help="a new folder, or NAME.tar"
    )
    command.add_argument(
        "--previous", type=Path, metavar="DIR", help="link what has not changed since this backup"
    )
    command.set_defaults(command=_backup)
    _add_common(command)

    command = commands.add_parser("restore", help="make a data folder out of a backup")
    command.add_argument(
        "--from",
        required=True,
        dest="source",
        metavar="DIR_OR_TAR",
        help="the backup; with --aws the table that point-in-time recovery made",
    )
    command.add_argument("--data", type=Path, metavar="DIR", help="a new folder")
    command.add_argument("--json", action="store_true", help="for machines")
    command.set_defaults(command=_restore)
    add_aws_option(command)

    command = commands.add_parser("verify", help="compare every row, object and checksum")
    command.add_argument("--repair", action="store_true", help="put right what can be")
    command.add_argument("--read", action="store_true", help="with --aws: fetch and compare bytes")
    command.add_argument(
        "--forget", action="store_true", help="with --aws: remove rows without any object"
    )
    command.set_defaults(command=_verify)
    _add_common(command)
    add_aws_option(command)

    command = commands.add_parser("doctor", help="check the installation")
    command.set_defaults(command=_doctor)
    _add_common(command)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")
    add_config_option(command)
    command.add_argument("--json", action="store_true", help="for machines")


def _backup(options: argparse.Namespace) -> int:
    done = backup(_settings(options).data_dir, options.to, options.previous)
    if options.json:
        _print_json({**asdict(done), "path": str(done.path)})
    else:
        print(f"{done.images} images, {done.objects} objects, {done.size_bytes} bytes: {done.path}")
        for image_id in done.damaged:
            print(f"not whole before the backup: {image_id}; see: dandyroll verify")
    return 1 if done.damaged else 0


def _restore(options: argparse.Namespace) -> int:
    if options.aws:
        stack = find_stack(options)
        # Imported after, as below: it needs the extra `aws`, which the line before asks for.
        from dandyroll.cli.keeping_aws import restore_on_aws

        return restore_on_aws(options, stack)
    if not options.data:
        raise ValueError("--data: expected a new folder; got none.")
    done = restore(Path(options.source), options.data)
    if options.json:
        findings = [asdict(finding) for finding in done.findings]
        _print_json({"images": done.images, "findings": findings, "ok": not findings})
    else:
        _print_findings(done.findings)
        print(f"{done.images} images restored to {options.data}, {len(done.findings)} findings")
    return 1 if done.findings else 0


def _verify(options: argparse.Namespace) -> int:
    if not options.aws and (options.read or options.forget):
        raise ValueError("--read and --forget: expected --aws beside them; got none.")
    if options.aws:
        refuse(options, ("data", "config"), "With --aws expected --stack and --region")
    else:
        refuse(options, ("stack", "region"), "Expected --aws")
    findings = []
    for finding in _look(options):
        findings.append(finding)
        if not options.json:
            _print_findings([finding])
    left = sum(finding.repaired is None for finding in findings)
    if options.json:
        _print_json({"findings": [asdict(finding) for finding in findings], "ok": not left})
    else:
        print(f"{len(findings)} findings, {len(findings) - left} repaired, {left} left")
    return 1 if left else 0


def _look(options: argparse.Namespace) -> Iterator[Finding]:
    if options.aws:
        stack = find_stack(options)
        from dandyroll.cli.keeping_aws import verify_on_aws

        return verify_on_aws(options, stack)
    return verify_folder(_settings(options), options.repair)


def _doctor(options: argparse.Namespace) -> int:
    checks = examine(_settings(options))
    if options.json:
        _print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            print(f"{_MARKS[check.state]}  {check.name}: {check.says}")
            if check.fix:
                print(f"       fix: {check.fix}")
    return 1 if any(check.state == "wrong" for check in checks) else 0


def _settings(options: argparse.Namespace) -> Settings:
    return read_settings(options.config, data_dir=options.data)


def _print_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        done = f"; {finding.repaired}" if finding.repaired else ""
        print(f"{finding.kind}  {finding.what}: {finding.says}{done}", flush=True)


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=2)
    print()

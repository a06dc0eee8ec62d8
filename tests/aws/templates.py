"""CloudFormation's YAML, its short tags read as what they stand for."""

from typing import Any

import yaml

from deploy.build import ROOT


class _Loader(yaml.SafeLoader):
    pass


def _tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".")
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def template() -> dict[str, Any]:
    return parsed((ROOT / "deploy" / "template.yaml").read_text("utf-8"))


def parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 # a SafeLoader
    return found

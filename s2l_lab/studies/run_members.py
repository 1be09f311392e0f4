"""The policies of a stored run whose weights are on this machine, before a model is opened or a byte is fetched.

A tokenizer alone is enough to read rollouts token by token, not to score them. Light to import: pages ask this first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from s2l_lab.errors import UsageError
from s2l_lab.policies.checkpoint import HASHED, find_here
from s2l_lab.policies.families import Member
from s2l_lab.policies.opening import choose_engine


def member_here(config: Mapping[str, Any], name: str) -> Member | str:
    """A policy of the run with this configuration, its source the directory here that holds its weights; else in one
    line what is missing. Opening such a member touches no network, whatever the run's policy came from, and fails where
    its files are not those that the run recorded."""
    policies = config.get("policies")
    record = policies.get(name) if isinstance(policies, dict) else None
    if not isinstance(record, dict) or not record.get("source"):
        return f"{name}: the run does not say where its weights are."
    wanted = {key: record.get(key) for key in ("source", "revision")} | {"template": record.get("template") or "raw"}
    try:
        named = Member.model_validate({"name": name} | wanted)
        choose_engine(named, "transformers")
    except ValidationError:
        return f"{name}: what the run says of it names no model."
    except UsageError as error:  # an endpoint or a script
        return str(error)
    root = config.get("model_root")
    found = find_here(named, Path(root) if isinstance(root, str) else None)
    if isinstance(found, str):
        return found
    # A hash is kept and held against the files when they are opened; a commit says nothing about a directory.
    hashed = named.revision if (named.revision or "").startswith(HASHED) else None
    return named.model_copy(update={"source": str(found), "revision": hashed})

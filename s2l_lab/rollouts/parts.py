"""Parts: the Parquet files of a run, the ledger that says which of them are live, and their merging.

`parts.json` is the truth. A part is written whole (see `durable`), then the ledger that lists it replaces the old one;
a kill between the two leaves an unlisted file, which is no part of the run and is swept by the next writer. Part
numbers are never used twice, so a name means one content for ever and a reader with an older ledger can never read
another file under a name it knows.

Readers take the ledger's list, never a glob (a glob counts rows twice while parts are merged), and leave out a part
that is missing, cut or has another number of rows than listed: one bad file would otherwise fail every query. A writer
sets such a file aside under `.damaged` and takes it off the list, so that its keys are owed again.

Flushing every few seconds would leave thousands of files, so sixteen parts of one size class (powers of sixteen in
bytes) are merged into one: each row is rewritten about once per class, and a run has fewer than a hundred parts. What a
merge replaces stays on disk until the next merge or close, so that a reader in the middle of a query can end it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from s2l_lab import __version__
from s2l_lab.errors import DataError
from s2l_lab.rollouts.durable import TEMPORARY_SUFFIX, make_folder, replacing
from s2l_lab.rollouts.parquet import DamagedPartError, fault, read_batches, write_row_groups

SCHEMA_VERSION = 1
"""Of the run directory: names, columns, ledger. A run of another version is refused, never guessed at."""

FAN_IN = 16
"""Parts of one size class that are merged into one; also the ratio between classes."""
LARGEST_MERGED_BYTES = FAN_IN**7
"""268 MB: parts of this class or above are left alone, so that no merge holds up sampling for long."""

LEDGER = "parts.json"
ROLLOUTS_FOLDER = "rollouts"
VERDICTS_FOLDER = "verdicts"
"""With one folder per verifier version in it, so that verifying anew never rewrites rollouts."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One live file."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The content of parts.json: paths relative to the run directory, such as `rollouts/part-000001.parquet`."""

    next_number: int
    parts: dict[str, Part]

    def folder(self, folder: str) -> dict[str, Part]:
        """The live parts of one folder."""
        return {name: part for name, part in self.parts.items() if name.rpartition("/")[0] == folder}


class Parts:
    """The parts below one run directory. `writable` is given to the holder of the run's lock only."""

    def __init__(self, root: Path, *, writable: bool) -> None:
        self._root = root
        self._writable = writable
        self._whole: set[str] = set()
        """Parts whose footers were checked: parts never change, so once is enough."""
        self.damaged: dict[str, str] = {}
        """Parts that this object left out, and why."""

    def create(self) -> None:
        """Write the empty ledger that makes a folder a run directory."""
        self._write_ledger(Ledger(1, {}))

    def ledger(self) -> Ledger:
        """The ledger as it stands on disk. Raises DataError: absent, unreadable, of another schema version."""
        path = self._root / LEDGER
        try:
            content = json.loads(path.read_bytes())
            version = content["schema"]
            if version == SCHEMA_VERSION:
                parts = {name: Part(**facts) for name, facts in content["parts"].items()}
                return Ledger(content["next_number"], parts)
        except FileNotFoundError as cause:
            raise DataError(f"{self._root} is not a run directory: it has no {LEDGER}.") from cause
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise DataError(
                f"{path} cannot be read ({cause}). The parts beside it are untouched: restore {LEDGER} from a copy, "
                f"or give --out another directory."
            ) from cause
        raise DataError(
            f"{self._root} was written with schema version {version} by s2l-lab {content.get('s2l_lab', 'unknown')}; "
            f"this is s2l-lab {__version__}, which reads version {SCHEMA_VERSION}. Use that release for this run, or "
            f"give --out another directory."
        )

    def live(self, folder: str, ledger: Ledger) -> list[Path]:
        """The folder's whole parts; the others are named in the log and left out (and set aside, by a writer)."""
        names = []
        for name, part in ledger.folder(folder).items():
            if name in self.damaged:
                continue
            if name not in self._whole:
                if reason := fault(self._root / name, part.rows, part.bytes):
                    self.condemn(name, reason)
                    continue
                self._whole.add(name)
            names.append(self._root / name)
        return names

    def find_damage(self, ledger: Ledger) -> bool:
        """Read every live part to the last page and condemn what cannot be read. True if there was any."""
        before = len(self.damaged)
        for name, part in ledger.parts.items():
            if name not in self.damaged:
                try:
                    for _ in read_batches(self._root / name):
                        pass
                except DamagedPartError as damage:
                    self.condemn(name, str(damage))
                else:
                    if reason := fault(self._root / name, part.rows, part.bytes):
                        self.condemn(name, reason)
        return len(self.damaged) > before

    def condemn(self, name: str, reason: str) -> None:
        """Leave a part out from now on; a writer also takes it off the ledger and keeps the file under `.damaged`."""
        _log.warning("%s/%s is left out: %s. What it held is owed again.", self._root, name, reason)
        self.damaged[name] = reason
        if not self._writable:
            return
        path = self._root / name
        # The file first: a kill in between leaves a listed file that is missing, which ends here again.
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name(f"{path.name}.damaged"))
        ledger = self.ledger()
        self._write_ledger(replace(ledger, parts={n: p for n, p in ledger.parts.items() if n != name}))

    def add(self, folder: str, table: pa.Table) -> None:
        """Store a table as one more part, and merge where parts have become many. Raises WriteError."""
        if not table.num_rows:
            return
        # The ledger is read back each time: what stands on disk is the truth even after an interrupted write.
        self._replace(self.ledger(), folder, [table], table.schema, merged=[])
        while group := self._mergeable(folder):
            self.sweep()
            self._merge(folder, group)

    def rewrite(self, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
        """Replace one live part by another with as many rows, in one step. `change` gets the rows piece by piece.

        Raises DamagedPartError if the part cannot be read.
        """
        tables = (change(table) for table in read_batches(self._root / name))
        folder = name.rpartition("/")[0]
        self._replace(self.ledger(), folder, tables, pq.read_schema(self._root / name), merged=[name])

    def sweep(self) -> None:
        """Delete the part and temporary files that the ledger does not list; other files are not ours to touch."""
        listed = self.ledger().parts
        folders = [self._root, self._root / ROLLOUTS_FOLDER, *(self._root / VERDICTS_FOLDER).glob("*")]
        for folder in folders:
            for path in [*folder.glob("part-*.parquet"), *folder.glob(f".*{TEMPORARY_SUFFIX}")]:
                if path.relative_to(self._root).as_posix() not in listed:
                    path.unlink(missing_ok=True)

    def _mergeable(self, folder: str) -> list[str]:
        classes: dict[int, list[str]] = defaultdict(list)
        for name, part in self.ledger().folder(folder).items():
            if part.bytes < LARGEST_MERGED_BYTES:
                classes[int(math.log(part.bytes, FAN_IN))].append(name)
        return next((names[:FAN_IN] for _, names in sorted(classes.items()) if len(names) >= FAN_IN), [])

    def _merge(self, folder: str, names: list[str]) -> None:
        schema = pq.read_schema(self._root / names[0])
        tables = (table for name in names for table in read_batches(self._root / name))
        try:
            self._replace(self.ledger(), folder, tables, schema, merged=names)
        except DamagedPartError:
            # Condemned parts leave the ledger, so the caller's next look finds a smaller group.
            if not self.find_damage(self.ledger()):
                raise

    def _replace(
        self, ledger: Ledger, folder: str, tables: Iterable[pa.Table], schema: pa.Schema, *, merged: list[str]
    ) -> None:
        """Write one part; then, in one step, list it and take the parts that it replaces off the ledger."""
        name = f"{folder}/part-{ledger.next_number:06d}.parquet"
        path = self._root / name
        make_folder(path.parent)
        with replacing(path) as file:
            rows = write_row_groups(file, tables, schema)
        new = {name: Part(rows, path.stat().st_size)}
        parts: dict[str, Part] = {}
        for (
            old,
            part,
        ) in ledger.parts.items():  # in its old place: the order of parts is that of verifier versions
            parts |= {} if old in merged[1:] else new if old in merged[:1] else {old: part}
        parts |= new
        expected = sum(ledger.parts[old].rows for old in merged)
        if merged and rows != expected:
            raise DataError(f"merging {folder} read {rows} rows of {expected}; the parts are left as they were.")
        self._write_ledger(Ledger(ledger.next_number + 1, parts))
        self._whole.add(name)

    def _write_ledger(self, ledger: Ledger) -> None:
        content = {
            "schema": SCHEMA_VERSION,
            "s2l_lab": __version__,
            "next_number": ledger.next_number,
            "parts": {name: {"rows": part.rows, "bytes": part.bytes} for name, part in ledger.parts.items()},
        }
        with replacing(self._root / LEDGER) as file:
            file.write(json.dumps(content, indent=1).encode())

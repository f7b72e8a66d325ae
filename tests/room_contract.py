"""The contract of a room: what it may import. `lint-imports` checks it for each row of a table.

import-linter's own contracts say what is forbidden, so that each would have to name each new
room; this one names what is allowed.
"""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

_BACKENDS = {"keras", "tensorflow", "jax", "torch"}


class RoomContract(Contract):
    """A room of the package imports only the rooms and the libraries that it may.

    Imports within functions and for type checking count as any other. `keras_lcb` among what may
    be imported is the package's public face. Of other libraries, only backends are watched.
    """

    room = fields.StringField()
    may_import = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Finds imports that are not allowed."""
        package = "keras_lcb"
        room = f"{package}.{self.room}"
        allowed = {f"{package}.{name}" for name in self.may_import or ()} | {room}
        libraries = _BACKENDS - set(self.may_import or ())
        refused = []
        for module in sorted({room, *graph.find_descendants(room)}):
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                other = ".".join(imported.split(".")[:2])
                is_room = imported.startswith(f"{package}.") and other not in allowed
                is_face = imported == package and package not in (self.may_import or ())
                if is_room or is_face or imported.split(".")[0] in libraries:
                    refused += graph.get_import_details(importer=module, imported=imported)
        return ContractCheck(kept=not refused, metadata={"refused": refused})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Says which lines import what they may not."""
        for found in check.metadata["refused"]:
            output.print_error(
                f"{found['importer']}, line {found['line_number']}: {found['line_contents']}"
            )
        allowed = ", ".join(sorted(self.may_import or ())) or "no other room"
        output.print_error(f"{self.room} may import {allowed}; see ARCHITECTURE.md.")

"""What a query may ask for, computed before it is validated or executed.

Validation takes time that grows with the square of repeated fields, so the size of the document is
checked first, with its fragments expanded and its repeated fields merged, as for execution.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from app.features.graphql.failures import QueryTooLarge
from app.features.graphql.settings import GraphQLSettings

INTROSPECTION = ("__schema", "__type")
"""Their depth is limited by validation."""
MOST_REPEATED = 50
"""How many fields of one selection may have the same name as another."""
NODES_PER_READ = 100
"""How many nodes cost as much as one read."""
VALUES_PER_READ = 1_000
"""How many values, of fields of those nodes, cost as much as one read."""
READS_PER_WRITE = 5


def require(limits: GraphQLSettings, what: str, found: int) -> None:
    """Refuse more than the limit."""
    most: int = getattr(limits, f"max_{what}")
    if found > most:
        raise QueryTooLarge(f"The query exceeds the limit of {most} {what}.", limit=most)


def require_few_values(limits: GraphQLSettings, variables: Mapping[str, Any]) -> None:
    """Refuse variables of many values, as each is coerced."""
    found, within = 0, list[Any](variables.values())
    while within:
        found += len(within)
        require(limits, "values", found)
        within = [inner for each in within for inner in values_in(each)]


def values_in(value: Any) -> Collection[Any]:  # noqa: ANN401, of JSON
    """What a list or an object holds."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


@dataclass(slots=True)
class Measure:
    """Counts a document until it exceeds a limit."""

    limits: GraphQLSettings
    fragments: Mapping[str, FragmentDefinitionNode]
    counts: Counter[str] = field(default_factory=Counter[str])
    opened: list[str] = field(default_factory=list[str])
    """The fragments that enclose the current selection."""
    spreads: set[str] = field(default_factory=set[str])
    """The fragments that were counted where they are spread."""

    def count(self, what: str, more: int = 1) -> None:
        """Count more fields, aliases or directives."""
        self.counts[what] += more
        require(self.limits, what, self.counts[what])

    def directives(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> None:
        """Count the directives of a definition and of its variables."""
        for each in (node, *(node.variable_definitions or ())):
            self.count("directives", len(each.directives or ()))

    def selection(self, merged: Sequence[SelectionSetNode], depth: int) -> None:
        """Count selections that are merged, and what is selected in them."""
        require(self.limits, "depth", depth)
        fields: dict[str, list[FieldNode]] = {}
        for selected in merged:
            for each in self.expanded(selected):
                name = each.alias or each.name
                fields.setdefault(name.value, []).append(each)
        if sum(map(len, fields.values())) - len(fields) > MOST_REPEATED:
            raise QueryTooLarge("The query repeats too many fields.", limit=MOST_REPEATED)
        for same in fields.values():
            if inner := [each.selection_set for each in same if each.selection_set]:
                free = all(each.name.value in INTROSPECTION for each in same)
                self.selection(inner, 0 if free else depth and depth + 1)

    def expanded(self, selected: SelectionSetNode) -> Iterator[FieldNode]:
        """The fields of a selection, those of its fragments included."""
        for each in selected.selections:
            self.count("fields")
            self.count("directives", len(each.directives or ()))
            if isinstance(each, FieldNode):
                self.count("aliases", 1 if each.alias else 0)
                yield each
            elif isinstance(each, InlineFragmentNode):
                yield from self.expanded(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                yield from self.spread(each.name.value)

    def spread(self, name: str) -> Iterator[FieldNode]:
        """The fields of a fragment; validation reports those that are unknown or spread themselves."""
        if name in self.opened or name not in self.fragments:
            return
        self.spreads.add(name)
        self.opened.append(name)
        yield from self.expanded(self.fragments[name].selection_set)
        self.opened.pop()


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The fragments of a document, by name."""
    return {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode)
    }


def measure(document: DocumentNode, limits: GraphQLSettings) -> None:
    """Refuse a document that is too large, whichever of its operations is to be executed."""
    counted = Measure(limits, fragments_of(document))
    unread: list[FragmentDefinitionNode] = []
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode):
            counted.directives(each)
        if isinstance(each, OperationDefinitionNode):
            counted.selection([each.selection_set], 1)
        elif isinstance(each, FragmentDefinitionNode):
            unread.append(each)
    for each in unread:
        if each.name.value not in counted.spreads or each is not counted.fragments[each.name.value]:
            counted.selection([each.selection_set], 1)


def is_list(kind: Any) -> bool:  # noqa: ANN401, a type of the schema
    """Whether it is a type of lists."""
    inner = cast("Any", kind).of_type if isinstance(kind, GraphQLNonNull) else kind
    return isinstance(inner, GraphQLList)


@dataclass(slots=True)
class Plan:
    """What a valid operation can return at most, and what it writes."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    nodes: int = 0
    values: int = 0
    writes: int = 0

    def selection(self, selected: SelectionSetNode, kind: Any, times: int, size: int = 1) -> None:  # noqa: ANN401, a type of the schema
        """Add a selection that is made `times` times; its lists have `size` items each."""
        for each in selected.selections:
            if isinstance(each, FieldNode):
                self.field(each, kind, times, size)
            elif isinstance(each, InlineFragmentNode):
                named = each.type_condition
                inner = self.schema.get_type(named.name.value) if named else kind
                self.selection(each.selection_set, inner, times, size)
            elif isinstance(each, FragmentSpreadNode):
                fragment = self.fragments[each.name.value]
                inner = self.schema.get_type(fragment.type_condition.name.value)
                self.selection(fragment.selection_set, inner, times, size)

    def field(self, node: FieldNode, kind: Any, times: int, size: int) -> None:  # noqa: ANN401, likewise
        """Add a field, and what is selected in it."""
        self.values += times
        self.writes += kind is self.schema.mutation_type
        declared = getattr(kind, "fields", {}).get(node.name.value)
        if declared is None or node.selection_set is None:
            return
        if is_list(declared.type):
            times, size = times * size, 1
        if "first" in declared.args:
            size = self.size(node)
            self.nodes += times * size
        self.selection(node.selection_set, get_named_type(declared.type), times, size)

    def size(self, node: FieldNode) -> int:
        """The size of a page; whether it is allowed is checked when it is read."""
        sizes = [
            self.variables.get(each.value.name.value)
            if isinstance(each.value, VariableNode)
            else int(each.value.value)
            for each in node.arguments or ()
            if each.name.value in {"first", "last"}
            and isinstance(each.value, VariableNode | IntValueNode)
        ]
        return max([1, *(size for size in sizes if isinstance(size, int))])


def cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    limits: GraphQLSettings,
) -> int:
    """What a valid operation costs, in reads: what a limit of requests counts it as.

    The variables are coerced, with their defaults.
    """
    plan = Plan(schema, fragments_of(document), variables)
    plan.selection(operation.selection_set, schema.get_root_type(operation.operation), 1)
    if plan.nodes > limits.max_nodes:
        raise QueryTooLarge(
            f"The query could return more than {limits.max_nodes} nodes. Ask for smaller pages.",
            limit=limits.max_nodes,
        )
    reads = max(ceil(plan.nodes / NODES_PER_READ), plan.values // VALUES_PER_READ)
    return max(1, plan.writes * READS_PER_WRITE + reads)

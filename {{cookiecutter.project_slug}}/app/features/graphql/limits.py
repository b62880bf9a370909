"""What a query may ask for, computed before it is validated or executed.

Validation takes time that grows with the square of repeated fields, so the size of the document is
checked first, with its fragments expanded.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from app.features.graphql.failures import QueryTooLarge
from app.features.graphql.settings import GraphQLSettings

INTROSPECTION = ("__schema", "__type")
"""Their depth is limited by validation."""
MOST_REPEATED = 20
"""How many fields of one selection may have the same name as another."""
NODES_PER_READ = 100
"""How many nodes cost as much as one read."""
READS_PER_WRITE = 5


@dataclass(slots=True)
class Measure:
    """Counts a document until it exceeds a limit."""

    limits: GraphQLSettings
    fragments: Mapping[str, FragmentDefinitionNode]
    counts: Counter[str] = field(default_factory=Counter[str])
    opened: list[str] = field(default_factory=list[str])
    """The fragments that enclose the current selection."""

    def count(self, what: str) -> None:
        """Count one more field, alias or directive."""
        self.counts[what] += 1
        self.require(what, self.counts[what])

    def require(self, what: str, found: int) -> None:
        """Refuse more than the limit."""
        most: int = getattr(self.limits, f"max_{what}")
        if found > most:
            raise QueryTooLarge(f"The query exceeds the limit of {most} {what}.", limit=most)

    def selection(self, selected: SelectionSetNode, depth: int) -> None:
        """Count a selection and what is selected in it."""
        self.require("depth", depth)
        names: Counter[str] = Counter()
        for each in self.expanded(selected, depth):
            names[each.alias.value if each.alias else each.name.value] += 1
        if names.total() - len(names) > MOST_REPEATED:
            raise QueryTooLarge("The query repeats too many fields.", limit=MOST_REPEATED)

    def expanded(self, selected: SelectionSetNode, depth: int) -> Iterator[FieldNode]:
        """The fields of a selection, those of its fragments included."""
        for each in selected.selections:
            for _ in each.directives or ():
                self.count("directives")
            if isinstance(each, FieldNode):
                self.field(each, depth)
                yield each
            elif isinstance(each, InlineFragmentNode):
                self.count("fields")
                yield from self.expanded(each.selection_set, depth)
            elif isinstance(each, FragmentSpreadNode):
                self.count("fields")
                yield from self.spread(each.name.value, depth)

    def field(self, node: FieldNode, depth: int) -> None:
        """Count a field, and what is selected in it."""
        self.count("fields")
        if node.alias:
            self.count("aliases")
        if node.selection_set:
            deeper = 0 if node.name.value in INTROSPECTION else depth and depth + 1
            self.selection(node.selection_set, deeper)

    def spread(self, name: str, depth: int) -> Iterator[FieldNode]:
        """The fields of a fragment; validation reports those that are unknown or spread themselves."""
        if name in self.opened or name not in self.fragments:
            return
        self.opened.append(name)
        yield from self.expanded(self.fragments[name].selection_set, depth)
        self.opened.pop()


def measure(document: DocumentNode, limits: GraphQLSettings) -> None:
    """Refuse a document that is too large, whichever of its operations is to be executed."""
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode)
    }
    counted = Measure(limits, fragments)
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode):
            for _ in each.directives or ():
                counted.count("directives")
        if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode):
            counted.selection(each.selection_set, 1)


@dataclass(slots=True)
class Plan:
    """How many nodes a valid operation can return, and how many pages it reads for them."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    nodes: int = 0

    def selection(self, selected: SelectionSetNode, kind: Any, times: int) -> None:  # noqa: ANN401, a type of the schema
        """Add the nodes of a selection that is made `times` times."""
        for each in selected.selections:
            if isinstance(each, FieldNode):
                self.field(each, kind, times)
            elif isinstance(each, InlineFragmentNode):
                named = each.type_condition
                inner = self.schema.get_type(named.name.value) if named else kind
                self.selection(each.selection_set, inner, times)
            elif isinstance(each, FragmentSpreadNode):
                fragment = self.fragments[each.name.value]
                inner = self.schema.get_type(fragment.type_condition.name.value)
                self.selection(fragment.selection_set, inner, times)

    def field(self, node: FieldNode, kind: Any, times: int) -> None:  # noqa: ANN401, likewise
        """Add the nodes of a field."""
        declared = getattr(kind, "fields", {}).get(node.name.value)
        if declared is None or node.selection_set is None:
            return
        if "first" in declared.args:
            times *= self.size(node)
            self.nodes += times
        self.selection(node.selection_set, get_named_type(declared.type), times)

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
    """What a valid operation costs, in reads: what a limit of requests counts it as."""
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode)
    }
    plan = Plan(schema, fragments, {**defaults(operation), **variables})
    root = schema.get_root_type(operation.operation)
    plan.selection(operation.selection_set, root, 1)
    if plan.nodes > limits.max_nodes:
        raise QueryTooLarge(
            f"The query could return {plan.nodes} nodes, and {limits.max_nodes} are allowed."
            " Ask for smaller pages.",
            limit=limits.max_nodes,
        )
    is_write = operation.operation is OperationType.MUTATION
    writes = len(operation.selection_set.selections) * READS_PER_WRITE if is_write else 0
    return max(1, writes + ceil(plan.nodes / NODES_PER_READ))


def defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """The default values of the variables that are integers."""
    return {
        each.variable.name.value: int(each.default_value.value)
        for each in operation.variable_definitions or ()
        if isinstance(each.default_value, IntValueNode)
    }

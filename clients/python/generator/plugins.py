"""What adapts the generator to this API."""

import ast

from ariadne_codegen.plugins.base import Plugin
from graphql import GraphQLEnumType, Node


class OpenEnumsPlugin(Plugin):
    """Derives each generated enumeration from the client's own, which takes what a newer server adds."""

    def generate_enum(self, class_def: ast.ClassDef, enum_type: GraphQLEnumType) -> ast.ClassDef:
        """The class, open and described."""
        class_def.bases = [ast.Name("OpenEnum")]
        if enum_type.description:
            class_def.body.insert(0, ast.Expr(ast.Constant(enum_type.description)))
        return class_def

    def generate_enums_module(self, module: ast.Module) -> ast.Module:
        """The module, which imports the open one instead of the standard library's."""
        module.body[0] = ast.ImportFrom("open_enum", [ast.alias("OpenEnum")], level=2)
        return module


class PlainNamesPlugin(Plugin):
    """Leaves names as the API has them: `event.type` shadows nothing."""

    def process_name(self, name: str, node: Node | None = None) -> str:
        """The name, without the underscore that the generator puts behind names of built-ins."""
        del node
        return name.removesuffix("_")

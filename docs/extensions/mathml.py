"""Writes formulas as MathML, which browsers draw by themselves: pages load no script for them."""

from docutils import nodes
from docutils.utils.math import latex2mathml


def setup(app):
    """Registers the way to write formulas."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}


def inline(writer, node):
    """Writes a formula within a line."""
    write(writer, node, as_block=False)


def block(writer, node):
    """Writes a formula on a line of its own."""
    write(writer, node, as_block=True)


def write(writer, node, as_block):
    """Writes one formula."""
    formula = latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    # A norm is as high as its line, unless \\left and \\right ask for more.
    writer.body.append(formula.replace(">‖<", ' stretchy="false">‖<'))
    raise nodes.SkipNode

"""Reads docstrings as the package writes them: plain text, with code in single backquotes.

Sphinx takes them for reStructuredText, in which `|x|` and `*` have a meaning.
"""

import re

# What stays as it is: code, and bold text.
CODE = re.compile(r"(`[^`]*`|\*\*[^\s*][^*\n]*\*\*)")
# A star before a space begins an item of a list, or is a star.
MARKUP = re.compile(r"[|\\]|\*(?! )")
# Names of arguments that are described together may fill more than a line.
NAMES = re.compile(r"^( +(?:\w+, )*\w+,)\n +((?:\w+, )*\w+: )", re.MULTILINE)
OF_A_VALUE = ("attribute", "data", "property")


def setup(app):
    """Registers the reader, which comes before the one that reads the sections."""
    app.connect("autodoc-process-docstring", as_plain_text, priority=400)
    return {"parallel_read_safe": True}


def as_plain_text(app, what, name, thing, options, lines):
    """Changes the lines of a docstring in place."""
    if what == "data" and "\n".join(lines).strip() == (type(thing).__doc__ or "").strip():
        lines.clear()  # the docstring of `dict`, `tuple` and the like
    lines[:] = [
        line for is_example, part in parts(lines) for line in (part if is_example else plain(part))
    ]
    if what in OF_A_VALUE and lines:
        lines.insert(0, "")  # otherwise what comes before a colon is read as a type


def parts(lines):
    """Returns the lines in parts that are examples, and parts that are not."""
    found = []
    in_example = False
    for line in lines:
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if not found or found[-1][0] != in_example:
            found.append((in_example, []))
        unindented = in_example and not line.startswith(" ")
        # Keras does not indent what is below "Example:", where it would begin a section.
        found[-1][1].append(f"    {line}" if unindented else line)
    return found


def plain(lines):
    """Returns lines in which nothing but code is markup. Code may go on in the next line."""
    pieces = CODE.split(NAMES.sub(r"\1 \2", "\n".join(lines)))  # every second piece is code
    pieces[::2] = (MARKUP.sub(r"\\\g<0>", piece) for piece in pieces[::2])
    closed = [
        code + (r"\ " if after[:1].isalnum() else "")
        for code, after in zip(pieces[1::2], pieces[2::2], strict=True)
    ]
    pieces[1::2] = closed
    return "".join(pieces).split("\n")

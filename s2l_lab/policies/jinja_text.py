"""A Jinja template, rendered as chat templates are: in transformers' sandbox, with its filters, and on a fixed date.

Faults are said in one line, with the line of the template that they are in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError

if TYPE_CHECKING:
    from jinja2.nodes import Node
    from jinja2.parser import Parser

FIXED_DATE = "26 Jul 2024"
"""Some chat templates write today's date, and a prompt must not change overnight: Llama 3.2's own fall-back date."""

_DAY = date(2024, 7, 26)


def fixed_now(form: str) -> str:
    """What `strftime_now` gives to templates: always the same day."""
    return _DAY.strftime(form)


@dataclass(frozen=True, slots=True)
class JinjaText:
    """A template that was read and can be rendered."""

    where: str
    """What faults are named after."""
    text: str
    variables: frozenset[str]
    """Names that the template reads and does not set itself."""

    def render(self, **values: Any) -> str:
        """The text. Raises DataError with the line that cannot be rendered."""
        from jinja2 import TemplateError

        try:
            return str(_environment().from_string(self.text).render(strftime_now=fixed_now, **values))
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise template_fault(self.where, error) from error
        except RecursionError as error:
            raise DataError(f"{self.where} calls itself without an end. Mend the template.") from error


def read_jinja(text: str, where: str) -> JinjaText:
    """A template from its text. Raises DataError with the line where it cannot be read."""
    from jinja2 import TemplateSyntaxError, meta

    try:
        _environment().from_string(text)
        names = meta.find_undeclared_variables(_environment().parse(text))
    except TemplateSyntaxError as error:
        raise template_fault(where, error) from error
    return JinjaText(where, text, frozenset(names))


def template_fault(where: str, error: Exception) -> DataError:
    """One line for what Jinja, or what a template calls, has raised."""
    line = getattr(error, "lineno", None) or _line(error)
    at = "" if line is None else f", line {line}"
    message = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{where}{at}: {message.rstrip('.')}. Mend the template, or give another one with --template.")


def _line(error: Exception) -> int | None:
    """The innermost line of the template in the traceback."""
    found, at = None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == "<template>":
            found = at.tb_lineno
        at = at.tb_next
    return found


@lru_cache(maxsize=1)
def _environment() -> Any:
    """The sandbox that transformers renders chat templates in (`transformers.utils.chat_template_utils`)."""
    import json

    from jinja2 import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what an assistant said; it writes nothing itself."""

        tags = {"generation"}  # noqa: RUF012 (as jinja2 declares it)

        def parse(self, parser: Parser) -> list[Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = fixed_now
    return environment

"""The command line: verbs from a table, and one way in which errors end, with the exit codes of core/errors.py."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foldline import __version__
from foldline.cli import help_layout
from foldline.cli.verb_table import VERBS, Verb
from foldline.core.command_name import as_started, started_as
from foldline.core.errors import (
    ExitCode,
    Finding,
    UserError,
    complain,
    foreseen,
    unknown,
)

if TYPE_CHECKING:
    from foldline.core.console import Terminal

COMMON = {
    "--json": "one JSON object on standard output, nothing else",
    "--quiet": "only errors and the last line",
    "--debug": "show the traceback of an error",
    "--help": "this text",
}
KEY = re.compile(r"[a-z]\w*(\.\w+)*\.(?!toml$|csv$|parquet$|gz$|zip$)\w+")  # a dotted key of a config, and no file


@dataclass(frozen=True)
class Arguments:
    """The command line of a verb, split."""

    verb: str
    words: list[str] = field(default_factory=list)  # CONFIG, OUT, ..., and what is passed on to pytest and benchmarks
    overrides: list[str] = field(default_factory=list)  # key=value
    flags: frozenset[str] = frozenset()

    @property
    def config(self) -> str:
        """The CONFIG argument; the quickstart where none is given."""
        return self.words[0] if self.words else "quickstart"

    @property
    def command_line(self) -> str:
        """The command that makes the same result; flags such as --json change none."""
        return shlex.join([started_as(), self.verb, *self.words, *self.overrides])


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return the exit code."""
    alone = argv is None  # in a process of its own
    argv = sys.argv[1:] if argv is None else argv
    if os.name == "nt":
        print("foldline runs on Linux, macOS and WSL, not on Windows itself: start it inside WSL.", file=sys.stderr)
        return ExitCode.USER_ERROR
    debug = "--debug" in argv
    try:
        return _dispatch(argv, alone)
    except UserError as error:
        return _end(error, ExitCode.USER_ERROR, debug)
    except Finding as error:
        return _end(error, ExitCode.FINDING, debug)
    except BrokenPipeError:  # `./run.sh board | head`: whoever read the output has seen enough
        with contextlib.suppress(OSError, ValueError):  # a stream that is no file has nothing to flush
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except KeyboardInterrupt:
        kept = "finished cells and checkpoints are kept; run the same command again to go on."
        complain(f"\ninterrupted: {kept}")
        return ExitCode.INTERRUPTED
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a library written in Rust ends in a panic, which is no Exception
        sentence = foreseen(error) if isinstance(error, Exception) else None
        if sentence is not None:
            return _end(sentence, ExitCode.USER_ERROR, debug)
        traceback.print_exception(error)
        complain("error: this is a bug in foldline; please report it with the traceback above.")
        return ExitCode.BUG


def _end(error: Exception, code: ExitCode, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
        return code
    complain(f"error: {error}")
    return code


def _dispatch(argv: list[str], alone: bool) -> int:
    if not argv or argv[0] in ("--help", "-h", "help"):
        print(help_layout.printed(as_started(overview())))
        return 0
    if argv[0] == "--version":
        print(__version__)
        return 0
    name, rest = argv[0], argv[1:]
    if name not in VERBS:
        raise unknown("verb", name, VERBS, "./run.sh")
    own = rest[:1] if name == "bench" else rest  # what stands behind a benchmark's name is the benchmark's
    if "--help" in own or "-h" in own:
        print(help_layout.printed(as_started(help_text(name, VERBS[name]))))
        return 0
    arguments = parse(name, VERBS[name], rest)
    from foldline.core import console  # rich and the verbs' libraries take seconds: --help needs none of them

    terminal = console.Terminal(quiet="--quiet" in arguments.flags, as_json="--json" in arguments.flags)
    from foldline.cli.remembered import Memory

    memory = Memory.of(name, arguments.config, arguments.overrides, arguments.flags) if alone else None
    if memory is not None and (said := memory.said()):
        terminal.repeat(said)
        return ExitCode.DONE
    with contextlib.nullcontext(lambda: None) if memory is None else memory.kept(terminal) as keep:
        return _run(arguments, terminal, keep)


def _run(arguments: Arguments, terminal: Terminal, keep: Callable[[], None]) -> int:
    """Run a verb, with what comes before and after each. keep: remembers it, while `clean` deletes nothing."""
    from foldline.api import housekeeping
    from foldline.run.on_ray import session

    name = arguments.verb
    with session.kept(), housekeeping.runs_in_use(name, terminal):
        housekeeping.before(name, terminal)
        module = importlib.import_module(f"foldline.cli.{VERBS[name].module}")
        code: int = module.run(arguments, terminal)
        keep()
    return code


def parse(name: str, verb: Verb, rest: list[str]) -> Arguments:
    """Split a verb's arguments.

    Raises:
        UserError: a flag that the verb does not know, unless its arguments are passed on; too many words.
    """
    if verb.module == "develop":
        return Arguments(
            name,
            words=[word for word in rest if word not in ("--slow", "--debug")],
            flags=frozenset(rest) & {"--slow", "--debug"},
        )
    rest = spelled_out(name, verb, rest)
    flags = [word for word in rest if word.startswith("-")]
    for flag in flags:
        if verb.overrides and KEY.fullmatch(key := flag.lstrip("-").partition("=")[0]):
            raise UserError(f"./run.sh {name}: a key of the config has no dashes: write {key}=VALUE, not {flag}.")
        if flag not in (*verb.options, *COMMON):
            raise unknown("option", flag, [*verb.options, *verb.shorthands, *COMMON], f"./run.sh {name}")
    plain = [word for word in rest if not word.startswith("-")]
    words, pairs = [word for word in plain if "=" not in word], [word for word in plain if "=" in word]
    extra = words[verb.words :] + ([] if verb.overrides else pairs)
    if extra:
        keys = [word for word in extra if verb.overrides and KEY.fullmatch(word)]
        hint = f" To set a key, write {keys[0]}=VALUE." if keys else ""
        raise UserError(f"`{name}` takes {verb.usage or 'no arguments'}, but got {' '.join(extra)!r} too.{hint}")
    return Arguments(name, words, pairs, frozenset(flags))


def spelled_out(name: str, verb: Verb, rest: list[str]) -> list[str]:
    """Replace `--hours 2` and `--hours=2` by the override they stand for: tune.hours=2."""
    words, made = iter(rest), []
    for word in words:
        option, equals, value = word.partition("=")
        if option in verb.shorthands:
            given = value if equals else next(words, None)
            if given is None:
                raise UserError(f"./run.sh {name}: {option} needs a value. See `./run.sh {name} --help`.")
            made.append(verb.shorthands[option] + given)
        else:
            made.append(word)
    return made


def overview() -> str:
    """Write what `./run.sh --help` prints: the verbs by job."""
    lines = [
        "foldline: a pipeline for competitions on many series.",
        "",
        "usage: ./run.sh VERB [arguments]      its help: ./run.sh VERB --help",
        "",
    ]
    for job in dict.fromkeys(verb.job for verb in VERBS.values()):
        lines.append(f"{job}:")
        lines += [f"  {name:<10} {verb.summary}" for name, verb in VERBS.items() if verb.job == job]
        lines.append("")
    lines += [
        "Start with `./run.sh train`: a simulated competition, end to end, in minutes.",
        "CONFIG is a file, or a name in configs/.",
        "",
        "exit codes:",
        *(f"  {code:<10} {code.meaning}" for code in ExitCode),
    ]
    return "\n".join(lines)


def help_text(name: str, verb: Verb) -> str:
    """Write what `./run.sh VERB --help` prints."""
    lines = [f"usage: ./run.sh {name} {verb.usage}".rstrip(), "", verb.help_text]
    if verb.module != "develop":
        keys = {option: key for option, key in verb.shorthands.items() if key.endswith("=")}
        options = {f"{option} VALUE": f"the same as {key}VALUE" for option, key in keys.items()}
        options |= {**verb.options, **COMMON}
        width = max(map(len, options)) + 1
        lines += ["", "options:", *(f"  {option:<{width}} {meaning}" for option, meaning in options.items())]
    return "\n".join(lines)

"""`completion`: print a script with which bash and zsh complete verbs, options, configs and keys.

The script holds all it needs, so that completing starts no Python; made again after an update, it knows the new words.
"""

from __future__ import annotations

import re
import shlex

from foldline.cli import config_reference
from foldline.cli.main import COMMON, Arguments
from foldline.cli.verb_table import VERBS, Verb
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import unknown
from foldline.evidence.ablation.ablation_file import AblateConfig
from foldline.evidence.study.study_file import StudyConfig
from foldline.evidence.tuning.tuning_file import TuneConfig

BASH = """\
# foldline: completion for bash and zsh. Made by `./run.sh completion`.
_foldline() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" words configs='' file
    local home="$(dirname "${{COMP_WORDS[0]/#\\~/$HOME}}")"
    [ -d "$home/configs" ] || home=.
    for file in "$home"/configs/*.toml{packed}; do
        [ ! -f "$file" ] || configs="$configs $(basename "$file" .toml)"
    done
    case "${{COMP_WORDS[1]}}:$COMP_CWORD" in
    *:1) words='{verbs}' ;;
{cases}
    esac
    case "${{COMP_WORDS[COMP_CWORD-1]}} $word" in # a value: files; bash 4 makes three words of key=value, 3.2 one
    "= "* | *=*) words='' word="${{word##*=}}" ;;
    esac
    local front="${{COMP_WORDS[COMP_CWORD]%"$word"}}" # zsh wants the key before the file, too
    if [ -n "$ZSH_VERSION" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -P "$front" -W "$(ls -d "$word"* 2>/dev/null)"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word"))
    fi
    case "${{COMPREPLY[*]}}" in *=) compopt -o nospace 2>/dev/null ;; esac
}}
complete -F _foldline run.sh ./run.sh foldline
"""
OWN_TABLES = {"tune": TuneConfig, "ablate": AblateConfig, "study": StudyConfig}  # of files that are no configs
SHELLS = {
    "bash": BASH,
    "zsh": f"autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n{BASH}",
}


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Print the script of a shell."""
    shell = arguments.words[0] if arguments.words else ""
    if shell not in SHELLS:
        raise unknown("shell", shell, SHELLS, "./run.sh completion")
    keys = " ".join(f"{key}=" for key in config_reference.dotted())
    cases = [f'    {name}:*) words="{" ".join(words_of(verb))}" ;;' for name, verb in VERBS.items()]
    folder = files.packed_configs()  # an installed foldline has configs of its own, whatever folder it is called from
    packed = f" {shlex.quote(str(folder))}/*.toml" if folder.is_dir() else ""
    script = SHELLS[shell].format(verbs=" ".join(VERBS), cases="\n".join(cases).replace("KEYS", keys), packed=packed)
    terminal.result({"script": script}, script.rstrip())
    return 0


def words_of(verb: Verb) -> list[str]:
    """List what may follow a verb: options, `name=` and words of its usage, configs, and keys of configs (KEYS)."""
    if verb.module == "develop":
        return re.findall(r"--\w+", verb.usage)
    found = [*verb.options, *verb.shorthands, *COMMON]
    names = re.findall(r"([a-z_.]+)=", verb.usage)
    found += [f"{name}=" for name in names if name.rpartition(".")[2] != "key"]
    for table in re.findall(r"([a-z]+)\.(?:key|KEY)=", verb.usage):
        found += [f"{key}=" for key in config_reference.dotted() if key.startswith(f"{table}.")]
    if verb.module in OWN_TABLES:
        found += [f"{verb.module}.{key.name}=" for key in config_reference.keys(OWN_TABLES[verb.module])]
    found += re.findall(r"(?<![\w.=-])([a-z]+)(?![\w.=])", verb.usage)
    if "[key=value" in verb.usage:
        found.append("KEYS")
    if re.search(r"CONFIG|FILE|\[NAME\b", verb.usage):
        found.append("$configs")
    return found

"""``python -m saas.tests.faults.fork_server``: set Django up once, and fork real processes within milliseconds.

Reads commands as lines of JSON, and replies to each with a line. ``{"run": role, "fault": …, "arguments": …, "keep": true}``
starts a process, which ``keep`` replaces when it dies, as a supervisor would; ``{"forget": role}`` ends the replacing;
``{"list": role}`` lists process ids.
"""

import ctypes
import json
import os
import select
import signal
import sys
from typing import Any

import django

_SET_PARENT_DEATH_SIGNAL = 1
Command = dict[str, Any]


def main() -> None:
    django.setup()
    from saas.tests.faults import process_roles

    process_roles.import_everything()
    running: dict[int, Command] = {}
    _reply("ready")
    while True:
        if select.select([sys.stdin], [], [], 0.02)[0]:
            if not (line := sys.stdin.readline()):
                return
            _execute_command(json.loads(line), running)
        for command in _dead(running):
            if command.get("keep"):
                _fork(command, running)


def _reply(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _execute_command(command: Command, running: dict[int, Command]) -> None:
    if "run" in command:
        _reply(_fork(command, running))
    elif "forget" in command:
        for known in running.values():
            known["keep"] = known["keep"] and known["run"] != command["forget"]
        _reply("forgotten")
    else:
        pids = [pid for pid, known in running.items() if known["run"] == command["list"]]
        _reply(pids)


def _dead(running: dict[int, Command]) -> list[Command]:
    commands = []
    while running:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if not pid:
            break
        if command := running.pop(pid, None):
            commands.append(command)
    return commands


def _fork(command: Command, running: dict[int, Command]) -> int:
    command.setdefault("keep", False)
    if pid := os.fork():
        running[pid] = command
        return pid
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(int(os.environ["SAAS_FAULTS_LOG_FD"]), 1)
    _run_role(command)
    os._exit(0)


def _run_role(command: Command) -> None:
    from saas.tests.faults import fault_injection, process_roles

    fault_injection.inject_fault(command.get("fault", ""))
    getattr(process_roles, command["run"])(**command.get("arguments", {}))


if __name__ == "__main__":
    main()

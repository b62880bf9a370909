"""Several server processes: each is replaced when it dies, and the log says why."""

import logging
import signal
import sys
from socket import socket
from time import monotonic

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

logger = logging.getLogger(__name__)

ENDING = {signal.SIGTERM, signal.SIGINT}
JOIN_SECONDS = 0.2
HINTS = {
    "SIGKILL": ": unless it was sent on purpose, the machine is out of memory: use fewer --workers",
    "SIGSEGV": ": a native library crashed",
}


def run_workers(config: Config, listener: socket) -> None:
    """Serve until stopped; exit with a failure if the service cannot start."""
    workers = Workers(config, [listener])
    workers.run()
    if workers.failed:
        sys.exit(STARTUP_FAILURE)
    if workers.forced:
        sys.exit(128 + workers.forced)


class Workers(Multiprocess):
    """uvicorn's supervisor, but never blocked by one worker: others may die, and signals arrive."""

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.asked: dict[Process, float] = {}
        """When each worker was last pinged without an answer."""
        self.failed = False
        self.forced = 0
        """The second signal."""

    def terminate_all(self) -> None:
        """Stop each worker; once the last one stops listening, so does the port."""
        for each in self.sockets:
            each.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait until they have ended; a second signal ends them at once."""
        for process in self.processes:
            while process.exitcode is None and not self.forced:
                process.process.join(JOIN_SECONDS)
                self.forced = next((each for each in self.signal_queue if each in ENDING), 0)
        for process in self.processes if self.forced else ():
            process.process.kill()
            process.join()

    def keep_subprocess_alive(self) -> None:
        """Check each worker once."""
        for index, process in enumerate(self.processes):
            cause = self.cause_of_death(process)
            if cause is None or self.should_exit.is_set():
                continue
            logger.error("worker %s %s", process.pid, cause)
            process.kill()
            process.join()
            self.asked.pop(process, None)
            if process.exitcode == STARTUP_FAILURE:
                self.failed = True
                self.should_exit.set()
            else:
                self.processes[index] = Process(self.config, self.sockets)
                self.processes[index].start()

    def cause_of_death(self, process: Process) -> str | None:
        """Why a worker is dead or hung, if it is."""
        if process.exitcode is not None:
            return described(process.exitcode)
        limit = self.config.timeout_worker_healthcheck
        if process not in self.asked or process.parent_conn.poll():
            while process.parent_conn.poll():
                process.parent_conn.recv()
            process.parent_conn.send(b"ping")
            self.asked[process] = monotonic()
        elif monotonic() - self.asked[process] > limit:
            return (
                f"did not answer for {limit} seconds: it hangs, or the machine is overloaded:"
                " use fewer --workers, or raise WORKER_TIMEOUT"
            )
        return None


def described(status: int) -> str:
    """How a process ended, in words."""
    if status == STARTUP_FAILURE:
        return "could not start: see the lines above; the service exits"
    if status >= 0:
        return f"exited with status {status}"
    name = signal.Signals(-status).name
    return f"was terminated by {name}{HINTS.get(name, '')}"

"""What the demo asks a Prefect server: start a run, wait for it, answer a form, count what is shown."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from tieout.wording import run_at, runs_at

_POLL_SECONDS = 0.25
_BUSY_SECONDS = 60.0
Run = dict[str, Any]


class Screen:
    """A Prefect server of our own, over its REST interface: importing Prefect would take seconds."""

    def __init__(self, url: str, check: Callable[[], None]) -> None:
        """Speak to the server at this address; `check` raises when a process has ended that should not."""
        self.url, self._check = url, check
        self._http = httpx.Client(base_url=f"{url}/api", timeout=15.0, trust_env=False)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def await_ready(self, timeout: float) -> None:
        """Wait until the server takes requests."""
        self._wait(lambda: self._answers("/health"), timeout, "the Prefect server to answer")

    def await_pool(self, name: str, timeout: float) -> None:
        """Wait until the work pool is there."""
        self._wait(lambda: self._answers(f"/work_pools/{quote(name)}"), timeout, f"the work pool {name}")

    def start(self, deployment: str, **parameters: Any) -> str:
        """Have a deployment run, and return the run's id; a worker will execute it."""
        found = self._get(f"/deployments/name/{deployment}/{deployment}")
        wanted = {"parameters": parameters, "idempotency_key": uuid4().hex}
        run = self._post(f"/deployments/{found['id']}/create_flow_run", wanted)
        return str(run["id"])

    def await_end(self, run_id: str, timeout: float, tell: Callable[[str], None] = lambda _: None) -> Run:
        """Wait until the run has ended, telling each state that it is in."""
        return self._await(run_id, lambda state: state["type"] in _FINAL, timeout, tell)

    def retry(self, run_id: str) -> None:
        """Do what the Retry button does."""
        state = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
        self._post(f"/flow_runs/{run_id}/set_state", {"state": state})

    def states(self, run_id: str) -> list[Run]:
        """Return every state that a run was in, oldest first."""
        return list(self._get(f"/flow_run_states/?flow_run_id={run_id}"))

    def answer(self, run_id: str, form: dict[str, str]) -> None:
        """Fill in the form on which a run waits."""
        answer = self._post(f"/flow_runs/{run_id}/resume", {"run_input": form})
        # A second answer is refused; when the first one's reply was lost, the run shows that it was taken.
        if answer["status"] != "ACCEPT" and self._get(f"/flow_runs/{run_id}")["state"]["name"] == "Suspended":
            raise RuntimeError(f"Prefect did not take the answer: {answer['details']}")

    def suspended(self, deployment: str) -> list[Run]:
        """Return the runs of a deployment that wait for an answer."""
        return self.runs(deployment, state={"name": {"any_": ["Suspended"]}})

    def await_suspended(self, deployment: str, count: int, timeout: float) -> None:
        """Wait until that many runs of a deployment wait for an answer."""
        self._wait(lambda: len(self.suspended(deployment)) >= count, timeout, f"{count} runs of {deployment} to wait")

    def await_review(self, project: int, timeout: float) -> str:
        """Wait until the review of a project waits for an answer, and return its run's id."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [
                run["id"] for run in self.suspended("review-invoices") if run["parameters"] == {"project": project}
            ]
            return bool(found)

        self._wait(look, timeout, f"the review of project {project}")
        return found[0]

    def runs(self, deployment: str, **having: Any) -> list[Run]:
        """Return the runs of a deployment that fulfil a filter of Prefect's."""
        runs: list[Run] = []
        while True:
            query = {"flow_runs": having, "deployments": {"name": {"any_": [deployment]}}}
            page = self._post("/flow_runs/filter", {**query, "limit": 200, "offset": len(runs)})
            runs += page
            if len(page) < 200:
                return runs

    def link(self, run_id: str) -> str:
        """Return where a person looks at a run."""
        return run_at(self.url, run_id)

    def link_state(self, name: str) -> str:
        """Return where a person sees all runs in a state."""
        return runs_at(self.url, name)

    def _await(self, run_id: str, is_there: Callable[[Run], bool], timeout: float, tell: Callable[[str], None]) -> Run:
        seen: list[Run] = []

        def look() -> bool:
            run = self._get(f"/flow_runs/{run_id}")
            tell(run["state"]["name"])
            seen[:] = [run]
            return is_there(run["state"])

        self._wait(look, timeout, f"run {run_id}")
        return seen[0]

    def _wait(self, is_there: Callable[[], bool], timeout: float, what: str) -> None:
        give_up_at = time.monotonic() + timeout
        while not is_there():
            self._check()
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"waited {timeout:.0f} s for {what}")
            time.sleep(_POLL_SECONDS)

    def _answers(self, path: str) -> bool:
        try:
            return self._http.get(path).is_success
        except httpx.TransportError:
            return False

    def _get(self, path: str) -> Any:
        return self._ask("GET", path)

    def _post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask until the server has time: while much is written into SQLite it answers 503, or late, or not at all.

        Asking again is harmless: what we send only reads, or bears a key by which Prefect knows it again.
        """
        give_up_at = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                answer = self._http.request(method, path, json=body)
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > give_up_at:
                    return answer.raise_for_status().json()
            except httpx.TransportError:
                if time.monotonic() > give_up_at:
                    raise
            time.sleep(_POLL_SECONDS)


_FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

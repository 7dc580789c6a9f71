"""One night, run as a process of its own, which tells its seconds inside the flow run and its peak memory."""

import json
import resource

from prefect.client.orchestration import get_client

from flows.nightly_sync import nightly_sync


def main() -> None:
    """Run the flow and print what it took; the seconds are the flow run's own."""
    state = nightly_sync(return_state=True)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    if not state.is_completed():
        raise SystemExit(f"the night ended {state.name}: {state.message}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": run.total_run_time.total_seconds(), "peak_mb": peak}))


if __name__ == "__main__":
    main()

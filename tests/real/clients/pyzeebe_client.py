"""pyzeebe as its users write it, without a word about authentication.

pyzeebe_client.py HOST:PORT FOLDER    FOLDER holds pyzeebe-polled.bpmn and pyzeebe-streamed.bpmn
"""

import asyncio
import sys

from pyzeebe import ZeebeClient, ZeebeWorker, create_insecure_channel

INSTANCES = 20


def fact(text):
    print(f"ok    pyzeebe: {text}", flush=True)


def counted(adapter, method):
    """How many jobs came by this call: the worker polls beside its stream, so the result alone does not tell which."""
    original, count = getattr(adapter, method), [0]

    async def wrapper(*args, **kwargs):
        async for job in original(*args, **kwargs):
            count[0] += 1
            yield job

    setattr(adapter, method, wrapper)
    return count


async def scenario(address, folder, name, stream):
    channel = create_insecure_channel(address)
    client = ZeebeClient(channel)
    worker = ZeebeWorker(channel, name=name, stream_enabled=stream, request_timeout=10_000)
    streamed = counted(worker.zeebe_adapter, "stream_activate_jobs")
    polled = counted(worker.zeebe_adapter, "activate_jobs")

    @worker.task(task_type=name, max_jobs_to_activate=INSTANCES, max_running_jobs=INSTANCES)
    async def double(number: int) -> dict:
        return {"doubled": number * 2}

    deployed = await client.deploy_resource(f"{folder}/{name}.bpmn")
    assert deployed.deployments, "nothing was deployed"
    fact(f"{name}: deployed")

    working = asyncio.create_task(worker.work())
    try:
        # Long enough for the poll to be held, and for the broker to hear of the stream from the gateway.
        await asyncio.sleep(2)
        started = await client.run_process(name, {"number": 1})
        assert started.process_instance_key > 0
        results = await asyncio.gather(
            *(client.run_process_with_result(name, {"number": n}, timeout=30_000) for n in range(INSTANCES))
        )
        doubled = [result.variables["doubled"] for result in results]
        assert doubled == [2 * n for n in range(INSTANCES)], doubled
        if stream:
            assert streamed[0] > 0, f"no job came by the stream, {polled[0]} were polled"
        else:
            assert polled[0] > 0
        fact(f"{name}: {INSTANCES} instances completed by the worker, jobs: {streamed[0]} streamed, {polled[0]} polled")
        assert not working.done(), "the worker gave up"
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await channel.close()


async def main(address, folder):
    channel = create_insecure_channel(address)
    topology = await ZeebeClient(channel).topology()
    assert topology.brokers, "no broker in the topology"
    fact(f"topology: gateway {topology.gateway_version}, {len(topology.brokers)} broker")
    await channel.close()
    await scenario(address, folder, "pyzeebe-polled", stream=False)
    await scenario(address, folder, "pyzeebe-streamed", stream=True)


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), timeout=120))

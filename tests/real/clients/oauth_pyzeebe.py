"""pyzeebe with OAuth that was not taken out: the proxy is its token endpoint, and takes any id and secret.

oauth_pyzeebe.py HOST:PORT REST-URL    with OAUTHLIB_INSECURE_TRANSPORT=1: its OAuth library refuses http:// otherwise, even on loopback
"""

import asyncio
import sys

import grpc
from pyzeebe import ZeebeClient, create_oauth2_client_credentials_channel


async def main(address, rest):
    channel = create_oauth2_client_credentials_channel(
        grpc_address=address,
        client_id="any-id",
        client_secret="any-secret",
        authorization_server=f"{rest}/oauth/token",
        audience="zeebe.camunda.io",
        # gRPC adds a token to connections alone that it takes for safe; these are, from the same machine.
        channel_credentials=grpc.local_channel_credentials(),
    )
    topology = await ZeebeClient(channel).topology()
    assert topology.brokers, topology
    print("ok    pyzeebe with OAuth: topology", flush=True)
    await channel.close()


asyncio.run(main(*sys.argv[1:]))

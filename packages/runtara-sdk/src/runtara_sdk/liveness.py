"""Whether the server is still there behind a connection that has gone quiet."""

import asyncio
import logging

from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb.instance_pb2 import RpcRequest
from runtara_protocol.quic.client import ClientConnection
from runtara_protocol.quic.error import ConnectionLost, StreamReset

logger = logging.getLogger(__name__)

# A request for nothing: every server refuses it at once, without a look at its database.
_PROBE = encode(MessageType.REQUEST, RpcRequest().SerializeToString())


async def close_unless_alive(connection: ClientConnection, within: float) -> None:
    """
    Close the connection if nothing comes back on it in so many seconds.

    A server that was killed and started again knows nothing of its old connections and says
    nothing on them; QUIC's idle timeout would take 30 s to tell.
    """
    try:
        async with asyncio.timeout(within):
            await connection.exchange(_PROBE)
    except StreamReset:
        # Whatever it says, it lives.
        return
    except ConnectionLost:
        # Whoever waits for an answer is told by the connection itself.
        return
    except TimeoutError:
        logger.warning("the core said nothing for %g s: its connection is given up", within)
        await connection.aclose()

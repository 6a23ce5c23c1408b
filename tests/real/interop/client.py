"""gRPC's interop cases by grpcio, that is gRPC's C core.

client.py PORT [AUTHORITY.pem]

Prints `CASE ok`, or `CASE failed` and why.
"""

import queue
import sys

import grpc

# Found in this program's own folder.
types, services = grpc.protos_and_services("interop.proto")

# The sizes that the published cases name.
LARGE_REQUEST, LARGE_ANSWER = 271_828, 314_159
REQUESTS, ANSWERS = (27_182, 8, 1_828, 45_904), (31_415, 9, 2_653, 58_979)
PATIENCE = 20


def payload(size):
    return types.Payload(body=bytes(size))


def answers(*sizes, compressed=None):
    return [
        types.ResponseParameters(size=size, **({} if compressed is None else {"compressed": {"value": flag}}))
        for size, flag in zip(sizes, compressed or [None] * len(sizes))
    ]


def large():
    return types.SimpleRequest(response_size=LARGE_ANSWER, payload=payload(LARGE_REQUEST))


def one_turn(index):
    return types.StreamingOutputCallRequest(response_parameters=answers(ANSWERS[index]), payload=payload(REQUESTS[index]))


class Asked:
    """Requests of a stream, each sent when the test says so."""

    def __init__(self):
        self.queue = queue.Queue()

    def send(self, request):
        self.queue.put(request)

    def end(self):
        self.queue.put(None)

    def __iter__(self):
        return iter(self.queue.get, None)


def refused(codes, details, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() in (codes if isinstance(codes, tuple) else (codes,)), error
        assert details is None or error.details() == details, repr(error.details())
    else:
        raise AssertionError(f"not refused with {codes}")


def empty_unary(stub):
    assert stub.EmptyCall(types.Empty(), timeout=PATIENCE) == types.Empty()


def large_unary(stub):
    assert stub.UnaryCall(large(), timeout=PATIENCE).payload.body == bytes(LARGE_ANSWER)


def client_compressed_unary(stub):
    for compression in (grpc.Compression.Gzip, grpc.Compression.NoCompression):
        request = large()
        request.expect_compressed.value = compression is grpc.Compression.Gzip
        answer = stub.UnaryCall(request, timeout=PATIENCE, compression=compression)
        assert answer.payload.body == bytes(LARGE_ANSWER)


def server_compressed_unary(stub):
    for compressed in (True, False):
        request = large()
        request.response_compressed.value = compressed
        assert stub.UnaryCall(request, timeout=PATIENCE).payload.body == bytes(LARGE_ANSWER)


def client_streaming(stub, **options):
    requests = (types.StreamingInputCallRequest(payload=payload(size)) for size in REQUESTS)
    answer = stub.StreamingInputCall(requests, timeout=PATIENCE, **options)
    assert answer.aggregated_payload_size == sum(REQUESTS)


def client_compressed_streaming(stub):
    client_streaming(stub, compression=grpc.Compression.Gzip)


def server_streaming(stub, compressed=None):
    request = types.StreamingOutputCallRequest(response_parameters=answers(*ANSWERS, compressed=compressed))
    sizes = [len(answer.payload.body) for answer in stub.StreamingOutputCall(request, timeout=PATIENCE)]
    assert sizes == list(ANSWERS), sizes


def server_compressed_streaming(stub):
    server_streaming(stub, compressed=(True, False, True, False))


def ping_pong(stub):
    asked = Asked()
    call = stub.FullDuplexCall(iter(asked), timeout=PATIENCE)
    for index, size in enumerate(ANSWERS):
        asked.send(one_turn(index))
        assert len(next(call).payload.body) == size
    asked.end()
    assert next(call, None) is None


def empty_stream(stub):
    assert list(stub.FullDuplexCall(iter(()), timeout=PATIENCE)) == []


def custom_metadata(stub):
    sent = (("x-grpc-test-echo-initial", "test_initial_metadata_value"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))

    def echoed(call):
        assert dict(call.initial_metadata())[sent[0][0]] == sent[0][1], call.initial_metadata()
        assert dict(call.trailing_metadata())[sent[1][0]] == sent[1][1], call.trailing_metadata()

    echoed(stub.UnaryCall.with_call(large(), timeout=PATIENCE, metadata=sent)[1])
    call = stub.FullDuplexCall(iter((one_turn(0),)), timeout=PATIENCE, metadata=sent)
    assert len(list(call)) == 1
    echoed(call)


def status_message(stub, message):
    status = types.EchoStatus(code=2, message=message)
    request = types.SimpleRequest(response_status=status)
    refused(grpc.StatusCode.UNKNOWN, message, lambda: stub.UnaryCall(request, timeout=PATIENCE))
    requests = (types.StreamingOutputCallRequest(response_status=status),)
    refused(grpc.StatusCode.UNKNOWN, message, lambda: list(stub.FullDuplexCall(iter(requests), timeout=PATIENCE)))


def status_code_and_message(stub):
    status_message(stub, "test status message")


def special_status_message(stub):
    message = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
    request = types.SimpleRequest(response_status=types.EchoStatus(code=2, message=message))
    refused(grpc.StatusCode.UNKNOWN, message, lambda: stub.UnaryCall(request, timeout=PATIENCE))


def unimplemented_method(stub):
    refused(grpc.StatusCode.UNIMPLEMENTED, None, lambda: stub.UnimplementedCall(types.Empty(), timeout=PATIENCE))


def unimplemented_service(stub):
    other = services.UnimplementedServiceStub(stub.channel)
    refused(grpc.StatusCode.UNIMPLEMENTED, None, lambda: other.UnimplementedCall(types.Empty(), timeout=PATIENCE))


def cancel_after_begin(stub):
    asked = Asked()
    call = stub.StreamingInputCall.future(iter(asked), timeout=PATIENCE)
    assert call.cancel()
    asked.end()
    assert call.code() == grpc.StatusCode.CANCELLED, call.code()


def cancel_after_first_response(stub):
    asked = Asked()
    call = stub.FullDuplexCall(iter(asked), timeout=PATIENCE)
    asked.send(one_turn(0))
    assert len(next(call).payload.body) == ANSWERS[0]
    call.cancel()
    asked.end()
    refused(grpc.StatusCode.CANCELLED, None, lambda: next(call))


def timeout_on_sleeping_server(stub):
    asked = Asked()
    asked.send(types.StreamingOutputCallRequest(payload=payload(REQUESTS[0])))
    # The server's clock runs out in the same millisecond: its reset can be here first, and grpcio calls that cancelled.
    codes = grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED
    refused(codes, None, lambda: next(stub.FullDuplexCall(iter(asked), timeout=0.001)))
    asked.end()


CASES = (
    empty_unary, large_unary, client_compressed_unary, server_compressed_unary, client_streaming, client_compressed_streaming,
    server_streaming, server_compressed_streaming, ping_pong, empty_stream, custom_metadata, status_code_and_message,
    special_status_message, unimplemented_method, unimplemented_service, cancel_after_begin, cancel_after_first_response,
    timeout_on_sleeping_server,
)  # fmt: skip


def main(port, authority=None):
    address = f"localhost:{port}"
    # On loopback, and not by a proxy that the environment names.
    options = (("grpc.enable_http_proxy", 0),)
    for case in CASES:
        if authority:
            with open(authority, "rb") as file:
                channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()), options)
        else:
            channel = grpc.insecure_channel(address, options)
        with channel:
            stub = services.TestServiceStub(channel)
            stub.channel = channel
            try:
                case(stub)
                print(case.__name__, "ok", flush=True)
            except Exception as error:
                print(case.__name__, "failed", " ".join(repr(error).split()), flush=True)


main(*sys.argv[1:])

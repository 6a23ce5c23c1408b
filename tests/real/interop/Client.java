// gRPC's interop cases by grpc-java, as published in grpc-interop-testing, over its Netty or its OkHttp transport.
//
// java -cp … Client.java netty|okhttp PORT [AUTHORITY.pem]
//
// Prints `CASE ok`, or `CASE failed` and why.

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannelBuilder;
import io.grpc.TlsChannelCredentials;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.okhttp.OkHttpChannelBuilder;
import io.grpc.testing.integration.AbstractInteropTest;
import java.io.File;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

public class Client extends AbstractInteropTest {
    interface Case { void run(Client client) throws Exception; }

    static final Map<String, Case> CASES = new LinkedHashMap<>();

    static {
        // Without the probe, which asks whether the server looks at compression: neither of the servers here does.
        CASES.put("empty_unary", Client::emptyUnary);
        CASES.put("large_unary", Client::largeUnary);
        CASES.put("client_compressed_unary", client -> client.clientCompressedUnary(false));
        CASES.put("server_compressed_unary", Client::serverCompressedUnary);
        CASES.put("client_streaming", Client::clientStreaming);
        CASES.put("client_compressed_streaming", client -> client.clientCompressedStreaming(false));
        CASES.put("server_streaming", Client::serverStreaming);
        CASES.put("server_compressed_streaming", Client::serverCompressedStreaming);
        CASES.put("ping_pong", Client::pingPong);
        CASES.put("empty_stream", Client::emptyStream);
        CASES.put("custom_metadata", Client::customMetadata);
        CASES.put("status_code_and_message", Client::statusCodeAndMessage);
        CASES.put("special_status_message", Client::specialStatusMessage);
        CASES.put("unimplemented_method", Client::unimplementedMethod);
        CASES.put("unimplemented_service", Client::unimplementedService);
        CASES.put("cancel_after_begin", Client::cancelAfterBegin);
        CASES.put("cancel_after_first_response", Client::cancelAfterFirstResponse);
        CASES.put("timeout_on_sleeping_server", Client::timeoutOnSleepingServer);
        // Not among the published cases, but in the same library.
        CASES.put("java_very_large_request", Client::veryLargeRequest);
        CASES.put("java_very_large_response", Client::veryLargeResponse);
        CASES.put("java_flow_control", Client::serverStreamingShouldBeFlowControlled);
        CASES.put("java_full_duplex", Client::fullDuplexCallShouldSucceed);
        CASES.put("java_half_duplex", Client::halfDuplexCallShouldSucceed);
        CASES.put("java_metadata_of_streams", Client::exchangeMetadataStreamingCall);
        CASES.put("java_deadline_not_exceeded", Client::deadlineNotExceeded);
        CASES.put("java_deadline_of_streams", Client::deadlineExceededServerStreaming);
        CASES.put("java_graceful_shutdown", Client::gracefulShutdown);
    }

    private final String transport;
    private final int port;
    private final ChannelCredentials credentials;

    Client(String[] arguments) throws Exception {
        transport = arguments[0];
        port = Integer.parseInt(arguments[1]);
        credentials = arguments.length < 3
            ? InsecureChannelCredentials.create()
            : TlsChannelCredentials.newBuilder().trustManager(new File(arguments[2])).build();
    }

    @Override
    protected ManagedChannelBuilder<?> createChannelBuilder() {
        ManagedChannelBuilder<?> builder = transport.equals("okhttp")
            ? OkHttpChannelBuilder.forAddress("localhost", port, credentials)
            // A window of one size, since the case of flow control counts what arrives beyond it.
            : NettyChannelBuilder.forAddress("localhost", port, credentials).initialFlowControlWindow(65_535);
        return builder.maxInboundMessageSize(16 << 20);
    }

    @Override
    protected boolean metricsExpected() {
        return false;
    }

    public static void main(String[] arguments) throws Exception {
        var executor = Executors.newCachedThreadPool();
        for (var entry : CASES.entrySet()) {
            var client = new Client(arguments);
            client.setUp();
            var running = executor.submit(() -> { entry.getValue().run(client); return null; });
            String outcome = "ok";
            try {
                running.get(30, TimeUnit.SECONDS);
            } catch (ExecutionException error) {
                outcome = "failed " + String.valueOf(error.getCause()).replaceAll("\\s+", " ");
            } catch (Exception error) {
                outcome = "failed " + error;
            }
            System.out.println(entry.getKey() + " " + outcome);
            try { client.tearDown(); } catch (Throwable late) { System.err.println(entry.getKey() + " " + late); }
        }
        System.exit(0);
    }
}

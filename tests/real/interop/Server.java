// gRPC's interop service by grpc-java, on two loopback ports.
//
// java -cp … Server.java PORT TLS-PORT CERTIFICATE KEY

import io.grpc.InsecureServerCredentials;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptors;
import io.grpc.TlsServerCredentials;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.testing.integration.TestServiceImpl;
import java.io.File;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class Server {
    public static void main(String[] arguments) throws Exception {
        serve(arguments[0], InsecureServerCredentials.create());
        serve(arguments[1], TlsServerCredentials.create(new File(arguments[2]), new File(arguments[3])));
        Thread.currentThread().join();
    }

    static void serve(String port, ServerCredentials credentials) throws Exception {
        var service = new TestServiceImpl(Executors.newScheduledThreadPool(1));
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", Integer.parseInt(port)), credentials)
            .maxInboundMessageSize(16 << 20)
            .addService(ServerInterceptors.intercept(service, TestServiceImpl.interceptors()))
            .build()
            .start();
    }
}

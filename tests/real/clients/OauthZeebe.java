import io.camunda.zeebe.client.ZeebeClient;

/**
 * The Java client up to 8.7 with OAuth that was not taken out: all settings are in the environment, as in the README. By gRPC
 * alone, since what newer gateways answer by REST has fields that this client does not take.
 */
public class OauthZeebe {
  public static void main(final String[] args) {
    try (ZeebeClient client = ZeebeClient.newClientBuilder().build()) {
      if (client.newTopologyRequest().useGrpc().send().join().getBrokers().isEmpty()) {
        throw new IllegalStateException("no broker");
      }
      System.out.println("ok    zeebe-client-java with OAuth: topology");
    }
    System.exit(0);
  }
}

import io.camunda.client.CamundaClient;

/** The Java client from 8.8 with OAuth that was not taken out: all settings are in the environment, as in the README. */
public class OauthCamunda {
  public static void main(final String[] args) {
    for (final boolean rest : new boolean[] {false, true}) {
      final String by = rest ? "REST" : "gRPC";
      try (CamundaClient client = CamundaClient.newClientBuilder().preferRestOverGrpc(rest).build()) {
        final var request = client.newTopologyRequest();
        final var topology = (rest ? request.useRest() : request.useGrpc()).send().join();
        if (topology.getBrokers().isEmpty()) {
          throw new IllegalStateException("no broker by " + by);
        }
        System.out.println("ok    camunda-client-java with OAuth: " + by + " topology");
      }
    }
    System.exit(0);
  }
}

import io.camunda.zeebe.client.ZeebeClient;
import io.camunda.zeebe.client.api.ZeebeFuture;
import io.camunda.zeebe.client.api.response.ProcessInstanceResult;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The Java client as its users write it, without a word about authentication: the same work once by gRPC with a streaming
 * worker and once by REST with a polling one.
 *
 * <p>Client.java HOST:PORT REST-URL FOLDER; FOLDER holds java-grpc.bpmn and java-rest.bpmn.
 */
@SuppressWarnings("deprecation")
public class Client {
  static final int INSTANCES = 20;

  public static void main(final String[] args) throws Exception {
    for (final boolean rest : List.of(false, true)) {
      try (ZeebeClient client =
          ZeebeClient.newClientBuilder()
              .grpcAddress(URI.create("http://" + args[0]))
              .restAddress(URI.create(args[1]))
              .usePlaintext()
              .preferRestOverGrpc(rest)
              .defaultRequestTimeout(Duration.ofSeconds(30))
              .build()) {
        work(client, rest ? "java-rest" : "java-grpc", rest, Path.of(args[2]));
      }
    }
    System.exit(0);
  }

  static void work(final ZeebeClient client, final String name, final boolean rest, final Path folder) throws Exception {
    final var topology = client.newTopologyRequest().send().join();
    fact(name, "topology: gateway " + topology.getGatewayVersion());

    final byte[] model = Files.readAllBytes(folder.resolve(name + ".bpmn"));
    final var deployed = client.newDeployResourceCommand().addResourceBytes(model, name + ".bpmn").send().join();
    check(deployed.getProcesses().size() == 1, "one process is deployed");
    fact(name, "deployed");

    try (var worker =
        client
            .newWorker()
            .jobType(name)
            .handler(
                (jobs, job) -> {
                  final int number = ((Number) job.getVariablesAsMap().get("number")).intValue();
                  jobs.newCompleteCommand(job.getKey()).variables(Map.of("doubled", 2 * number)).send().join();
                })
            .timeout(Duration.ofSeconds(30))
            .streamEnabled(!rest)
            .open()) {
      Thread.sleep(2000);
      // In turn over REST: this client has few connections for one address, and each waiting call holds one,
      // so that twenty at a time would leave none for the worker.
      final int atOnce = rest ? 1 : INSTANCES;
      for (int first = 0; first < INSTANCES; first += atOnce) {
        final var results = IntStream.range(first, first + atOnce).mapToObj(number -> start(client, name, number)).toList();
        for (int i = 0; i < atOnce; i++) {
          final var doubled = results.get(i).join().getVariablesAsMap().get("doubled");
          check(((Number) doubled).intValue() == 2 * (first + i), "twice " + (first + i) + " is not " + doubled);
        }
      }
    }
    fact(name, INSTANCES + " instances completed by the " + (rest ? "polling" : "streaming") + " worker");
  }

  static ZeebeFuture<ProcessInstanceResult> start(final ZeebeClient client, final String name, final int number) {
    return client
        .newCreateInstanceCommand()
        .bpmnProcessId(name)
        .latestVersion()
        .variables(Map.of("number", number))
        .withResult()
        .send();
  }

  static void check(final boolean holds, final String what) {
    if (!holds) {
      throw new IllegalStateException(what);
    }
  }

  static void fact(final String name, final String text) {
    System.out.println("ok    zeebe-client-java: " + name + ": " + text);
  }
}

import io.camunda.client.CamundaClient;
import org.springframework.boot.Banner;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.annotation.Configuration;

/** The Spring starter; its settings are in the environment. The argument says what is tried. */
@Configuration(proxyBeanMethods = false)
@EnableAutoConfiguration
public class OauthSpring {
  public static void main(final String[] args) {
    final var application =
        new SpringApplicationBuilder(OauthSpring.class).web(WebApplicationType.NONE).bannerMode(Banner.Mode.OFF);
    try (var context = application.run()) {
      final var client = context.getBean(CamundaClient.class);
      for (final boolean rest : new boolean[] {false, true}) {
        final var request = client.newTopologyRequest();
        final var topology = (rest ? request.useRest() : request.useGrpc()).send().join();
        if (topology.getBrokers().isEmpty()) {
          throw new IllegalStateException("no broker");
        }
        System.out.println("ok    Spring starter, " + args[0] + ": " + (rest ? "REST" : "gRPC") + " topology");
      }
    }
    System.exit(0);
  }
}

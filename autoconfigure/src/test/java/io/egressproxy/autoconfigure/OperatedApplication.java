package io.egressproxy.autoconfigure;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.actuate.audit.AuditEventRepository;
import org.springframework.boot.actuate.audit.InMemoryAuditEventRepository;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.http.HttpMethod;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.resources.LoopResources;

/** A whole application with a web server, actuator, and a configuration file that can be changed; and an operator who looks at it. */
final class OperatedApplication implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final LoopResources LOOPS = LoopResources.create("operator", 1, true);

    private final Path file;
    private final ConfigurableApplicationContext context;
    private final WebClient operator;
    private final ObjectMapper json = new ObjectMapper();
    private final List<String> seen = new CopyOnWriteArrayList<>();

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    @Import(SteadyLoad.Clients.class)
    static class Application {
        @Bean
        AuditEventRepository auditEventRepository() {
            return new InMemoryAuditEventRepository();
        }

        /** What a trace would hold. */
        @Bean
        Observed observed() {
            return new Observed();
        }
    }

    /** Writes down all that observations say. */
    static final class Observed implements ObservationHandler<Observation.Context> {
        private final List<String> texts = new CopyOnWriteArrayList<>();

        @Override
        public void onStop(Observation.Context context) {
            texts.add(context + " " + context.getAllKeyValues());
        }

        @Override
        public boolean supportsContext(Observation.Context context) {
            return true;
        }
    }

    /**
     * What an endpoint answers.
     *
     * @param status the status
     * @param body what it says; a missing node if that is no JSON
     */
    record Answered(int status, JsonNode body) {}

    private OperatedApplication(Path file, ConfigurableApplicationContext context) {
        this.file = file;
        this.context = context;
        // on resources of its own: it goes through no proxy, and the shared ones end with whichever application ends
        String url = "http://127.0.0.1:"
                + Objects.requireNonNull(context.getEnvironment().getProperty("local.server.port")) + "/actuator";
        this.operator = WebClient.builder()
                .baseUrl(url)
                .clientConnector(new ReactorClientHttpConnector(
                        HttpClient.create(ConnectionProvider.newConnection()).runOn(LOOPS)))
                .codecs(codecs -> codecs.defaultCodecs().maxInMemorySize(-1))
                .build();
    }

    /** Starts it with everything exposed and allowed, unless the arguments say otherwise. */
    static OperatedApplication start(Path directory, String yaml, String... arguments) throws IOException {
        Path file = directory.resolve("application.yml");
        Files.writeString(file, yaml);
        return new OperatedApplication(
                file,
                new SpringApplicationBuilder(Application.class)
                        .web(WebApplicationType.REACTIVE)
                        .properties( // which the arguments come before
                                "spring.config.location=file:" + file,
                                "spring.application.name=operated",
                                "spring.reactor.netty.shutdown-quiet-period=0s",
                                "server.port=0",
                                "server.address=127.0.0.1",
                                "management.endpoints.web.exposure.include=*",
                                "management.endpoint.proxies.access=unrestricted",
                                "management.endpoint.health.show-details=always",
                                "management.endpoint.env.show-values=always",
                                "management.endpoint.configprops.show-values=always")
                        .run(arguments));
    }

    /** The same with nothing allowed but what is allowed by default. */
    static OperatedApplication startAsGiven(Path directory, String yaml) throws IOException {
        Path file = directory.resolve("application.yml");
        Files.writeString(file, yaml);
        return new OperatedApplication(
                file,
                new SpringApplicationBuilder(Application.class)
                        .web(WebApplicationType.REACTIVE)
                        .properties(
                                "spring.config.location=file:" + file,
                                "server.port=0",
                                "server.address=127.0.0.1",
                                "management.endpoints.web.exposure.include=proxies")
                        .run());
    }

    ConfigurableApplicationContext context() {
        return context;
    }

    void write(String yaml) throws IOException {
        Files.writeString(file, yaml);
    }

    Answered get(String path) {
        return ask(HttpMethod.GET, path, null);
    }

    Answered post(String path, Map<String, String> body) {
        return ask(HttpMethod.POST, path, body);
    }

    Answered delete(String path) {
        return ask(HttpMethod.DELETE, path, null);
    }

    private Answered ask(HttpMethod method, String path, @org.jspecify.annotations.Nullable Map<String, String> body) {
        WebClient.RequestBodySpec request = operator.method(method).uri("/" + path);
        return Objects.requireNonNull((body == null ? request : request.bodyValue(body))
                .exchangeToMono(response -> response.bodyToMono(String.class)
                        .defaultIfEmpty("")
                        .map(text -> {
                            seen.add(text);
                            return new Answered(response.statusCode().value(), parsed(text));
                        }))
                .block(PATIENCE));
    }

    private JsonNode parsed(String text) {
        try {
            return json.readTree(text);
        } catch (IOException none) {
            return json.missingNode();
        }
    }

    /** All that the operator has been shown so far. */
    List<String> seen() {
        return seen;
    }

    /** What the traces of the application hold so far. */
    List<String> observed() {
        return context.getBean(Observed.class).texts;
    }

    @Override
    public void close() {
        context.close();
    }
}

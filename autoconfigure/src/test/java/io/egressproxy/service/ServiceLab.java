package io.egressproxy.service;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.postRequestedFor;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static com.github.tomakehurst.wiremock.core.WireMockConfiguration.options;

import com.github.tomakehurst.wiremock.WireMockServer;
import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import com.github.tomakehurst.wiremock.verification.LoggedRequest;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.micrometer.observation.ObservationRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import reactor.netty.http.HttpResources;

/** Endpoints of a proxy service, and the client on settings as a user writes them. */
final class ServiceLab implements AutoCloseable {
    static final String REQUEST = "/api/v1/proxy/request";
    static final Duration PATIENCE = Duration.ofSeconds(15);

    final List<WireMockServer> endpoints;
    /** What became of reports, by outcome. */
    final Map<String, Long> feedback = new ConcurrentHashMap<>();

    private final ProxyEventListener events = new ProxyEventListener() {
        @Override
        public void feedback(String outcome, long count) {
            feedback.merge(outcome, count, Long::sum);
        }
    };
    private final List<ServiceDelegation> delegations = new ArrayList<>();
    volatile AuthCredentials credentials = new AuthCredentials("token-1-C4NARY", "key-1-C4NARY");

    ServiceLab(int count) {
        endpoints = IntStream.range(0, count)
                .mapToObj(i -> new WireMockServer(options().dynamicPort().bindAddress("127.0.0.1")))
                .toList();
        endpoints.forEach(WireMockServer::start);
        endpoints.forEach(endpoint -> endpoint.stubFor(
                get(urlEqualTo("/health")).willReturn(aResponse().withStatus(200))));
    }

    WireMockServer endpoint() {
        return endpoints.get(0);
    }

    static ResponseDefinitionBuilder json(String body) {
        return aResponse()
                .withStatus(200)
                .withHeader("Content-Type", "application/json")
                .withBody(body);
    }

    static ResponseDefinitionBuilder proxy(String url) {
        return json(
                "{\"proxy_url\": \"%s\", \"strategy\": \"random\", \"ttl_seconds\": 300, \"fallback_policy\": \"embedded_fallback\", \"metadata\": {\"proxy_id\": \"id-%s\"}}"
                        .formatted(url, url.replaceAll(".*[@/]", "").replaceAll("\\W+", "-")));
    }

    void answer(ResponseDefinitionBuilder answer) {
        endpoints.forEach(endpoint -> answer(endpoint, answer));
    }

    static void answer(WireMockServer endpoint, ResponseDefinitionBuilder answer) {
        endpoint.stubFor(post(urlEqualTo(REQUEST)).willReturn(answer));
    }

    static List<LoggedRequest> requests(WireMockServer endpoint) {
        return endpoint.findAll(postRequestedFor(urlEqualTo(REQUEST)));
    }

    int requestsInAll() {
        return endpoints.stream()
                .mapToInt(endpoint -> requests(endpoint).size())
                .sum();
    }

    /** Settings of these endpoints; health checks are off unless said otherwise. */
    ProxySettings settings(String... properties) {
        Map<String, Object> values = Stream.concat(
                        Stream.of(
                                "proxy.enabled=true",
                                "proxy.no-proxy=",
                                "proxy.external-service.enabled=true",
                                "proxy.external-service.client-id=tests",
                                "proxy.external-service.fallback-after=5s",
                                "proxy.external-service.timeout-seconds=2",
                                "proxy.external-service.auth-credentials.token=token-1-C4NARY",
                                "proxy.external-service.auth-credentials.api-key=key-1-C4NARY",
                                "proxy.external-service.health-check.enabled=false",
                                "proxy.external-service.endpoints="
                                        + endpoints.stream()
                                                .map(endpoint -> "http://127.0.0.1:" + endpoint.port())
                                                .collect(Collectors.joining(","))),
                        Stream.of(properties))
                .map(property -> property.split("=", 2))
                .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1], (first, second) -> second));
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addFirst(new MapPropertySource("test", values));
        return ProxySettingsBinder.bind(environment);
    }

    ServiceDelegation delegation(String... properties) {
        return delegation(settings(properties), null, null);
    }

    /** With a breaker of Resilience4j. */
    ServiceDelegation delegation(CircuitBreaker breaker, String... properties) {
        return delegation(settings(properties), null, new Resilience4jServiceBreaker(breaker));
    }

    /** With a client of the application's own. */
    ServiceDelegation delegation(ProxyServiceClient client) {
        return delegation(settings("proxy.external-service.retry.max-attempts=1"), client, null);
    }

    private ServiceDelegation delegation(
            ProxySettings settings, @Nullable ProxyServiceClient client, @Nullable ServiceBreaker breaker) {
        ExternalServiceSettings service = settings.externalService();
        Supplier<AuthCredentials> read = () -> credentials;
        ServiceDelegation delegation = new ServiceDelegation(
                settings,
                service.clientId(),
                new ServiceConnection(service, HttpResources.get(), () -> null, read, ObservationRegistry.NOOP),
                client,
                new CaffeineAnswerStore(
                        service.cache().maxEntries(), service.cache().staleIfError()),
                breaker,
                HttpResources.get(),
                events);
        delegation.start();
        delegations.add(delegation);
        return delegation;
    }

    static ProxyTarget target(String exchange) {
        return new ProxyTarget(ExchangeId.of(exchange), ConnectionType.HTTP, "api." + exchange + ".com", 443);
    }

    @Override
    public void close() {
        delegations.forEach(ServiceDelegation::close);
        endpoints.forEach(WireMockServer::stop);
    }
}

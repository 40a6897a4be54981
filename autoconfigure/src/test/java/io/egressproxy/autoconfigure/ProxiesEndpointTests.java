package io.egressproxy.autoconfigure;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.postRequestedFor;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static com.github.tomakehurst.wiremock.core.WireMockConfiguration.options;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.tomakehurst.wiremock.WireMockServer;
import io.egressproxy.autoconfigure.OperatedApplication.Answered;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.actuate.audit.AuditEvent;
import org.springframework.boot.actuate.audit.AuditEventRepository;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.http.HttpHeaders;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.Disposable;

/** What an operator sees and does through actuator, over HTTP, with real proxies and WireMock as the service. */
@ExtendWith({ProxyLab.Extension.class, OutputCaptureExtension.class})
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("NFR-3")
@Tag("smoke")
class ProxiesEndpointTests {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final String REQUEST = "/api/v1/proxy/request";

    private final ProxyLab lab;
    private final TargetServer target;
    private final List<RunningProxy> proxies;
    private final int deadPort = FaultyProxy.closedPort();
    private final WireMockServer service =
            new WireMockServer(options().dynamicPort().bindAddress("127.0.0.1"));

    @TempDir
    private Path directory;

    ProxiesEndpointTests(ProxyLab lab) {
        this.lab = lab;
        this.target = lab.newTarget();
        this.proxies = lab.poolOfFive();
    }

    @BeforeEach
    void start() {
        target.clear();
        service.start();
        service.resetAll();
        service.stubFor(get(urlEqualTo("/health")).willReturn(aResponse()));
        service.stubFor(post(urlEqualTo("/api/v1/proxy/feedback/batch")).willReturn(okJson("{}")));
    }

    @AfterEach
    void nothingIsGivenAway(CapturedOutput output) {
        service.stop();
        assertThat(output).doesNotContain("C4NARY");
    }

    @AfterAll
    void close() {
        target.close();
    }

    private String pool() {
        return """
                proxy:
                  enabled: true
                  no-proxy: [bypass.test]
                  default:
                    http:
                      pool:
                        - url: %s
                        - url: %s
                        - url: http://user:C4NARY@127.0.0.1:%d
                      circuit-breaker: {failure-threshold: 1, open-for: 1m}
                      health-check: {enabled: false}
                """
                .formatted(proxies.get(0).url(), proxies.get(1).url(), deadPort);
    }

    private String withService(String yaml) {
        return yaml
                + """
                  external-service:
                    enabled: true
                    endpoints: http://127.0.0.1:%d
                    auth-credentials: {token: C4NARY}
                  exchanges:
                    binance:
                      metadata: {plan: C4NARY}
                      websocket: {url: "socks5://user:C4NARY@127.0.0.1:1"}
                """
                        .formatted(service.port());
    }

    private void answer(RunningProxy proxy) {
        service.stubFor(post(urlEqualTo(REQUEST))
                .willReturn(okJson(
                        """
                        {"proxy_url": "%s", "strategy": "random", "ttl_seconds": 300, "fallback_policy": "embedded_fallback",
                         "metadata": {"proxy_id": "leased"}}"""
                                .formatted(proxy.url()))));
    }

    private String peer(OperatedApplication application) {
        return SteadyLoad.peer(Objects.requireNonNull(application
                .context()
                .getBean(WebClient.Builder.class)
                .build()
                .get()
                .uri(target.url("http", "/whoami"))
                .header(HttpHeaders.CONNECTION, "close")
                .retrieve()
                .bodyToMono(String.class)
                .block(PATIENCE)));
    }

    private static List<JsonNode> list(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false).toList();
    }

    private static JsonNode member(OperatedApplication application, int port) {
        return list(application.get("proxies").body().at("/pools/default~1http/proxies")).stream()
                .filter(proxy -> proxy.get("proxy").asText().endsWith(":" + port))
                .findAny()
                .orElseThrow();
    }

    private static Map<String, String> drain(RunningProxy proxy) {
        return Map.of("proxy", "http://127.0.0.1:" + proxy.port(), "reason", "maintenance", "expiry", "30m");
    }

    private static String address(RunningProxy proxy) {
        return proxy.url().replaceFirst("//.*@", "//");
    }

    @Test
    void eachProxyIsShownWithItsStateWhySinceWhenAndItsCounts() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            for (int i = 0; i < 6; i++) {
                peer(application);
            }
            JsonNode dead = member(application, deadPort);
            assertThat(dead.get("proxy").asText()).isEqualTo("http://***@127.0.0.1:" + deadPort);
            assertThat(dead.get("state").asText()).isEqualTo("ejected");
            assertThat(dead.get("why").asText()).isEqualTo("refused the connection");
            assertThat(dead.get("since").asText()).isLessThan(dead.get("until").asText());
            assertThat(dead.get("failed").asInt()).isEqualTo(1);
            JsonNode report = application.get("proxies").body();
            assertThat(list(report.at("/pools/default~1http/proxies")).stream()
                            .mapToInt(proxy -> proxy.get("succeeded").asInt())
                            .sum())
                    .isEqualTo(6);
            assertThat(list(report.at("/pools/default~1http/proxies"))
                            .get(0)
                            .get("state")
                            .asText())
                    .as("trouble comes first")
                    .isEqualTo("ejected");
            assertThat(report.at("/routes/default/http").asText()).startsWith("via round_robin of 3 proxies");
            assertThat(report.at("/settings/default-fallback").isMissingNode()).isTrue();
            assertThat(report.at("/settings/direct-fallback").asText()).isEqualTo("when_directed");
            assertThat(report.at("/settings/defaults/http/circuit-breaker/open-for")
                            .asText())
                    .isEqualTo("60s");
        }
    }

    @Test
    void theServiceItsAnswersAndTheLastFallbacksAreShown() throws IOException {
        answer(proxies.get(2));
        try (OperatedApplication application = OperatedApplication.start(directory, withService(pool()))) {
            assertThat(peer(application)).isEqualTo(proxies.get(2).egressAddress());
            JsonNode shown = application.get("proxies").body().get("service");
            assertThat(shown.get("available").asBoolean()).isTrue();
            assertThat(shown.at("/endpoints/http:~1~1127.0.0.1:" + service.port())
                            .asText())
                    .isEqualTo("up");
            assertThat(shown.get("breaker").asText()).isEqualTo("closed");
            JsonNode kept = shown.at("/answers/0");
            assertThat(kept.get("proxy-id").asText()).isEqualTo("leased");
            assertThat(kept.get("ttl-seconds").asInt()).isEqualTo(300);
            assertThat(kept.get("age-seconds").asInt()).isLessThan(30);
            assertThat(kept.get("holds-for-seconds").asInt()).isBetween(270, 300);
            JsonNode settings = application.get("proxies").body().get("settings");
            assertThat(settings.at("/external-service/auth-credentials/token").asText())
                    .isEqualTo("******");
            assertThat(settings.at("/exchanges/binance/metadata/plan").asText()).isEqualTo("******");

            service.stop();
            application.delete("proxies/x/http");
            await().atMost(PATIENCE).until(() -> !application
                    .get("proxies")
                    .body()
                    .at("/service/available")
                    .asBoolean());
            for (int i = 0; i < 110; i++) {
                application
                        .context()
                        .getBean(io.egressproxy.ProxyInjector.class)
                        .lease("exchange-" + i, io.egressproxy.ConnectionType.HTTP)
                        .doOnNext(lease -> lease.close(new io.egressproxy.Outcome.Cancelled()))
                        .block(PATIENCE);
            }
            List<JsonNode> fallbacks = list(application.get("proxies").body().get("fallbacks"));
            assertThat(fallbacks).hasSize(100);
            assertThat(fallbacks.get(0).get("exchange").asText())
                    .as("the latest comes first")
                    .isEqualTo("exchange-109");
            assertThat(fallbacks.get(0).get("reason").asText()).isEqualTo("service_down");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "any, http, , embedded, the pool gives",
        "any, http, bypass.test, direct, its host is on no-proxy (bypass.test)",
        "any, websocket, , direct, DIRECT (not configured)",
    })
    void aDecisionIsExplainedStepByStep(String exchange, String type, String host, String source, String step)
            throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            Answered answered =
                    application.get("proxies/" + exchange + "/" + type + (host == null ? "" : "?host=" + host));
            assertThat(answered.status()).isEqualTo(200);
            assertThat(answered.body().get("source").asText()).isEqualTo(source);
            assertThat(answered.body().get("steps").toString()).contains(step);
        }
    }

    @Test
    void aHostIsExplainedByTheExchangeThatClaimsItAndWithItsPort() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(
                directory, pool() + "  exchanges: {one: {hosts: [one.test], http: {url: \"http://one:1\"}}}\n")) {
            assertThat(application
                            .get("proxies/*/http?host=one.test&port=8443")
                            .body()
                            .get("proxy")
                            .asText())
                    .isEqualTo("http://one:1");
            assertThat(application
                            .get("proxies/*/http?host=two.test")
                            .body()
                            .get("steps")
                            .toString())
                    .contains("no exchange claims the host");
        }
    }

    @Test
    void whatIsExplainedIsWhatAConnectionDoesNext() throws IOException {
        answer(proxies.get(2));
        try (OperatedApplication application = OperatedApplication.start(directory, withService(pool()))) {
            Answered asked = application.get("proxies/kraken/http");
            assertThat(asked.body().get("source").asText()).isEqualTo("service");
            assertThat(asked.body().get("proxy").asText())
                    .endsWith(":" + proxies.get(2).port());
            assertThat(asked.body().get("steps").toString())
                    .contains("exchange kraken is not configured")
                    .contains("no answer of the proxy service is kept")
                    .contains("was asked just now, and answered");
            assertThat(application
                            .get("proxies/kraken/http")
                            .body()
                            .get("steps")
                            .toString())
                    .contains("an answer of the proxy service is kept")
                    .contains("correlation id");
            assertThat(application.get("proxies/default/http").body().get("proxy"))
                    .isEqualTo(asked.body().get("proxy"));
            assertThat(peer(application)).isEqualTo(proxies.get(2).egressAddress());
        }
    }

    @Test
    void theDocumentationShowsAnExplanationAsItIs() throws IOException {
        String page = Files.readString(Path.of("../docs/operations.md"));
        String example = page.substring(page.indexOf("```json") + "```json".length());
        JsonNode documented = new ObjectMapper().readTree(example.substring(0, example.indexOf("```")));
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            JsonNode answered = application.get("proxies/any/http").body();
            assertThat(answered.fieldNames()).toIterable().containsExactlyElementsOf(documented::fieldNames);
            assertThat(documented.get("steps").get(5).asText())
                    .startsWith("the pool gives ")
                    .endsWith(": by round_robin");
            assertThat(answered.get("steps").toString()).contains(": by round_robin");
        }
    }

    @ParameterizedTest
    @CsvSource({"x/ftp, there is no such connection type", "'x y/http', an exchange id is 1 to 64"})
    void whatCannotBeExplainedSaysWhatToWrite(String path, String error) throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            Answered answered = application.get("proxies/" + path);
            assertThat(answered.status()).isEqualTo(400);
            assertThat(answered.body().get("error").asText()).contains(error);
        }
    }

    @Test
    void onlyReadingIsAllowedUnlessTheUserSaysOtherwise() throws IOException {
        try (OperatedApplication application = OperatedApplication.startAsGiven(directory, pool())) {
            assertThat(application.get("proxies").status()).isEqualTo(200);
            assertThat(application.post("proxies/drain", drain(proxies.get(0))).status())
                    .isIn(404, 405);
            assertThat(application.delete("proxies/any/http").status()).isIn(404, 405);
        }

        try (OperatedApplication application =
                OperatedApplication.start(directory, pool(), "--management.endpoints.web.exposure.include=health")) {
            assertThat(application.get("proxies").status()).isEqualTo(404);
            assertThat(application.context().containsBean("proxiesEndpoint")).isFalse();
        }
    }

    @Test
    @Tag("no-interruption")
    void aDrainedProxyGetsNoConnectionsUntilItIsResumed() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            Map<String, String> first =
                    Map.of("proxy", address(proxies.get(0)), "reason", "maintenance", "expiry", "30m");
            Answered drained = application.post("proxies/drain", first);
            assertThat(drained.status()).as(drained.body().toString()).isEqualTo(200);
            assertThat(drained.body().at("/drained/default~1http")).hasSize(1);
            assertThat(drained.body().get("until").asText()).isNotEmpty();
            JsonNode member = member(application, proxies.get(0).port());
            assertThat(member.get("state").asText()).isEqualTo("drained");
            assertThat(member.get("why").asText()).isEqualTo("maintenance");
            for (int i = 0; i < 10; i++) {
                assertThat(peer(application)).isEqualTo(proxies.get(1).egressAddress());
            }
            assertThat(application
                            .get("health")
                            .body()
                            .at("/components/proxy/details/reasons")
                            .toString())
                    .as("what is on purpose is no reason to be degraded")
                    .doesNotContain("of 3")
                    .doesNotContain("drained");
            assertThat(application
                            .post("proxies/resume", Map.of("proxy", address(proxies.get(0))))
                            .status())
                    .isEqualTo(200);
            List<String> peers = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                peers.add(peer(application));
            }
            assertThat(peers).contains(proxies.get(0).egressAddress());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "drain, '', maintenance, , proxy is missing",
        "drain, http://user:C4NARY@host, maintenance, , has no port",
        "drain, http://user:C4NARY@elsewhere:1, maintenance, , is in no pool",
        "drain, FIRST, '', , reason is missing",
        "drain, FIRST, maintenance, tomorrow, expiry is no duration",
        "drain, FIRST, maintenance, -1s, expiry must be more than nothing",
        "drain, FIRST, maintenance, 999d, expiry must be more than nothing",
        "resume, FIRST, , , is not drained",
        "explode, , , , 'use drain, resume or reload'",
    })
    void whatCannotBeDoneSaysWhy(String operation, String proxy, String reason, String expiry, String error)
            throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            Map<String, String> body = new java.util.HashMap<>();
            body.put("proxy", "FIRST".equals(proxy) ? address(proxies.get(0)) : proxy);
            body.put("reason", reason);
            body.put("expiry", expiry);
            body.values().removeIf(Objects::isNull);
            Answered answered = application.post("proxies/" + operation, body);
            assertThat(answered.status()).isEqualTo(400);
            assertThat(answered.body().get("error").asText()).contains(error);
            assertThat(application.seen()).noneMatch(text -> text.contains("C4NARY"));
        }
    }

    @Test
    @Tag("no-leak")
    void theLastProxyOfAPoolThatWorksIsNotDrained() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            while (!member(application, deadPort).get("state").asText().equals("ejected")) {
                peer(application);
            }
            assertThat(application
                            .post(
                                    "proxies/drain",
                                    Map.of("proxy", address(proxies.get(0)), "reason", "maintenance", "expiry", "90"))
                            .body()
                            .get("until")
                            .asText())
                    .as("seconds")
                    .isGreaterThan(Instant.now().plusSeconds(60).toString());
            Answered last = application.post(
                    "proxies/drain", Map.of("proxy", address(proxies.get(1)), "reason", "maintenance"));
            assertThat(last.status()).isEqualTo(400);
            assertThat(last.body().get("error").asText())
                    .contains("the last one of [default/http] that works and is not drained");
        }
    }

    @Test
    void anAnswerThatIsEvictedIsAskedForAgain() throws IOException {
        answer(proxies.get(2));
        try (OperatedApplication application = OperatedApplication.start(directory, withService(pool()))) {
            application.get("proxies/kraken/http");
            application.get("proxies/kraken/websocket");
            application.get("proxies/kraken/http");
            assertThat(service.findAll(postRequestedFor(urlEqualTo(REQUEST)))).hasSize(2);
            Answered evicted = application.delete("proxies/KRAKEN/http");
            assertThat(evicted.body().get("evicted").asInt()).isEqualTo(1);
            application.get("proxies/kraken/http");
            application.get("proxies/kraken/websocket");
            assertThat(service.findAll(postRequestedFor(urlEqualTo(REQUEST)))).hasSize(3);
        }
        try (OperatedApplication application = OperatedApplication.start(directory, pool())) {
            assertThat(application.delete("proxies/kraken/http").status()).isEqualTo(400);
        }
    }

    @Test
    void theAuditTrailHasEachRequestWithItsAnswerFallbackAndFeedback(CapturedOutput output) throws IOException {
        answer(proxies.get(2));
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                withService(pool()),
                "--logging.level.io.egressproxy.audit=DEBUG",
                "--proxy.external-service.feedback.flush-interval=300ms")) {
            AuditEventRepository trail = application.context().getBean(AuditEventRepository.class);
            peer(application);
            await().atMost(PATIENCE).until(() -> types(trail).contains("PROXY_FEEDBACK"));
            service.stubFor(post(urlEqualTo(REQUEST)).willReturn(aResponse().withStatus(500)));
            application.delete("proxies/x/http");
            application
                    .context()
                    .getBean(io.egressproxy.ProxyInjector.class)
                    .lease("other", io.egressproxy.ConnectionType.HTTP)
                    .doOnNext(lease -> lease.close(new io.egressproxy.Outcome.Cancelled()))
                    .block(PATIENCE);
            await().atMost(PATIENCE).until(() -> types(trail).contains("PROXY_FALLBACK"));
            assertThat(types(trail)).contains("PROXY_REQUEST", "PROXY_ANSWER", "PROXY_OPERATION");
            Map<Object, Set<String>> byId = trail.find("operated", null, null).stream()
                    .filter(event -> event.getData().containsKey("correlation.id"))
                    .collect(Collectors.groupingBy(
                            event -> event.getData().get("correlation.id"),
                            Collectors.mapping(AuditEvent::getType, Collectors.toSet())));
            assertThat(byId.values())
                    .as("one id leads from the request to what it came to")
                    .contains(Set.of("PROXY_REQUEST", "PROXY_ANSWER"))
                    .contains(Set.of("PROXY_REQUEST", "PROXY_ANSWER", "PROXY_FALLBACK"));
            List<String> sent = service.findAll(postRequestedFor(urlEqualTo(REQUEST))).stream()
                    .map(request -> request.getHeader("X-Correlation-ID"))
                    .toList();
            assertThat(byId.keySet())
                    .as("and it is the one that the service knows")
                    .containsAll(sent);
            assertThat(output)
                    .contains("io.egressproxy.audit")
                    .contains("PROXY_FALLBACK {exchange=other, connection.type=http, correlation.id=")
                    .contains(sent.get(0));
        }
    }

    private static Set<String> types(AuditEventRepository trail) {
        return trail.find("operated", null, null).stream()
                .map(AuditEvent::getType)
                .collect(Collectors.toSet());
    }

    @Test
    void withoutTheLevelDebugTheAuditTrailIsNotInTheLog(CapturedOutput output) throws IOException {
        answer(proxies.get(2));
        try (OperatedApplication application = OperatedApplication.start(directory, withService(pool()))) {
            peer(application);
            assertThat(output).doesNotContain("PROXY_REQUEST");
        }
    }

    @Test
    @Tag("NFR-4")
    void noEndpointGivesAPasswordAway() throws IOException {
        answer(proxies.get(2));
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                withService(pool()),
                "--proxy.exchanges.coinbase.http.url=http://user:C4NARY/with#odd@signs@127.0.0.1:1"
                        .replace("/", "%2F")
                        .replace("http:%2F%2F", "http://")
                        .replace("#", "%23")
                        .replace("odd@", "odd%40"))) {
            peer(application);
            for (String path : List.of(
                    "proxies",
                    "proxies/binance/http",
                    "proxies/binance/websocket",
                    "proxies/coinbase/http",
                    "health",
                    "env",
                    "env/proxy.default.http.pool[2].url",
                    "env/proxy.external-service.auth-credentials.token",
                    "env/proxy.exchanges.binance.metadata.plan",
                    "configprops",
                    "beans",
                    "caches",
                    "metrics",
                    "metrics/proxy.member.up",
                    "metrics/proxy.service.requests",
                    "auditevents",
                    "conditions",
                    "loggers",
                    "mappings")) {
                assertThat(application.get(path).status()).as(path).isEqualTo(200);
            }
            assertThat(application.seen()).noneMatch(text -> text.contains("C4NARY"));
            assertThat(application.observed())
                    .as("the service's client is observed")
                    .anyMatch(text -> text.contains("http.client.requests") && text.contains("/api/v1/proxy/request"))
                    .noneMatch(text -> text.contains("C4NARY"));
        }
    }

    /** Also behind a proxy that has had a TLS handshake of its own. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @Tag("no-interruption")
    void aConnectionThatIsInTheTargetsTlsHandshakeIsNotCutByADrain(boolean throughHttps) throws IOException {
        RunningProxy first = throughHttps ? lab.proxy(ProxyKind.SQUID_HTTPS) : proxies.get(0);
        String yaml =
                pool().replace(proxies.get(0).url(), first.url() + (throughHttps ? "\n          ssl-bundle: lab" : ""));
        try (OperatedApplication application = OperatedApplication.start(
                        directory,
                        yaml,
                        "--spring.ssl.bundle.pem.lab.truststore.certificate=file:"
                                + lab.certificates().authorityFile());
                ServerSocket silent = new ServerSocket(0, 10, InetAddress.getByName("127.0.0.1"))) {
            silent.setSoTimeout((int) PATIENCE.toMillis());
            Disposable request = application
                    .context()
                    .getBean(WebClient.Builder.class)
                    .build()
                    .get()
                    .uri("https://127.0.0.1:" + silent.getLocalPort() + "/")
                    .retrieve()
                    .toBodilessEntity()
                    .subscribe(answer -> {}, failure -> {});
            try (Socket accepted = silent.accept()) {
                accepted.setSoTimeout((int) PATIENCE.toMillis());
                assertThat(accepted.getInputStream().read()).as("a TLS record").isEqualTo(0x16);
                assertThat(application
                                .post("proxies/drain", Map.of("proxy", address(first), "reason", "maintenance"))
                                .status())
                        .isEqualTo(200);
                accepted.setSoTimeout(500);
                assertThatThrownBy(() -> {
                            while (accepted.getInputStream().read() >= 0) {
                                // what is left of the record
                            }
                        })
                        .as("open, and silent")
                        .isInstanceOf(SocketTimeoutException.class);
            } finally {
                request.dispose();
            }
        }
    }
}

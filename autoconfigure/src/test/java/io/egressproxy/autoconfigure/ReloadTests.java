package io.egressproxy.autoconfigure;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.containing;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.okJson;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.postRequestedFor;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static com.github.tomakehurst.wiremock.core.WireMockConfiguration.options;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.github.tomakehurst.wiremock.WireMockServer;
import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyReload;
import io.egressproxy.autoconfigure.OperatedApplication.Answered;
import io.egressproxy.settings.ProxySettingsCustomizer;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.http.HttpHeaders;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Settings that change in their file while an application runs, with real proxies. */
@ExtendWith({ProxyLab.Extension.class, OutputCaptureExtension.class})
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("NFR-3")
@Tag("no-leak")
class ReloadTests {
    private static final Logger log = LoggerFactory.getLogger(ReloadTests.class);
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final TargetServer target;
    private final List<RunningProxy> proxies;
    private final WireMockServer service =
            new WireMockServer(options().dynamicPort().bindAddress("127.0.0.1"));

    @TempDir
    private Path directory;

    ReloadTests(ProxyLab lab) {
        this.target = lab.newTarget();
        this.proxies = lab.poolOfFive();
    }

    @BeforeEach
    void start() {
        target.clear();
        service.start();
        service.resetAll();
        service.stubFor(get(urlEqualTo("/health")).willReturn(aResponse()));
        service.stubFor(post(urlEqualTo("/api/v1/proxy/request"))
                .willReturn(okJson(
                        """
                        {"proxy_url": "%s", "ttl_seconds": 300, "fallback_policy": "embedded_fallback"}"""
                                .formatted(proxies.get(4).url()))));
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

    private static String yaml(String more) {
        return """
                proxy:
                  enabled: true
                  no-proxy: []
                """
                + more.indent(2);
    }

    private String single(int proxy) {
        return yaml("default: {http: {url: \"%s\"}, websocket: {direct: true}}"
                .formatted(proxies.get(proxy).url()));
    }

    private String pool(int... members) {
        StringBuilder urls = new StringBuilder();
        for (int member : members) {
            urls.append("      - url: \"").append(proxies.get(member).url()).append("\"\n");
        }
        return yaml("default:\n  http:\n    health-check: {enabled: false}\n    pool:\n" + urls);
    }

    private String withService() {
        return yaml("external-service: {enabled: true, endpoints: \"http://127.0.0.1:%d\"}".formatted(service.port()));
    }

    /** On a connection that is kept, so that the next request could use it again. */
    private String peer(OperatedApplication application) {
        return SteadyLoad.peer(Objects.requireNonNull(application
                .context()
                .getBean(WebClient.Builder.class)
                .build()
                .get()
                .uri(target.url("http", "/whoami"))
                .retrieve()
                .bodyToMono(String.class)
                .block(PATIENCE)));
    }

    private String peerOfNewConnection(OperatedApplication application) {
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

    private String egress(int proxy) {
        return proxies.get(proxy).egressAddress();
    }

    private static void reload(OperatedApplication application) {
        Answered answered = application.post("proxies/reload", Map.of());
        assertThat(answered.status()).as(answered.body().toString()).isEqualTo(200);
        assertThat(answered.body().get("state").asText()).isEqualTo("applied");
    }

    @Test
    void aConnectionThatIsKeptDoesNotOutliveTheSettingsThatItWasOpenedBy() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            assertThat(peer(application)).isEqualTo(egress(0));
            application.write(single(1));
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(1));
            application.write(pool(2, 3));
            reload(application);
            assertThat(peer(application)).isIn(egress(2), egress(3));
            application.write(withService());
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(4));
            application.write(single(0));
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(0));
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void anExchangeThatGetsAProxyUsesNoDirectConnectionAnyMore() throws IOException {
        try (OperatedApplication application =
                OperatedApplication.start(directory, yaml("default: {http: {direct: true}}"))) {
            peer(application);
            assertThat(target.directConnections()).isNotEmpty();
            target.clear();
            application.write(single(0));
            reload(application);
            for (int i = 0; i < 5; i++) {
                assertThat(peer(application)).isEqualTo(egress(0));
            }
            assertThat(target.directConnections()).isEmpty();
        }
    }

    @Test
    void aHostThatChangesItsExchangeUsesTheProxyOfTheNewOne() throws IOException {
        String both =
                """
                exchanges:
                  one: {hosts: [%s], http: {url: "%s"}}
                  two: {hosts: [%s], http: {url: "%s"}}
                """;
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                yaml(both.formatted(
                        "127.0.0.1",
                        proxies.get(0).url(),
                        "other.test",
                        proxies.get(1).url())))) {
            assertThat(peer(application)).isEqualTo(egress(0));
            application.write(yaml(both.formatted(
                    "other.test",
                    proxies.get(0).url(),
                    "127.0.0.1",
                    proxies.get(1).url())));
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(1));
        }
    }

    @Test
    @Tag("smoke")
    void wrongSettingsChangeNothingAndAreSeen(CapturedOutput output) throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            for (String wrong : List.of(
                    yaml("default: {http: {url: \"ftp://user:C4NARY@host:1\"}, websocket: {timeout-seconds: 0}}"),
                    yaml("default:\n  http:\n    strategy: fastest\n    pool: [{url: \"http://host:1\"}]"),
                    yaml("default:\n  http:\n    health-check: {method: guess}\n    pool: [{url: \"http://host:1\"}]"),
                    yaml("default:\n  http:\n    url: \"https://host:1\"\n    ssl-bundle: missing"),
                    yaml("external-service: {enabled: true, endpoints: \"https://host\", ssl-bundle: missing}"),
                    "proxy: [this is: {no yaml, C4NARY")) {
                application.write(wrong);
                Answered answered = application.post("proxies/reload", Map.of());
                assertThat(answered.status()).as(wrong).isEqualTo(400);
                assertThat(answered.body().get("state").asText()).isEqualTo("rejected");
                assertThat(answered.body().get("problems")).isNotEmpty();
                assertThat(peer(application)).isEqualTo(egress(0));
            }
            JsonNode health = application.get("health").body().at("/components/proxy");
            assertThat(health.get("status").asText()).isEqualTo("UP");
            assertThat(health.at("/details/degraded").asBoolean()).isTrue();
            assertThat(health.at("/details/configuration/state").asText()).isEqualTo("rejected");
            assertThat(application
                            .context()
                            .getBean(MeterRegistry.class)
                            .get("proxy.reloads")
                            .tag("outcome", "rejected")
                            .counter()
                            .count())
                    .isEqualTo(6);
            assertThat(output).contains("application.yml] - 4:").contains("those before stay in force");
            application.write(single(1));
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(1));
            assertThat(application
                            .get("health")
                            .body()
                            .at("/components/proxy/details/degraded")
                            .asBoolean())
                    .isFalse();
            assertThat(application.seen()).noneMatch(text -> text.contains("C4NARY"));
        }
    }

    @Test
    void whatIsWrongForSeveralPartsIsSaidAtOnceAndWithItsPlace() throws IOException {
        String working = "exchanges: {bitmex: {http: {pool: [\"%s\"]}}}"
                .formatted(proxies.get(0).url());
        try (OperatedApplication application = OperatedApplication.start(directory, yaml(working))) {
            application.write(
                    yaml(
                            """
                    exchanges:
                      bitmex: {http: {pool: []}}
                      binance: {http: {strategy: fastest, pool: ["http://p:1"]}}
                      kraken: {http: {health-check: {method: guess}, pool: ["http://p:1"]}}
                    """));
            Answered answered = application.post("proxies/reload", Map.of());
            assertThat(answered.status()).isEqualTo(400);
            String problems = answered.body().get("problems").toString();
            assertThat(problems)
                    .containsPattern("no strategy 'fastest'[^\"]*application.yml\\] - 6:")
                    .containsPattern("is 'guess'[^\"]*application.yml\\] - 7:")
                    .containsPattern(
                            "would leave a pool that is in use without any enabled proxy[^\"]*application.yml\\] - 5:");
        }
    }

    @Test
    void whatHasGoneIsNotSaidToStandWhereOthersStand() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                yaml("exchanges: {binance: {http: {url: \"%s\"}}}"
                        .formatted(proxies.get(0).url())))) {
            application.write(yaml("exchanges: {kraken: {http: {url: \"%s\"}}}"
                    .formatted(proxies.get(0).url())));
            assertThat(refusal(application))
                    .contains("proxy.exchanges.binance.http has had a proxy")
                    .doesNotContain("application.yml");
        }
    }

    @Test
    void aReloadThatWouldEmptyAPoolIsRefused() throws IOException {
        String exchange =
                """
                default: {http: {url: "%s"}}
                exchanges:
                  one:
                    hosts: [127.0.0.1]
                    http: {pool: [%s]}
                """;
        String url = "{url: \"%s\"}".formatted(proxies.get(1).url());
        try (OperatedApplication application = OperatedApplication.start(
                directory, yaml(exchange.formatted(proxies.get(0).url(), url)))) {
            for (String emptied : List.of("", url.replace("}", ", enabled: false}"))) {
                application.write(yaml(exchange.formatted(proxies.get(0).url(), emptied)));
                Answered answered = application.post("proxies/reload", Map.of());
                assertThat(answered.status()).isEqualTo(400);
                assertThat(answered.body().get("problems").toString())
                        .contains(
                                "proxy.exchanges.one.http.pool would leave a pool that is in use without any enabled");
                assertThat(peer(application)).isEqualTo(egress(1));
            }
            application.write(single(0));
            reload(application);
            assertThat(peer(application)).as("the exchange has gone").isEqualTo(egress(0));
        }
    }

    @Test
    void whatNeedsARestartIsReportedAndTheRestIsApplied(CapturedOutput output) throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            application.write(single(1).replace("enabled: true", "enabled: false\n  transparent: false"));
            Answered answered = application.post("proxies/reload", Map.of());
            assertThat(answered.status()).isEqualTo(200);
            assertThat(answered.body().get("need-restart").toString())
                    .contains("proxy.enabled")
                    .contains("proxy.transparent");
            assertThat(peer(application)).isEqualTo(egress(1));
            assertThat(output).contains("These take effect with the next start only: proxy.enabled, proxy.transparent");
        }
    }

    @Test
    void theServiceIsSwitchedOnAndOff() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            assertThat(peer(application)).isEqualTo(egress(0));
            String on = single(0)
                    + "  external-service: {enabled: true, endpoints: \"http://127.0.0.1:%d\"}\n"
                            .formatted(service.port());
            application.write(on);
            reload(application);
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(application
                            .get("proxies/new/http")
                            .body()
                            .get("source")
                            .asText())
                    .isIn("service", "cache"));
            assertThat(application
                            .context()
                            .getBean(MeterRegistry.class)
                            .get("proxy.service.available")
                            .gauge()
                            .value())
                    .isEqualTo(1);
            int asked = service.findAll(postRequestedFor(urlEqualTo("/api/v1/proxy/request")))
                    .size();
            application.write(on.replace("enabled: true, endpoints", "enabled: true, rollout-percent: 0, endpoints"));
            reload(application);
            assertThat(application
                            .get("proxies/another/http")
                            .body()
                            .get("source")
                            .asText())
                    .isEqualTo("embedded");
            assertThat(service.findAll(postRequestedFor(urlEqualTo("/api/v1/proxy/request"))))
                    .as("nobody is asked")
                    .hasSize(asked);
            application.write(single(0));
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(0));
            assertThat(application.get("proxies").body().has("service")).isFalse();
            assertThat(application
                            .context()
                            .getBean(MeterRegistry.class)
                            .find("proxy.service.available")
                            .meters())
                    .isEmpty();
        }
    }

    @Test
    void aListenerOfTheApplicationMayReload() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            ProxyReload reload = application.context().getBean(ProxyReload.class);
            assertThat(reload.state()).isEqualTo(ProxyReload.State.INITIAL);
            application.write(single(1));
            assertThat(reload.reload()).as("for listeners of other refreshes").isTrue();
            assertThat(application
                            .context()
                            .getBean(ProxyInjector.class)
                            .decide("any", ConnectionType.HTTP)
                            .block(PATIENCE))
                    .hasToString("via " + proxies.get(1).url().replaceFirst("//.*@", "//***@") + " (default)");
        }
    }

    /** Adds, removes, re-weights and re-passwords proxies under 200 requests a second; every tenth one is wrong. */
    @Test
    @Tag("no-interruption")
    void underLoadAHundredReloadsFailNoRequestAndLeaveNothingBehind() throws IOException {
        try (OperatedApplication application =
                OperatedApplication.start(directory, underLoad(0, "round_robin", 0, 1, 2))) {
            MeterRegistry registry = application.context().getBean(MeterRegistry.class);
            long heapBefore = 0;
            try (SteadyLoad load = SteadyLoad.start(application.context(), target)) {
                for (int i = 0; i < 100; i++) {
                    boolean wrong = i % 10 == 9;
                    application.write(
                            wrong
                                    ? underLoad(i, "fastest", 0)
                                    : switch (i % 3) {
                                        case 0 -> underLoad(i, "random", 1, 2, 3);
                                        case 1 -> underLoad(i, "least_connections", 3, 0);
                                        default -> underLoad(i, "round_robin", 0, 1, 2, 3);
                                    });
                    assertThat(application.context().getBean(ProxyReload.class).reload())
                            .isEqualTo(!wrong);
                    long opened = load.connections();
                    await().atMost(PATIENCE).until(() -> load.connections() > opened + 5);
                    heapBefore = i == 20 ? usedHeap() : heapBefore;
                }
                log.info("100 reloads under load: {}", load);
                assertThat(load.notOpened()).isEmpty();
                assertThat(load.lostInFlight()).isZero();
                assertThat(load.webSocketsLost())
                        .as("open connections are not cut")
                        .isZero();
                assertThat(load.toString()).contains("failed attempts {}");
            }
            assertThat(target.directConnections()).isEmpty();
            assertThat(usedHeap()).as("heap after 80 more reloads").isLessThan(heapBefore + 8_000_000);
            application.write(single(4)); // its websocket is direct on purpose
            reload(application); // which closes whatever lies idle
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            registry.find("proxy.connections.active").gauges())
                    .allSatisfy(gauge -> assertThat(gauge.value()).isZero()));
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(target.openConnections()).isEmpty());
        }
    }

    @Test
    void underLoadTheServiceComesAndGoesAndHealthChecksGoOnWithoutAFailedRequest() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, servedUnderLoad(0))) {
            MeterRegistry registry = application.context().getBean(MeterRegistry.class);
            try (SteadyLoad load = SteadyLoad.start(application.context(), target)) {
                for (int i = 1; i < 40; i++) {
                    application.write(servedUnderLoad(i));
                    reload(application);
                    long opened = load.connections();
                    await().atMost(PATIENCE).until(() -> load.connections() > opened + 5);
                }
                log.info("40 changes of the service under load: {}", load);
                assertThat(load.notOpened()).isEmpty();
                assertThat(load.lostInFlight()).isZero();
                assertThat(load.webSocketsLost()).isZero();
                assertThat(load.connectionsThrough(proxies.get(4)))
                        .as("which only the service names")
                        .isPositive();
                assertThat(load.connectionsThrough(proxies.get(0))).isPositive();
            }
            assertThat(registry.get("proxy.health.checks").timers())
                    .anySatisfy(checks -> assertThat(checks.count()).isPositive());
            assertThat(target.directConnections()).isEmpty();
            application.write(single(4)); // its websocket is direct on purpose
            reload(application); // which closes whatever lies idle
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            registry.find("proxy.connections.active").gauges())
                    .allSatisfy(gauge -> assertThat(gauge.value()).isZero()));
        }
    }

    /** A reload closes what lies idle; Reactor Netty's pool gives up when it is handed two in a row that are just being closed. */
    @Test
    @Tag("no-interruption")
    void requestsThatMeetConnectionsThatAreJustBeingClosedGetOthers() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            WebClient client =
                    application.context().getBean(WebClient.Builder.class).build();
            ProxyReload reload = application.context().getBean(ProxyReload.class);
            Mono<Long> requests = Flux.range(0, 60)
                    .flatMap(
                            i -> client.get()
                                    .uri(target.url("http", "/whoami"))
                                    .retrieve()
                                    .bodyToMono(String.class),
                            60)
                    .count();
            for (int i = 1; i <= 60; i++) {
                assertThat(requests.block(PATIENCE)).isEqualTo(60); // so many lie idle now
                application.write(single(i % 2));
                CompletableFuture<Long> meanwhile = requests.repeat(2).last().toFuture();
                assertThat(reload.reload()).isTrue();
                assertThat(meanwhile).succeedsWithin(PATIENCE).isEqualTo(60L);
            }
        }
    }

    /** Switched on and off, asked for some and for all, with other tokens; and checks that come and go with their proxies. */
    private String servedUnderLoad(int round) {
        int second = 1 + round % 3;
        String pool = "    health-check: {enabled: %b, interval: 1s, timeout: 500ms}\n    pool: [\"%s\", \"%s\"]\n"
                .formatted(
                        round % 5 != 0,
                        proxies.get(0).url(),
                        proxies.get(second).url());
        return yaml("default:\n  http:\n" + pool + "  websocket:\n" + pool
                + "external-service: {enabled: %b, endpoints: \"http://127.0.0.1:%d\", rollout-percent: %d, auth-credentials: {token: C4NARY%d}}"
                        .formatted(round % 4 != 3, service.port(), round % 4 == 2 ? 0 : 100, round / 8));
    }

    /** The snippets of docs/migration.md, one after the other and all the way back, while the application runs. */
    @Test
    void thePhasesOfTheMigrationAreAppliedOneAfterTheOtherAndTakenBack() throws IOException {
        List<String> phases = Pattern.compile("```yaml\\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("..", "docs", "migration.md"))
                        .split("## From your own proxies to a proxy service")[1])
                .results()
                .map(block -> block.group(1)
                        .replace(
                                "socks5://proxy-1.example.org:1080",
                                proxies.get(1).url())
                        .replace(
                                "socks5://proxy-2.example.org:1080",
                                proxies.get(3).url())
                        .replaceAll("https://proxy-service[-12]*.example.org", "http://127.0.0.1:" + service.port()))
                .toList();
        assertThat(phases).hasSize(4);
        try (OperatedApplication application =
                OperatedApplication.start(directory, phases.get(0), "--proxy.no-proxy=bypass.test")) {
            for (int phase : new int[] {0, 1, 2, 3, 2, 1, 0}) {
                application.write(phases.get(0) + (phase == 0 ? "" : "---\n" + phases.get(phase)));
                reload(application);
                assertThat(peerOfNewConnection(application))
                        .as("phase " + (phase + 1))
                        .isIn(phase < 2 ? List.of(egress(1), egress(3), egress(4)) : List.of(egress(4)));
            }
            assertThat(peerOfNewConnection(application)).isIn(egress(1), egress(3));
        }
        assertThat(target.directConnections()).isEmpty();
    }

    /** Without what the target remembers, which is all that it was asked. */
    private long usedHeap() {
        assertThat(target.directConnections()).isEmpty();
        target.clear();
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }

    private String underLoad(int round, String strategy, int... members) {
        StringBuilder pool =
                new StringBuilder("    health-check: {enabled: false}\n    strategy: " + strategy + "\n    pool:\n");
        for (int member : members) {
            // these proxies ask for no credentials, and so take any
            String url = proxies.get(member).url().replace("//", "//user:C4NARY" + (member == 0 ? round : "") + "@");
            pool.append("      - {url: \"%s\", weight: %d}\n".formatted(url, 1 + (round + member) % 3));
        }
        return yaml("default:\n  http:\n" + pool + "  websocket:\n" + pool);
    }

    private static final String WATCHED = "--proxy.reload.watch=true";
    private static final String QUIET = "--proxy.reload.quiet-period=200ms";

    private void awaitPeer(OperatedApplication application, int proxy) {
        await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(peer(application)).isEqualTo(egress(proxy)));
    }

    private static double reloads(OperatedApplication application, String outcome) {
        return application
                .context()
                .getBean(MeterRegistry.class)
                .find("proxy.reloads")
                .tag("outcome", outcome)
                .counters()
                .stream()
                .mapToDouble(Counter::count)
                .sum();
    }

    @Test
    void aChangeOfTheFileIsAppliedByItself() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0), WATCHED, QUIET)) {
            assertThat(peer(application)).isEqualTo(egress(0));
            application.write(single(1));
            awaitPeer(application, 1);
        }
    }

    @Test
    void aFileThatIsReplacedByARenameOrASymbolicLinkIsSeen() throws IOException {
        Path data = Files.createDirectory(directory.resolve("data-1"));
        Files.writeString(data.resolve("application.yml"), single(0));
        Path link = Files.createSymbolicLink(directory.resolve("..data"), data);
        Path mounted = directory.resolve("mounted");
        Files.createDirectory(mounted);
        Files.createSymbolicLink(mounted.resolve("application.yml"), link.resolve("application.yml"));
        try (OperatedApplication application = OperatedApplication.start(
                directory, "", WATCHED, QUIET, "--spring.config.location=file:" + mounted.resolve("application.yml"))) {
            assertThat(peer(application)).isEqualTo(egress(0));
            // as a mounted ConfigMap changes: a new directory, and a link that is swapped by a rename
            Path next = Files.createDirectory(directory.resolve("data-2"));
            Files.writeString(next.resolve("application.yml"), single(1));
            Path swap = Files.createSymbolicLink(directory.resolve("..tmp"), next);
            Files.move(swap, link, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            awaitPeer(application, 1);
            // as an editor saves: another file takes the name
            Path edited = next.resolve("application.yml.swp");
            Files.writeString(edited, single(2));
            Files.move(edited, next.resolve("application.yml"), StandardCopyOption.ATOMIC_MOVE);
            awaitPeer(application, 2);
        }
    }

    @Test
    void importsProfilesAndConfigTreesAreWatchedAsWell() throws IOException {
        Path more = directory.resolve("more.yml");
        Path tree = Files.createDirectories(directory.resolve("tree"));
        Files.writeString(more, "nothing: here");
        Files.writeString(tree.resolve("proxy.direct-fallback"), "never");
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                single(0) + "spring: {config: {import: [\"file:%s\", \"configtree:%s/\"]}}\n".formatted(more, tree),
                WATCHED,
                QUIET,
                "--spring.profiles.active=prod")) {
            assertThat(peer(application)).isEqualTo(egress(0));
            Files.writeString(more, single(1));
            awaitPeer(application, 1);
            Files.writeString(directory.resolve("application-prod.yml"), single(2));
            awaitPeer(application, 2);
            Files.writeString(directory.resolve("application-prod.yml"), single(3));
            Files.writeString(tree.resolve("proxy.direct-fallback"), "always");
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(application
                            .get("proxies")
                            .body()
                            .at("/settings/direct-fallback")
                            .asText())
                    .isEqualTo("always"));
        }
    }

    /** Spring Boot puts an import between the file that names it and the file of the profile; environment variables need no server. */
    @Test
    void aReloadKeepsTheOrderOfTheSourcesAlsoWhereAnImportIsNoFile() throws IOException {
        System.setProperty(
                "reload.imported", "proxy.default.http.url=" + proxies.get(1).url());
        Files.writeString(directory.resolve("application-prod.yml"), "proxy: {direct-fallback: never}");
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                single(0) + "spring: {config: {import: \"" + SystemPropertyConfigData.PREFIX + "reload.imported\"}}\n",
                "--spring.profiles.active=prod")) {
            assertThat(peer(application)).isEqualTo(egress(1));
            assertThat(application.post("proxies/reload", Map.of()).status()).isEqualTo(200);
            assertThat(peer(application)).isEqualTo(egress(1));
            assertThat(reloads(application, "unchanged")).isEqualTo(1);
            application.write(single(2));
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(2));
        } finally {
            System.clearProperty("reload.imported");
        }
    }

    @Test
    void anImportThatIsEmptyAtFirstIsWatched() throws IOException {
        Path elsewhere = Files.createDirectories(directory.resolve("empty"));
        Path more = Files.writeString(elsewhere.resolve("more.yml"), "# nothing yet\n");
        Files.writeString(directory.resolve("application-prod.yml"), "# nothing yet\n");
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                single(0) + "spring: {config: {import: \"empty/more.yml\"}}\n",
                WATCHED,
                QUIET,
                "--spring.profiles.active=prod")) {
            assertThat(peer(application)).isEqualTo(egress(0));
            Files.writeString(more, single(1));
            awaitPeer(application, 1);
            Files.writeString(directory.resolve("application-prod.yml"), single(2));
            awaitPeer(application, 2);
        }
    }

    @Test
    void aNewExchangeTakesNoHostsFromAProxiedOneToConnectDirectly() throws IOException {
        String one = "  one: {hosts: [127.0.0.0/8], require-proxy: true, http: {url: \"%s\"}}\n"
                .formatted(proxies.get(0).url());
        try (OperatedApplication application = OperatedApplication.start(directory, yaml("exchanges:\n" + one))) {
            for (String more : List.of("", "default: {http: {direct: true}}\n")) {
                application.write(yaml(more + "exchanges:\n" + one + "  two:\n    hosts: [127.0.0.1]\n"));
                assertThat(refusal(application))
                        .contains("proxy.exchanges.two.http has had a proxy, and would connect directly");
                assertThat(peer(application)).isEqualTo(egress(0));
            }
            application.write(yaml("exchanges:\n" + one
                    + "  two: {hosts: [127.0.0.1], http: {direct: true}, websocket: {direct: true}}\n"));
            reload(application);
        }
    }

    /** Clients may name it: they would connect directly, as exchanges do that nobody knows. */
    @Test
    void anExchangeIsRenamedOnlyWhereTheOldNameDoesNotConnectDirectly() throws IOException {
        String exchange = "exchanges: {%s: {hosts: [127.0.0.1], http: {url: \"%s\"}}}";
        try (OperatedApplication application = OperatedApplication.start(
                directory, yaml(exchange.formatted("one", proxies.get(0).url())))) {
            application.write(yaml(exchange.formatted("uno", proxies.get(1).url())));
            assertThat(refusal(application)).contains("proxy.exchanges.one.http has had a proxy");
            application.write(yaml(
                    "default: {http: {url: \"%s\"}}\n".formatted(proxies.get(2).url())
                            + exchange.formatted("uno", proxies.get(1).url())));
            reload(application);
            assertThat(peer(application)).isEqualTo(egress(1));
        }
        assertThat(target.directConnections()).isEmpty();
    }

    private static String refusal(OperatedApplication application) {
        return String.valueOf(
                application.post("proxies/reload", Map.of()).body().get("problems"));
    }

    @ParameterizedTest
    @CsvSource({
        "10.9.0.0/16, 10.9.0.0/24, false",
        "10.9.0.0/24, 10.9.0.0/16, true",
        "*.binance.test, x*.binance.test, false",
        "*.binance.test, .test, true",
        "api.binance.test, *.binance.test, true",
        ".binance.test, *.binance.test, true"
    })
    void theHostsOfAProxiedExchangeAreNarrowedOnlyByARestart(String before, String after, boolean applied)
            throws IOException {
        String exchange = "exchanges: {one: {hosts: [\"%s\"], require-proxy: true, http: {url: \"http://p:1\"}}}";
        try (OperatedApplication application = OperatedApplication.start(directory, yaml(exchange.formatted(before)))) {
            application.write(yaml(exchange.formatted(after)));
            assertThat(application.post("proxies/reload", Map.of()).status()).isEqualTo(applied ? 200 : 400);
        }
    }

    @Test
    void hostsThatFallToAWiderExchangeWithoutAProxyAreNotGivenUp() throws IOException {
        String one = "one: {hosts: [\"%s\"], require-proxy: true, http: {url: \"http://p:1\"}}";
        String wider = ", two: {hosts: [\".test\"]}}";
        try (OperatedApplication application =
                OperatedApplication.start(directory, yaml("exchanges: {" + one.formatted("*.binance.test") + wider))) {
            application.write(yaml("exchanges: {" + one.formatted("x*.binance.test") + wider));
            assertThat(refusal(application)).contains("proxy.exchanges.one.http has had a proxy");
        }
    }

    @Test
    void aPatternOfNoProxyIsTakenWhereTheExchangeSaysDirectItselfOrRefusesAnyway() throws IOException {
        String before = "exchanges: {one: {hosts: [\"*.one.test\"], http: {url: \"http://p:1\"}},"
                + " two: {hosts: [\"*.two.test\"], require-proxy: true, http: {url: \"http://p:1\"}}}\n";
        String none = "proxy: {enabled: true, no-proxy: [bypass.test], ";
        try (OperatedApplication application = OperatedApplication.start(directory, none + before.strip() + "}")) {
            application.write(
                    "proxy: {enabled: true, no-proxy: [bypass.test, \"*.one.test\"], " + before.strip() + "}");
            assertThat(refusal(application)).contains("would have hosts such as x.one.test connect directly (http)");
            application.write("proxy: {enabled: true, no-proxy: [bypass.test, \"*.one.test\", \"*.two.test\"], "
                    + before.strip()
                            .replace(
                                    "[\"*.one.test\"], http: {url: \"http://p:1\"}",
                                    "[\"*.one.test\"], http: {direct: true}")
                    + "}");
            reload(application);
        }
    }

    @Test
    void aShareThatIsLoweredWithNothingInItsPlaceIsRefused() throws IOException {
        String share = withService().replace("enabled: true, end", "enabled: true, rollout-percent: %d, end");
        for (int[] change : new int[][] {{50, 0}, {100, 80}, {50, -1}}) {
            try (OperatedApplication application = OperatedApplication.start(directory, share.formatted(change[0]))) {
                assertThat(peer(application)).isEqualTo(egress(4));
                application.write(change[1] < 0 ? yaml("") : share.formatted(change[1]));
                assertThat(refusal(application))
                        .contains("proxy.external-service.rollout-percent is lowered, or the service switched off");
                assertThat(peer(application)).isEqualTo(egress(4));
            }
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void aPatternOfNoProxyThatIsCutShortIsRefused() throws IOException {
        String exchange = "exchanges: {one: {hosts: [127.0.0.1], http: {url: \"%s\"}}}\n"
                .formatted(proxies.get(0).url());
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                "proxy:\n  enabled: true\n  no-proxy: [bypass.test, \"*.internal\"]\n" + exchange.indent(2))) {
            for (String cut : List.of("*", "127.0.0.0/1", "127.0.0.1")) {
                application.write(
                        "proxy:\n  enabled: true\n  no-proxy: [bypass.test, \"" + cut + "\"]\n" + exchange.indent(2));
                assertThat(refusal(application))
                        .as(cut)
                        .contains("proxy.no-proxy would have hosts such as 127.0.0.1 connect directly (http)");
                assertThat(peer(application)).isEqualTo(egress(0));
            }
            application.write("proxy:\n  enabled: true\n  no-proxy: [bypass.test, other.test]\n" + exchange.indent(2));
            reload(application);
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void anImportThatIsMissingForAWhileIsNoticedWhenItComes() throws IOException {
        Path elsewhere = Files.createDirectories(directory.resolve("elsewhere"));
        Path tree = directory.resolve("secrets");
        try (OperatedApplication application = OperatedApplication.start(directory, single(0), WATCHED, QUIET)) {
            application.write(single(1)
                    + "spring: {config: {import: [\"file:%s/more.yml\", \"configtree:%s/\"]}}\n"
                            .formatted(elsewhere, tree));
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(problems(application))
                    .contains("cannot be read again: there is no " + tree));
            Files.createDirectories(tree);
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(problems(application))
                    .contains("there is no " + elsewhere.resolve("more.yml")));
            assertThat(reloads(application, "rejected"))
                    .as("one for each that is missing")
                    .isEqualTo(2);
            Files.writeString(elsewhere.resolve("more.yml"), "nothing: here");
            awaitPeer(application, 1);
        }
    }

    private static String problems(OperatedApplication application) {
        return application.get("proxies").body().at("/configuration/problems").toString();
    }

    @Test
    void otherFilesOfTheDirectoryCauseNoReload() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0), WATCHED, QUIET)) {
            await().atMost(PATIENCE).until(() -> reloads(application, "unchanged") == 1); // the look at the start
            Files.writeString(directory.resolve("application.log"), "a line");
            Files.writeString(directory.resolve(".application.yml.swp"), "as editors do");
            application.write(single(1));
            awaitPeer(application, 1);
            assertThat(reloads(application, "unchanged")).isEqualTo(1);
            assertThat(reloads(application, "applied")).isEqualTo(1);
        }
    }

    @Test
    void manyChangesAreOneReloadAndHalfAFileIsNone() throws Exception {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0), WATCHED, QUIET)) {
            ScheduledExecutorService writer = Executors.newSingleThreadScheduledExecutor();
            try {
                AtomicInteger writes = new AtomicInteger();
                ScheduledFuture<?> writing = writer.scheduleAtFixedRate(
                        () -> {
                            try {
                                String whole = single(writes.incrementAndGet() % 3);
                                // a write that is not finished yet, each time
                                application.write(whole.substring(0, whole.length() / 2));
                                application.write(whole);
                            } catch (IOException failed) {
                                throw new UncheckedIOException(failed);
                            }
                        },
                        0,
                        20,
                        TimeUnit.MILLISECONDS);
                await().atMost(PATIENCE).until(() -> writes.get() >= 50);
                writing.cancel(false);
            } finally {
                writer.shutdown();
                assertThat(writer.awaitTermination(5, TimeUnit.SECONDS)).isTrue();
            }
            application.write(single(3));
            awaitPeer(application, 3);
            assertThat(reloads(application, "applied") + reloads(application, "unchanged"))
                    .as("50 changes in a second, and the look at the start")
                    .isLessThanOrEqualTo(3);
            assertThat(reloads(application, "rejected")).isZero();
        }
    }

    @Test
    void withoutWatchAChangeWaitsForSomebodyToAskForIt() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0), QUIET)) {
            application.write(single(1));
            assertThat(peer(application)).isEqualTo(egress(0));
            assertThat(Thread.getAllStackTraces().keySet())
                    .extracting(Thread::getName)
                    .noneMatch(name -> name.startsWith("proxy-reload"));
        }
    }

    /** As a file is that was cut off, emptied by a full disk, or has gone with its mount. */
    @Test
    void whatIsNoLongerSaidOpensNoWayRoundTheProxies() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool(0, 1))) {
            for (String forgotten : List.of(
                    yaml(""), "", "proxy:\n  enabled: true\n  default:\n    http:\n", "proxy: {enabled: false}")) {
                application.write(forgotten);
                Answered answered = application.post("proxies/reload", Map.of());
                assertThat(answered.status()).as(forgotten).isEqualTo(400);
                assertThat(answered.body().get("problems").toString())
                        .contains("proxy.default.http has had a proxy, and would connect directly; say direct: true");
                assertThat(peer(application)).isIn(egress(0), egress(1));
            }
            Files.delete(directory.resolve("application.yml"));
            assertThat(application.post("proxies/reload", Map.of()).status()).isEqualTo(400);
            assertThat(peer(application)).isIn(egress(0), egress(1));
            assertThat(target.directConnections()).isEmpty();
            application.write(yaml("default: {http: {direct: true}}"));
            reload(application);
            peer(application);
            assertThat(target.directConnections()).as("on purpose").isNotEmpty();
        }
    }

    @Test
    void anExchangeThatHasGoneOrLostItsHostsDoesNotConnectDirectly() throws IOException {
        String exchange = "exchanges: {one: {hosts: [%s], http: {url: \"%s\"}}}";
        try (OperatedApplication application = OperatedApplication.start(
                directory, yaml(exchange.formatted("127.0.0.1", proxies.get(0).url())))) {
            for (String forgotten : List.of(
                    yaml(""),
                    yaml("exchanges: {one: {hosts: [127.0.0.1]}}"),
                    yaml(exchange.formatted("", proxies.get(0).url())),
                    yaml(exchange.formatted("other.test", proxies.get(0).url())))) {
                application.write(forgotten);
                assertThat(application.post("proxies/reload", Map.of()).status())
                        .as(forgotten)
                        .isEqualTo(400);
                assertThat(peer(application)).isEqualTo(egress(0));
            }
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void aServiceThatIsSwitchedOffWithNothingInItsPlaceIsRefused() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, withService())) {
            assertThat(peer(application)).isEqualTo(egress(4));
            application.write(yaml(""));
            assertThat(application.post("proxies/reload", Map.of()).status()).isEqualTo(400);
            assertThat(peer(application)).isEqualTo(egress(4));
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void aCustomizerThatFailsRejectsTheSettings(CapturedOutput output) throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            application.context().getBeanFactory().registerSingleton("failing", (ProxySettingsCustomizer) settings -> {
                throw new IllegalStateException("the vault says C4NARY");
            });
            application.write(single(1));
            Answered answered = application.post("proxies/reload", Map.of());
            assertThat(answered.status()).isEqualTo(400);
            assertThat(answered.body().get("problems").toString()).contains("java.lang.IllegalStateException");
            assertThat(peer(application)).isEqualTo(egress(0));
            assertThat(output).contains("those before stay in force");
        }
    }

    @Test
    void aDrainOutlivesAReloadAlsoWhereAnExchangeGetsAPoolOfItsOwn() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, pool(0, 1))) {
            String address = proxies.get(0).url();
            assertThat(application
                            .post("proxies/drain", Map.of("proxy", address, "reason", "maintenance"))
                            .status())
                    .isEqualTo(200);
            application.write(pool(0, 1)
                    + "  exchanges: {one: {http: {pool: [{url: \"%s\"}, {url: \"%s\"}]}}}\n"
                            .formatted(proxies.get(0).url(), proxies.get(2).url()));
            reload(application);
            assertThat(application
                            .get("proxies")
                            .body()
                            .at("/pools/one~1http/proxies")
                            .toString())
                    .contains("\"state\":\"drained\"");
        }
    }

    @Test
    void anAnswerOfTheServiceBeforeIsOfNoUseAfterItWasReplaced() throws IOException {
        WireMockServer next = new WireMockServer(options().dynamicPort().bindAddress("127.0.0.1"));
        next.start();
        try (OperatedApplication application = OperatedApplication.start(directory, withService())) {
            next.stubFor(get(urlEqualTo("/health")).willReturn(aResponse()));
            next.stubFor(post(urlEqualTo("/api/v1/proxy/request")).willReturn(okJson(answer(3))));
            // a request to the first one is on its way while the second takes its place
            service.stubFor(post(urlEqualTo("/api/v1/proxy/request"))
                    .willReturn(okJson(answer(4)).withFixedDelay(1_500)));
            ProxyInjector injector = application.context().getBean(ProxyInjector.class);
            injector.decide("slow", ConnectionType.HTTP).subscribe();
            await().atMost(PATIENCE).until(() -> !service.findAll(postRequestedFor(urlEqualTo("/api/v1/proxy/request")))
                    .isEmpty());
            application.write(withService().replace(":" + service.port(), ":" + next.port()));
            reload(application);
            await().pollDelay(Duration.ofSeconds(2)).atMost(PATIENCE).untilAsserted(() -> assertThat(
                            injector.decide("slow", ConnectionType.HTTP).block(PATIENCE))
                    .hasToString("via " + proxies.get(3).url() + " (cache)"));
        } finally {
            next.stop();
        }
    }

    private String answer(int proxy) {
        return "{\"proxy_url\": \"%s\", \"ttl_seconds\": 300, \"fallback_policy\": \"embedded_fallback\"}"
                .formatted(proxies.get(proxy).url());
    }

    @Test
    void whatConnectionsThatOutliveAReloadTellReachesTheService() throws IOException {
        service.stubFor(post(urlEqualTo("/api/v1/proxy/feedback/batch")).willReturn(okJson("{}")));
        try (OperatedApplication application = OperatedApplication.start(directory, withService())) {
            ProxyLease lease = Objects.requireNonNull(application
                    .context()
                    .getBean(ProxyInjector.class)
                    .lease("any", ConnectionType.HTTP)
                    .block(PATIENCE));
            application.write(
                    withService().replace("enabled: true, endpoints", "enabled: true, timeout-seconds: 9, endpoints"));
            reload(application);
            // by then the client of before has gone
            await().pollDelay(Duration.ofSeconds(3)).until(() -> true);
            lease.close(new Outcome.Failed(ConnectionStage.TUNNEL, Blame.AMBIGUOUS, "was reset"));
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            service.findAll(postRequestedFor(urlEqualTo("/api/v1/proxy/feedback/batch"))
                                    .withRequestBody(containing("was reset"))))
                    .isNotEmpty());
        }
    }

    @Test
    @Tag("no-interruption")
    void theOpenBreakerOfTheServiceBeforeKeepsNobodyFromTheNewOne() throws IOException {
        String pool = pool(0);
        try (OperatedApplication application = OperatedApplication.start(
                directory,
                pool
                        + "  external-service: {enabled: true, endpoints: \"http://127.0.0.1:%d\", retry: {max-attempts: 1}, health-check: {enabled: false}}\n"
                                .formatted(FaultyProxy.closedPort()))) {
            await().atMost(PATIENCE).until(() -> {
                assertThat(peerOfNewConnection(application)).isEqualTo(egress(0));
                return application
                        .get("proxies")
                        .body()
                        .at("/service/breaker")
                        .toString()
                        .toLowerCase(Locale.ROOT)
                        .contains("\"open\"");
            });
            application.write(pool + withService().substring(withService().indexOf("  external-service")));
            reload(application);
            assertThat(peerOfNewConnection(application)).isEqualTo(egress(4));
        }
    }

    @Test
    void otherCredentialsOfTheServiceAreUsedFromTheReloadOn() throws IOException {
        String credentials = withService().replace("}", ", auth-credentials: {token: \"%s\"}}");
        try (OperatedApplication application =
                OperatedApplication.start(directory, credentials.formatted("C4NARY-old"))) {
            application.get("proxies/first/http");
            application.write(credentials.formatted("C4NARY-new"));
            reload(application);
            application.get("proxies/second/http");
            assertThat(service.findAll(postRequestedFor(urlEqualTo("/api/v1/proxy/request"))).stream()
                            .map(request -> request.getHeader("Authorization")))
                    .containsExactly("Bearer C4NARY-old", "Bearer C4NARY-new");
        }
    }

    /** What a file says before the place where it was cut off may be direct itself. */
    @Test
    void aDefaultThatIsDirectIsNoWayRoundForExchangesThatAreCutOff() throws IOException {
        String exchange = "exchanges: {one: {hosts: [127.0.0.1], require-proxy: %s, http: {url: \"%s\"}}}";
        for (String direct : List.of("default: {http: {direct: true}}\n", "unmatched-hosts: direct\n")) {
            try (OperatedApplication application = OperatedApplication.start(
                    directory,
                    yaml(direct + exchange.formatted("true", proxies.get(0).url())))) {
                for (String cut : List.of(
                        yaml(direct),
                        yaml(direct + "exchanges: {one: {hosts: [127.0.0.1]}}"),
                        yaml(direct
                                + exchange.replace("127.0.0.1", "other.test")
                                        .formatted("true", proxies.get(0).url())))) {
                    application.write(cut);
                    assertThat(application.post("proxies/reload", Map.of()).status())
                            .as(cut)
                            .isEqualTo(400);
                    assertThat(peer(application)).isEqualTo(egress(0));
                }
                application.write(yaml(direct
                        + "exchanges: {one: {hosts: [127.0.0.1], http: {direct: true}, websocket: {direct: true}}}"));
                reload(application); // it says so itself
            }
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void aFileThatIsEmptyForAWhileIsWatchedAllTheSame() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0), WATCHED, QUIET)) {
            application.write("");
            await().atMost(PATIENCE).until(() -> reloads(application, "rejected") >= 1);
            application.write(single(1));
            awaitPeer(application, 1);
        }
    }

    @Test
    void aBrokenFileIsRejectedWithItsPlaceAndWithoutItsText() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, single(0))) {
            application.write("proxy:\n  default:\n    http:\n      url: \"http://user:C4NARY@h:1\n");
            Answered answered = application.post("proxies/reload", Map.of());
            assertThat(answered.status()).isEqualTo(400);
            assertThat(answered.body().get("problems").toString())
                    .contains("a YAML file is broken at line 5", "in " + directory.resolve("application.yml"));
            assertThat(application.seen()).noneMatch(text -> text.contains("C4NARY"));
        }
    }

    @Test
    @Tag("no-interruption")
    void answersAreKeptWhenTheServiceGetsAnotherEndpointWhileItIsAway() throws IOException {
        try (OperatedApplication application = OperatedApplication.start(directory, withService())) {
            assertThat(peer(application)).isEqualTo(egress(4));
            int port = service.port();
            String before = withService();
            service.stop();
            application.write(before.replace(
                    "\"http://127.0.0.1:" + port + "\"",
                    "[\"http://127.0.0.1:" + port + "\", \"http://127.0.0.1:1\"], cache: {stale-if-error: 10m}"));
            reload(application);
            assertThat(application.get("proxies/*/http").body().get("source").asText())
                    .isEqualTo("cache");
        }
    }
}

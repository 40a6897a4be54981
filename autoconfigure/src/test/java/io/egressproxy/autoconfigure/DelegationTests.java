package io.egressproxy.autoconfigure;

import static com.github.tomakehurst.wiremock.client.WireMock.aResponse;
import static com.github.tomakehurst.wiremock.client.WireMock.anyUrl;
import static com.github.tomakehurst.wiremock.client.WireMock.equalTo;
import static com.github.tomakehurst.wiremock.client.WireMock.get;
import static com.github.tomakehurst.wiremock.client.WireMock.post;
import static com.github.tomakehurst.wiremock.client.WireMock.postRequestedFor;
import static com.github.tomakehurst.wiremock.client.WireMock.urlEqualTo;
import static com.github.tomakehurst.wiremock.core.WireMockConfiguration.options;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.github.tomakehurst.wiremock.WireMockServer;
import com.github.tomakehurst.wiremock.client.ResponseDefinitionBuilder;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyTarget;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.service.Resilience4jServiceBreaker;
import io.egressproxy.service.ServiceBreaker;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.testkit.Faults;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.ProxyServiceProcess;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import io.egressproxy.testkit.TestCertificates;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerRegistry;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.cache.CacheManager;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.cache.caffeine.CaffeineCacheManager;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.http.HttpHeaders;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;

/** An application that asks a proxy service, with real proxies behind the answers and WireMock as the service. */
@ExtendWith({ProxyLab.Extension.class, OutputCaptureExtension.class})
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("FR-1")
@Tag("FR-4")
@Tag("no-interruption")
@Tag("no-leak")
class DelegationTests {
    private static final Logger log = LoggerFactory.getLogger(DelegationTests.class);
    private static final String REQUEST = "/api/v1/proxy/request";
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final TargetServer target;
    private final List<RunningProxy> proxies;
    private final int servicePort =
            FaultyProxy.closedPort(); // stays, so that a service that was stopped is found again
    private final WireMockServer service =
            new WireMockServer(options().port(servicePort).bindAddress("127.0.0.1"));

    DelegationTests(ProxyLab lab) {
        this.target = lab.newTarget();
        this.proxies = lab.poolOfFive();
    }

    @BeforeEach
    void start() {
        target.clear();
        service.start();
        service.resetAll();
        service.stubFor(get(urlEqualTo("/health")).willReturn(aResponse()));
        answer(proxyAnswer(leased()));
    }

    @AfterEach
    void stop(CapturedOutput output) {
        service.stop();
        assertThat(output).doesNotContain("C4NARY");
    }

    @AfterAll
    void close() {
        target.close();
    }

    private RunningProxy leased() {
        return proxies.get(0);
    }

    private RunningProxy other() {
        return proxies.get(1);
    }

    private RunningProxy embedded() {
        return proxies.get(4);
    }

    private static String proxyAnswer(RunningProxy proxy) {
        return proxyAnswer(proxy.url(), "embedded_fallback");
    }

    private static String proxyAnswer(@Nullable String url, String fallbackPolicy) {
        return "{\"proxy_url\": %s, \"strategy\": \"random\", \"ttl_seconds\": 1, \"fallback_policy\": \"%s\", \"metadata\": {\"proxy_id\": \"%s\"}}"
                .formatted(
                        url == null ? "null" : "\"" + url + "\"",
                        fallbackPolicy,
                        url == null ? "none" : url.hashCode());
    }

    private void answer(String json) {
        answer(aResponse().withHeader("Content-Type", "application/json").withBody(json));
    }

    private void answer(ResponseDefinitionBuilder response) {
        service.stubFor(post(urlEqualTo(REQUEST)).willReturn(response));
    }

    private int requests() {
        return service.findAll(postRequestedFor(urlEqualTo(REQUEST))).size();
    }

    private ApplicationContextRunner application(String... properties) {
        return new ApplicationContextRunner()
                .withUserConfiguration(SteadyLoad.Clients.class)
                .withPropertyValues(
                        "spring.reactor.netty.shutdown-quiet-period=0s",
                        "proxy.enabled=true",
                        "proxy.no-proxy=",
                        "proxy.external-service.enabled=true",
                        "proxy.external-service.min-ttl-seconds=0",
                        "proxy.external-service.auth-credentials.token=C4NARY",
                        "proxy.external-service.endpoints=http://127.0.0.1:" + servicePort)
                .withPropertyValues(properties)
                .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.and(
                        SpringBoot.REACTIVE_CLIENTS,
                        "CacheAutoConfiguration",
                        "MetricsAutoConfiguration",
                        "SimpleMetricsExportAutoConfiguration",
                        "ProxyMetricsAutoConfiguration",
                        "ProxyServiceAutoConfiguration",
                        SpringBoot.HEALTH)));
    }

    private ApplicationContextRunner withEmbedded(String... properties) {
        return application(properties)
                .withPropertyValues(
                        "proxy.default.http.pool[0].url=" + embedded().url(),
                        "proxy.default.http.pool[1].url=" + proxies.get(3).url(),
                        "proxy.default.websocket.pool[0].url=" + embedded().url(),
                        "proxy.default.websocket.pool[1].url=" + proxies.get(3).url());
    }

    private String peer(ApplicationContext context) {
        return SteadyLoad.peer(Objects.requireNonNull(context.getBean(WebClient.Builder.class)
                .build()
                .get()
                .uri(target.url("http", "/whoami"))
                .header(HttpHeaders.CONNECTION, "close")
                .retrieve()
                .bodyToMono(String.class)
                .block(PATIENCE)));
    }

    private void assertNothingDirect() {
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    @Tag("smoke")
    void theServicesProxyIsUsedAndItsAnswerKept() {
        answer(proxyAnswer(leased()).replace("\"ttl_seconds\": 1", "\"ttl_seconds\": 300"));
        withEmbedded().run(context -> {
            for (int i = 0; i < 10; i++) {
                assertThat(peer(context)).isEqualTo(leased().egressAddress());
            }
            assertThat(requests()).isEqualTo(1);
            assertThat(context.getBean(ProxyInjector.class)
                            .decide("any", ConnectionType.WEBSOCKET)
                            .block(PATIENCE))
                    .isInstanceOfSatisfying(ProxyDecision.UseProxy.class, use -> assertThat(use.source())
                            .isEqualTo(ProxyDecision.Source.SERVICE));
        });
        assertNothingDirect();
    }

    @ParameterizedTest
    @ValueSource(strings = {"stopped", "500", "html", "silent"})
    @Tag("smoke")
    void whileTheServiceIsAwayTheEmbeddedProxiesServe(String how) {
        switch (how) {
            case "stopped" -> service.stop();
            case "500" -> answer(aResponse().withStatus(500));
            case "html" ->
                answer(aResponse().withHeader("Content-Type", "text/html").withBody("<html>"));
            default -> answer(aResponse().withFixedDelay(60_000));
        }
        withEmbedded().run(context -> {
            for (int i = 0; i < 5; i++) {
                assertThat(peer(context))
                        .isIn(embedded().egressAddress(), proxies.get(3).egressAddress());
            }
        });
        assertNothingDirect();
    }

    @ParameterizedTest
    @CsvSource({"true, always", "true, when_directed", "false, when_directed", "false, never"})
    void withoutServiceAndWithoutEmbeddedProxiesThereIsNoConnectionUnlessAlwaysSaysSo(
            boolean fallbackToEmbedded, String directFallback) {
        service.stop();
        application(
                        "proxy.direct-fallback=" + directFallback,
                        "proxy.external-service.fallback-to-embedded=" + fallbackToEmbedded)
                .run(context -> {
                    if (directFallback.equals("always")) {
                        assertThat(peer(context)).isEqualTo(target.host());
                        return;
                    }
                    assertThatThrownBy(() -> peer(context)).hasStackTraceContaining("the proxy service ");
                    assertNothingDirect();
                });
    }

    @Test
    void fallbackToEmbeddedFalseKeepsTheEmbeddedProxiesOut() {
        service.stop();
        withEmbedded("proxy.external-service.fallback-to-embedded=false")
                .run(context -> assertThatThrownBy(() -> peer(context))
                        .hasStackTraceContaining("proxy.external-service.fallback-to-embedded is false"));
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void aLeasedProxyThatIsDeadCostsAnAttemptAndTheServiceIsAskedForAnother() {
        String dead = "socks5://127.0.0.1:" + FaultyProxy.closedPort();
        answer(proxyAnswer(dead, "embedded_fallback").replace("\"ttl_seconds\": 1", "\"ttl_seconds\": 300"));
        withEmbedded().run(context -> {
            service.stubFor(post(urlEqualTo(REQUEST))
                    .withRequestBody(
                            com.github.tomakehurst.wiremock.client.WireMock.matchingJsonPath("$.metadata.exclude"))
                    .willReturn(aResponse()
                            .withHeader("Content-Type", "application/json")
                            .withBody(proxyAnswer(other()).replace("\"ttl_seconds\": 1", "\"ttl_seconds\": 300"))));
            assertThat(peer(context))
                    .as("at once")
                    .isIn(embedded().egressAddress(), proxies.get(3).egressAddress());
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(peer(context)).isEqualTo(other().egressAddress()));
        });
        assertNothingDirect();
    }

    @Test
    void aLeasedProxyThatIsDeadWithoutEmbeddedOnesIsReplacedInTheSameConnection() {
        String dead = "socks5://127.0.0.1:" + FaultyProxy.closedPort();
        answer(proxyAnswer(dead, "direct_connection"));
        application().run(context -> {
            service.stubFor(post(urlEqualTo(REQUEST))
                    .withRequestBody(
                            com.github.tomakehurst.wiremock.client.WireMock.matchingJsonPath("$.metadata.exclude"))
                    .willReturn(aResponse()
                            .withHeader("Content-Type", "application/json")
                            .withBody(proxyAnswer(other()))));
            assertThat(peer(context)).isEqualTo(other().egressAddress());
        });
        assertNothingDirect();
    }

    @ParameterizedTest
    @ValueSource(strings = {"502 Bad Gateway", "403 Forbidden"})
    void whatMayBeTheTargetsFaultIsNoReasonToConnectDirectly(String status) {
        try (FaultyProxy leased = FaultyProxy.with(Faults.connectAnswer(status))) {
            answer(proxyAnswer(leased.url("http"), "direct_connection"));
            application().run(context -> {
                for (int i = 0; i < 6; i++) {
                    assertThatThrownBy(() -> peer(context)).hasStackTraceContaining("refused CONNECT with ");
                }
            });
        }
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void whenTheServicesProxyIsDeadAndNothingElseIsLeftItsOwnWordMayLeadDirectly() {
        answer(proxyAnswer("socks5://127.0.0.1:" + FaultyProxy.closedPort(), "direct_connection"));
        application().run(context -> assertThat(peer(context)).isEqualTo(target.host()));
        application("proxy.direct-fallback=never").run(context -> assertThatThrownBy(() -> peer(context))
                .hasStackTraceContaining("refused the connection"));
        application("proxy.exchanges.binance.hosts=127.0.0.1", "proxy.exchanges.binance.require-proxy=true")
                .run(context -> assertThatThrownBy(() -> peer(context)).isNotNull());
        assertThat(target.directConnections()).hasSize(1);
    }

    @Test
    void withoutServiceAConnectionThatHasUsedUpItsAttemptsDoesNotGoDirectlyWhileAProxyIsLeft() {
        service.stop();
        String dead = "socks5://127.0.0.1:";
        application(
                        "proxy.direct-fallback=always",
                        "proxy.default.http.max-attempts=2",
                        "proxy.default.http.pool[0].url=" + dead + FaultyProxy.closedPort(),
                        "proxy.default.http.pool[1].url=" + dead + FaultyProxy.closedPort(),
                        "proxy.default.http.pool[2].url=" + embedded().url())
                .run(context -> assertThatThrownBy(() -> peer(context))
                        .hasStackTraceContaining("max-attempts proxies of the pool were tried"));
        assertNothingDirect();
    }

    @Test
    void aTargetThatIsDownDoesNotCostItsExchangeTheOthers() {
        answer(proxyAnswer(leased()).replace("\"ttl_seconds\": 1", "\"ttl_seconds\": 300"));
        application("proxy.external-service.fallback-to-embedded=false").run(context -> {
            WebClient client = context.getBean(WebClient.Builder.class).build();
            for (int i = 0; i < 5; i++) {
                assertThatThrownBy(() -> client.get()
                                .uri("http://127.0.0.1:" + FaultyProxy.closedPort() + "/")
                                .retrieve()
                                .bodyToMono(String.class)
                                .block(PATIENCE))
                        .isNotNull();
                if (i < 2) {
                    assertThat(peer(context)).isEqualTo(leased().egressAddress());
                }
            }
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(peer(context)).isEqualTo(leased().egressAddress()));
        });
        assertNothingDirect();
    }

    @ParameterizedTest
    @CsvSource({
        "when_directed, false, direct",
        "always, false, direct",
        "never, false, embedded",
        "when_directed, true, embedded"
    })
    void whenTheServiceHasNoneAndSaysDirectTheSettingsDecide(
            String directFallback, boolean requireProxy, String expected) {
        answer(proxyAnswer(null, "direct_connection"));
        withEmbedded(
                        "proxy.direct-fallback=" + directFallback,
                        "proxy.exchanges.binance.hosts=127.0.0.1",
                        "proxy.exchanges.binance.require-proxy=" + requireProxy)
                .run(context -> {
                    String peer = peer(context);
                    if (expected.equals("direct")) {
                        assertThat(peer).isEqualTo(target.host());
                    } else {
                        assertThat(peer)
                                .isIn(embedded().egressAddress(), proxies.get(3).egressAddress());
                    }
                });
    }

    @Test
    void withoutTheServiceAnExpiredAnswerServesAsLongAsStaleIfErrorAllows() {
        application("proxy.external-service.cache.stale-if-error=1m").run(context -> {
            assertThat(peer(context)).isEqualTo(leased().egressAddress());
            service.stop();
            ProxyInjector injector = context.getBean(ProxyInjector.class);
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(context.getBean(ProxyRouter.class)
                            .decideNow(ProxyTarget.of(ExchangeId.UNMATCHED, ConnectionType.HTTP))
                            .block(PATIENCE))
                    .isInstanceOfSatisfying(ProxyDecision.UseProxy.class, use -> assertThat(use.source())
                            .isEqualTo(ProxyDecision.Source.STALE)));
            assertThat(peer(context)).isEqualTo(leased().egressAddress());
            assertThat(injector.decide("another", ConnectionType.HTTP).block(PATIENCE))
                    .as("nothing was kept for it")
                    .isInstanceOf(ProxyDecision.Refuse.class);
        });
        assertNothingDirect();
    }

    @Test
    void exchangesOutsideTheRolloutAreServedAsIfThereWereNoService() {
        withEmbedded("proxy.external-service.rollout-percent=0").run(context -> {
            assertThat(peer(context))
                    .isIn(embedded().egressAddress(), proxies.get(3).egressAddress());
            assertThat(requests()).isZero();
        });
    }

    @Test
    void noProxyHostsAreDirectWhateverTheServiceSays() {
        withEmbedded("proxy.no-proxy=127.0.0.1").run(context -> {
            assertThat(peer(context)).isEqualTo(target.host());
            assertThat(requests()).isZero();
        });
    }

    @Configuration(proxyBeanMethods = false)
    @EnableCaching
    static class ApplicationWithCaching {}

    @Test
    @Tag("smoke")
    void theCacheOfAnswersIsThereForActuatorAndLeavesTheApplicationsOwnAlone() {
        withEmbedded("spring.cache.cache-names=mine")
                .withUserConfiguration(ApplicationWithCaching.class)
                .run(context -> {
                    assertThat(context).hasNotFailed();
                    peer(context);
                    assertThat(context.getBean(CacheManager.class).getCacheNames())
                            .as("the application's")
                            .containsExactly("mine");
                    CaffeineCacheManager own = context.getBean("proxyAnswersCacheManager", CaffeineCacheManager.class);
                    assertThat(own.getCacheNames()).containsExactly("proxyAnswers");
                    Objects.requireNonNull(own.getCache("proxyAnswers")).clear();
                    int before = requests();
                    peer(context);
                    assertThat(requests()).isGreaterThan(before);
                });
    }

    @Test
    @Tag("smoke")
    void everyDecisionFallbackAndRequestIsCounted() {
        withEmbedded().run(context -> {
            MeterRegistry meters = context.getBean(MeterRegistry.class);
            peer(context);
            assertThat(count(meters, "proxy.decisions", "exchange", "unmatched", "source", "service"))
                    .isEqualTo(1);
            peer(context);
            assertThat(count(meters, "proxy.decisions", "connection.type", "http", "source", "cache"))
                    .isEqualTo(1);
            assertThat(count(
                            meters,
                            "proxy.service.requests",
                            "endpoint",
                            "http://127.0.0.1:" + servicePort,
                            "outcome",
                            "success"))
                    .isEqualTo(1);
            assertThat(meters.get("cache.gets")
                            .tags("cache", "proxyAnswers", "result", "hit")
                            .functionCounter()
                            .count())
                    .isPositive();
            answer(aResponse().withHeader("Content-Type", "text/html").withBody("<html>"));
            await().atMost(PATIENCE).untilAsserted(() -> {
                peer(context);
                assertThat(count(meters, "proxy.fallbacks", "reason", "invalid_answer", "to", "embedded"))
                        .isPositive();
            });
            assertThat(count(meters, "proxy.service.requests", "outcome", "invalid_answer"))
                    .isPositive();
            service.stop();
            await().atMost(PATIENCE).untilAsserted(() -> {
                peer(context);
                assertThat(count(meters, "proxy.fallbacks", "reason", "service_down", "to", "embedded"))
                        .isPositive();
            });
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(count(meters, "proxy.connections", "outcome", "succeeded"))
                            .isEqualTo(count(meters, "proxy.decisions")));
            assertThat(meters.get("proxy.connections.active")
                            .tag("connection.type", "http")
                            .gauge()
                            .value())
                    .isZero();
            assertThat(meters.getMeters())
                    .extracting(meter -> meter.getId().toString())
                    .allSatisfy(id -> assertThat(id).doesNotContain("C4NARY"));
        });
    }

    private static double count(MeterRegistry meters, String name, String... tags) {
        return meters.find(name).tags(tags).meters().stream()
                .mapToDouble(meter -> meter instanceof Timer timer ? timer.count() : ((Counter) meter).count())
                .sum();
    }

    @Test
    @Tag("smoke")
    void anOutageOfTheServiceIsDegradedAndNotDownWhileSomethingElseServes() {
        withEmbedded().run(context -> {
            await().atMost(PATIENCE)
                    .untilAsserted(() ->
                            assertThat(SpringBoot.health(context).details()).containsEntry("degraded", false));
            assertThat(SpringBoot.health(context).status()).isEqualTo("UP");
            service.stop();
            await().atMost(PATIENCE)
                    .untilAsserted(() ->
                            assertThat(SpringBoot.health(context).details()).containsEntry("degraded", true));
            SpringBoot.Health outage = SpringBoot.health(context);
            assertThat(outage.status()).isEqualTo("UP");
            assertThat(outage.details().get("reasons")).asString().contains("the proxy service is not available");
            assertThat(outage.details().get("service"))
                    .asString()
                    .contains("available=false")
                    .contains("http://127.0.0.1:" + servicePort + "=down");
            assertThat(outage.details().get("pools")).asString().contains("default/http={proxies=2, up=2}");
        });
    }

    @Test
    @Tag("smoke")
    void withoutServiceAndWithAllProxiesOutTheHealthIsDown() {
        service.stop();
        application(
                        "proxy.default.http.pool[0].url=http://user:C4NARY@127.0.0.1:" + FaultyProxy.closedPort(),
                        "proxy.default.http.circuit-breaker.failure-threshold=1",
                        "proxy.default.http.health-check.interval=1",
                        "proxy.default.http.health-check.timeout=1",
                        "proxy.default.http.health-check.unhealthy-threshold=1")
                .run(context -> {
                    await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                                    SpringBoot.health(context).status())
                            .isEqualTo("DOWN"));
                    assertThat(SpringBoot.health(context).details().toString())
                            .contains("has 0 of 1 proxies up")
                            .contains("***@127.0.0.1")
                            .doesNotContain("C4NARY");
                    assertThat(context.getBean(MeterRegistry.class)
                                    .get("proxy.pool.proxies")
                                    .tags("pool", "default/http", "state", "down")
                                    .gauge()
                                    .value())
                            .isEqualTo(1);
                });
    }

    @Test
    void withoutServiceAKeptAnswerOrAProxyThatStandsAloneKeepsTheHealthUp() {
        answer(proxyAnswer(leased()).replace("\"ttl_seconds\": 1", "\"ttl_seconds\": 300"));
        application().run(context -> {
            assertThat(peer(context)).isEqualTo(leased().egressAddress());
            service.stop();
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            SpringBoot.health(context).details().get("reasons"))
                    .asString()
                    .contains("the proxy service is not available"));
            assertThat(SpringBoot.health(context).status())
                    .as("its answer holds")
                    .isEqualTo("UP");
            assertThat(peer(context)).isEqualTo(leased().egressAddress());
        });
        application("proxy.default.http.url=" + embedded().url()).run(context -> {
            await().atMost(PATIENCE).untilAsserted(() -> assertThat(
                            SpringBoot.health(context).details().get("reasons"))
                    .asString()
                    .contains("the proxy service is not available"));
            assertThat(SpringBoot.health(context).status())
                    .as("a lone proxy serves")
                    .isEqualTo("UP");
            assertThat(peer(context)).isEqualTo(embedded().egressAddress());
        });
        withEmbedded("proxy.external-service.fallback-to-embedded=false").run(context -> await().atMost(PATIENCE)
                .untilAsserted(() -> assertThat(SpringBoot.health(context).status())
                        .as("pools that may not be used are none")
                        .isEqualTo("DOWN")));
    }

    @Test
    @Tag("smoke")
    void theHealthComponentCanBeSwitchedOffAndNeedsNoActuator() {
        withEmbedded("management.health.proxy.enabled=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean("proxyHealthIndicator"));
        withEmbedded()
                .withClassLoader(new FilteredClassLoader(
                        "org.springframework.boot.actuate.health",
                        "org.springframework.boot.actuate.autoconfigure.health",
                        "org.springframework.boot.health"))
                .run(context -> {
                    assertThat(context).hasNotFailed().doesNotHaveBean("proxyHealthIndicator");
                    assertThat(peer(context)).isEqualTo(leased().egressAddress());
                });
    }

    @Test
    @Tag("smoke")
    void withoutMicrometersRegistriesNothingIsMissing() {
        withEmbedded()
                .withClassLoader(new FilteredClassLoader("io.micrometer.core"))
                .run(context -> {
                    assertThat(context).hasNotFailed();
                    assertThat(peer(context)).isEqualTo(leased().egressAddress());
                });
    }

    @Test
    @Tag("smoke")
    void withoutCaffeineAndResilience4jItWorksAllTheSame() {
        withEmbedded()
                .withClassLoader(new FilteredClassLoader(
                        "com.github.benmanes.caffeine", "io.github.resilience4j", "org.springframework.cache.caffeine"))
                .run(context -> {
                    assertThat(context).hasNotFailed();
                    assertThat(peer(context)).isEqualTo(leased().egressAddress());
                    service.stop();
                    await().atMost(PATIENCE).untilAsserted(() -> assertThat(peer(context))
                            .isIn(embedded().egressAddress(), proxies.get(3).egressAddress()));
                });
        assertNothingDirect();
    }

    @Test
    @Tag("smoke")
    void withoutJacksonTheStartSaysWhatIsMissing() {
        withEmbedded()
                .withClassLoader(new FilteredClassLoader("com.fasterxml.jackson.databind", "tools.jackson.databind"))
                .run(context -> assertThat(context)
                        .hasFailed()
                        .getFailure()
                        .hasStackTraceContaining("proxy.external-service.enabled needs Jackson on the class path"));
        withEmbedded("proxy.external-service.enabled=false")
                .withClassLoader(new FilteredClassLoader("com.fasterxml.jackson.databind", "tools.jackson.databind"))
                .run(context -> assertThat(context).hasNotFailed());
    }

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class ApplicationWithResilience4j {}

    @Test
    @Tag("smoke")
    void settingOneKeyOfTheServicesBreakerKeepsTheOthers() {
        try (ConfigurableApplicationContext context = new SpringApplicationBuilder(ApplicationWithResilience4j.class)
                .web(WebApplicationType.NONE)
                .run(
                        "--proxy.enabled=true",
                        "--proxy.external-service.enabled=true",
                        "--proxy.external-service.endpoints=http://127.0.0.1:" + servicePort,
                        "--proxy.external-service.retry.max-attempts=1",
                        "--resilience4j.circuitbreaker.instances.proxy-service.wait-duration-in-open-state=1s")) {
            CircuitBreaker breaker =
                    context.getBean(CircuitBreakerRegistry.class).circuitBreaker("proxy-service");
            assertThat(breaker.getCircuitBreakerConfig().getSlidingWindowSize()).isEqualTo(3);
            assertThat(breaker.getCircuitBreakerConfig()
                            .getWaitIntervalFunctionInOpenState()
                            .apply(1))
                    .isEqualTo(1_000L);
            assertThat(context.getBean(ServiceBreaker.class)).isInstanceOf(Resilience4jServiceBreaker.class);
            answer(aResponse().withStatus(500));
            ProxyInjector injector = context.getBean(ProxyInjector.class);
            for (int i = 0; i < 5; i++) {
                injector.decide("exchange" + i, ConnectionType.HTTP).block(PATIENCE);
            }
            assertThat(requests()).isEqualTo(3);
        }
    }

    @Configuration(proxyBeanMethods = false)
    @ImportAutoConfiguration({ProxyServiceAutoConfiguration.class, EgressProxyAutoConfiguration.class})
    static class BareApplication {}

    @Test
    @Tag("smoke")
    void aTokenInAConfigTreeThatIsReplacedTakesEffectWithoutARestart(@TempDir Path secrets) throws IOException {
        Path token = secrets.resolve("proxy.external-service.auth-credentials.token");
        Files.writeString(token, "C4NARY-1");
        try (ConfigurableApplicationContext context = new SpringApplicationBuilder(BareApplication.class)
                .web(WebApplicationType.NONE)
                .run(
                        "--spring.config.import=configtree:" + secrets + "/",
                        "--proxy.external-service.min-ttl-seconds=0",
                        "--proxy.enabled=true",
                        "--proxy.external-service.enabled=true",
                        "--proxy.external-service.endpoints=http://127.0.0.1:" + servicePort)) {
            ProxyInjector injector = context.getBean(ProxyInjector.class);
            injector.decide("first", ConnectionType.HTTP).block(PATIENCE);
            service.verify(
                    postRequestedFor(urlEqualTo(REQUEST)).withHeader("Authorization", equalTo("Bearer C4NARY-1")));

            answer(aResponse().withStatus(401));
            service.stubFor(post(urlEqualTo(REQUEST))
                    .withHeader("Authorization", equalTo("Bearer C4NARY-2"))
                    .willReturn(aResponse()
                            .withHeader("Content-Type", "application/json")
                            .withBody(proxyAnswer(leased()))));
            Files.writeString(token, "C4NARY-2");
            List<ProxyDecision> decisions = Objects.requireNonNull(Flux.range(0, 6)
                    .flatMap(i -> injector.decide("second" + i, ConnectionType.HTTP))
                    .collectList()
                    .block(PATIENCE));
            assertThat(decisions)
                    .as("all that were under way at once")
                    .hasSize(6)
                    .hasOnlyElementsOfType(ProxyDecision.UseProxy.class);
        }
    }

    @Configuration(proxyBeanMethods = false)
    static class OwnSettings {
        @Bean
        ProxySettings proxySettings(ConfigurableEnvironment environment) {
            StandardEnvironment own = new StandardEnvironment();
            own.getPropertySources()
                    .addFirst(new MapPropertySource(
                            "own",
                            Map.of(
                                    "proxy.enabled",
                                    "true",
                                    "proxy.external-service.enabled",
                                    "true",
                                    "proxy.external-service.auth-credentials.token",
                                    "C4NARY-own",
                                    "proxy.external-service.endpoints",
                                    Objects.requireNonNull(
                                            environment.getProperty("proxy.external-service.endpoints")))));
            return ProxySettingsBinder.bind(own);
        }
    }

    @Test
    void settingsOfTheApplicationsOwnKeepTheirCredentialsWhenTheServiceRejectsThemOnce() {
        answer(aResponse().withStatus(401));
        application().withUserConfiguration(OwnSettings.class).run(context -> {
            context.getBean(ProxyInjector.class)
                    .decide("first", ConnectionType.HTTP)
                    .block(PATIENCE);
            service.verify(
                    1, postRequestedFor(urlEqualTo(REQUEST)).withHeader("Authorization", equalTo("Bearer C4NARY-own")));
            assertThat(requests()).isEqualTo(1);
        });
    }

    @Test
    void whatFailsForOneTargetOnlyIsNoReasonToGoDirectlyWhereTheServiceHasAProxy() {
        try (FaultyProxy leased = FaultyProxy.with(Faults.connectAnswer("502 Bad Gateway"))) {
            answer(proxyAnswer(leased.url("http"), "embedded_fallback")
                    .replace("\"ttl_seconds\": 1", "\"ttl_seconds\": 300"));
            application("proxy.default.http.direct=true").run(context -> {
                assertThatThrownBy(() -> peer(context)).isNotNull();
                assertThatThrownBy(() -> peer(context)).isNotNull();
            });
        }
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void aDisabledServiceIsNeverAsked() {
        withEmbedded("proxy.external-service.enabled=false").run(context -> {
            assertThat(peer(context))
                    .isIn(embedded().egressAddress(), proxies.get(3).egressAddress());
            assertThat(requests()).isZero();
        });
    }

    @Test
    void underLoadAnOutageOfTheServiceFailsNothingAndItIsAskedAgainWhenItIsBack(CapturedOutput output) {
        withEmbedded().run(context -> {
            try (SteadyLoad load = SteadyLoad.start(context, target)) {
                await("the service's proxy serves")
                        .atMost(PATIENCE)
                        .until(() -> load.connectionsThrough(leased()) > 100);
                Runnable inOrder = () -> {
                    service.stubFor(get(urlEqualTo("/health")).willReturn(aResponse()));
                    answer(proxyAnswer(leased()));
                };
                outage(load, output, "stopped", true, service::stop, () -> {
                    service.start();
                    inOrder.run();
                });
                outage(
                        load,
                        output,
                        "answers 500",
                        false,
                        () -> answer(aResponse().withStatus(500)),
                        inOrder);
                outage(
                        load,
                        output,
                        "answers HTML",
                        false,
                        () -> answer(aResponse()
                                .withHeader("Content-Type", "text/html")
                                .withBody("<html>")),
                        inOrder);
                outage(
                        load,
                        output,
                        "hangs",
                        true,
                        () -> {
                            service.stubFor(get(anyUrl()).willReturn(aResponse().withFixedDelay(60_000)));
                            answer(aResponse().withFixedDelay(60_000));
                        },
                        inOrder);
                outage(
                        load,
                        output,
                        "answers slowly, but for its health",
                        false,
                        () -> answer(aResponse()
                                .withHeader("Content-Type", "application/json")
                                .withBody(proxyAnswer(leased()))
                                .withChunkedDribbleDelay(50, 60_000)),
                        inOrder);
                log.info("delegation under load, WireMock: {}", load);
                assertThat(load.notOpened()).isEmpty();
                assertThat(load.lostInFlight()).isZero();
            }
        });
        assertNothingDirect();
    }

    @Test
    @Tag("smoke")
    void underLoadTheDeathOfARealServiceProcessFailsNothing(
            CapturedOutput output, @TempDir Path directory, ProxyLab lab) {
        TestCertificates certificates = lab.certificates();
        try (ProxyServiceProcess process = new ProxyServiceProcess(directory, proxyAnswer(leased()))) {
            process.start(certificates.server());
            withEmbedded(
                            "spring.ssl.bundle.pem.service.truststore.certificate=file:" + certificates.authorityFile(),
                            "proxy.external-service.ssl-bundle=service",
                            "proxy.external-service.endpoints=" + process.url())
                    .withConfiguration(SpringBoot.autoConfigurations("SslAutoConfiguration"))
                    .run(context -> {
                        try (SteadyLoad load = SteadyLoad.start(context, target)) {
                            await("the service's proxy serves")
                                    .atMost(PATIENCE)
                                    .until(() -> load.connectionsThrough(leased()) > 100);
                            outage(
                                    load,
                                    output,
                                    "process killed",
                                    true,
                                    process::kill,
                                    () -> process.start(certificates.server()));
                            outage(load, output, "process frozen", true, process::freeze, process::resume);
                            outage(
                                    load,
                                    output,
                                    "certificate expired",
                                    true,
                                    () -> {
                                        process.kill();
                                        process.start(certificates.expired());
                                    },
                                    () -> {
                                        process.kill();
                                        process.start(certificates.server());
                                    });
                            log.info("delegation under load, service process: {}", load);
                            assertThat(load.notOpened()).isEmpty();
                            assertThat(load.lostInFlight()).isZero();
                        }
                    });
        }
        assertNothingDirect();
    }

    private long throughEmbedded(SteadyLoad load) {
        return load.connectionsThrough(embedded()) + load.connectionsThrough(proxies.get(3));
    }

    /**
     * One outage, with its figures.
     *
     * @param seenByHealthChecks whether the health check fails, too
     */
    private void outage(
            SteadyLoad load,
            CapturedOutput output,
            String how,
            boolean seenByHealthChecks,
            Runnable begin,
            Runnable end) {
        long embeddedBefore = throughEmbedded(load);
        int linesBefore = output.getOut().length();
        load.slowest();
        long startNanos = System.nanoTime();
        Thread beginning = new Thread(begin, "outage"); // some take their time, and what happens meanwhile counts
        beginning.start();
        String noticed = "not by its health";
        if (seenByHealthChecks) {
            await("the health check sees it: " + how)
                    .pollInterval(Duration.ofMillis(20))
                    .atMost(PATIENCE)
                    .until(() -> output.getOut().indexOf("The proxy service is down", linesBefore) >= 0);
            noticed = "after " + millisSince(startNanos) + " ms";
        }
        await("the embedded proxies take over: " + how)
                .pollInterval(Duration.ofMillis(20))
                .atMost(PATIENCE)
                .until(() -> !beginning.isAlive() && throughEmbedded(load) > embeddedBefore + 200);
        Duration slowest = load.slowest();
        long leasedBefore = load.connectionsThrough(leased());
        long backNanos = System.nanoTime();
        end.run();
        await("the service is asked again: " + how)
                .pollInterval(Duration.ofMillis(20))
                .atMost(PATIENCE)
                .until(() -> load.connectionsThrough(leased()) > leasedBefore);
        long resumed = millisSince(backNanos);
        await("and stays: " + how).atMost(PATIENCE).until(() -> load.connectionsThrough(leased()) > leasedBefore + 100);
        log.info(
                "outage of the service, {}: noticed {}; slowest request {} ms; its proxy serves again {} ms after its return",
                how,
                noticed,
                slowest.toMillis(),
                resumed);
    }

    private static long millisSince(long startNanos) {
        return Duration.ofNanos(System.nanoTime() - startNanos).toMillis();
    }
}

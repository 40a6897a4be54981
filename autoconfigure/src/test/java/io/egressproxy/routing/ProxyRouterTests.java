package io.egressproxy.routing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.Reason;
import io.egressproxy.ProxyDecision.Refuse;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.settings.DirectFallback;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.settings.UnmatchedHosts;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.io.ByteArrayResource;
import reactor.test.StepVerifier;

@ExtendWith(OutputCaptureExtension.class)
@Tag("FR-4")
class ProxyRouterTests {
    private static final ProxyUrl A = ProxyUrl.parse("http://a:1");
    private static final ProxyUrl B = ProxyUrl.parse("socks5://user:C4NARY-router@b:2");

    private static ProxyTarget target(String exchange, ConnectionType type) {
        return ProxyTarget.of(ExchangeId.of(exchange), type);
    }

    private static ProxyTarget http(String exchange, String host) {
        return new ProxyTarget(ExchangeId.of(exchange), ConnectionType.HTTP, host, 443);
    }

    private static ProxySettings.Builder settings() {
        return ProxySettings.builder().defaultProxy(ConnectionType.HTTP, ProxyEntry.of(A, 7));
    }

    private static ProxyDecision decide(ProxySettings settings, ProxyTarget target) {
        return new ProxyRouter(settings).decide(target);
    }

    @Test
    void theExchangesOwnEntryComesBeforeTheDefault() {
        ProxySettings settings = settings()
                .exchange("binance", exchange -> exchange.proxy(ConnectionType.HTTP, ProxyEntry.of(B)))
                .build();
        assertThat(decide(settings, target("BINANCE", ConnectionType.HTTP)))
                .isEqualTo(new UseProxy(B, Duration.ofSeconds(30), null, ProxyDecision.Source.EXCHANGE));
        assertThat(decide(settings, target("coinbase", ConnectionType.HTTP)))
                .isEqualTo(new UseProxy(A, Duration.ofSeconds(7), null, ProxyDecision.Source.DEFAULT));
    }

    @Test
    void theTypesNeverStandInForEachOther() {
        assertThat(decide(settings().build(), target("binance", ConnectionType.WEBSOCKET)))
                .isEqualTo(new Direct(Reason.NOT_CONFIGURED));
    }

    @Test
    void anEntryThatNamesNoProxyInheritsAndALoneTimeoutCounts() {
        ProxyEntry lonely = new ProxyEntry(
                null,
                3,
                false,
                null,
                List.of(),
                null,
                "random",
                3,
                Duration.ofSeconds(5),
                ProxyEntry.of(A).onExhausted(),
                ProxyEntry.of(A).healthCheck(),
                ProxyEntry.of(A).circuitBreaker());
        ProxySettings settings = settings()
                .exchange("binance", exchange -> exchange.proxy(ConnectionType.HTTP, lonely))
                .build();
        assertThat(decide(settings, target("binance", ConnectionType.HTTP)))
                .isEqualTo(new UseProxy(A, Duration.ofSeconds(3), null, ProxyDecision.Source.DEFAULT));
    }

    @Test
    void aPoolThatIsSwitchedOffGivesItsFirstEnabledProxy() {
        ProxyEntry one = ProxyEntry.of(A);
        ProxyEntry pool = new ProxyEntry(
                null,
                9,
                false,
                "corporate",
                List.of(new PoolMember(A, null, 1, false, null, null), new PoolMember(B, null, 1, true, null, null)),
                false,
                one.strategy(),
                3,
                one.attemptTimeout(),
                one.onExhausted(),
                one.healthCheck(),
                one.circuitBreaker());
        ProxySettings settings =
                ProxySettings.builder().defaultProxy(ConnectionType.HTTP, pool).build();
        assertThat(decide(settings, target("binance", ConnectionType.HTTP)))
                .isEqualTo(new UseProxy(B, Duration.ofSeconds(9), "corporate", ProxyDecision.Source.DEFAULT));
    }

    @ParameterizedTest
    @CsvSource({
        "localhost, true",
        "127.9.9.9, true",
        "'::1', true",
        "api.binance.com, false",
        "localhost.evil.org, false"
    })
    void aHostOnNoProxyConnectsDirectly(String host, boolean direct) {
        ProxyDecision decision = decide(settings().build(), http("binance", host));
        assertThat(decision.equals(new Direct(Reason.BYPASS))).isEqualTo(direct);
    }

    @Test
    void requireProxyTurnsEveryDirectOutcomeIntoARefusal() {
        ProxySettings settings = ProxySettings.builder()
                .directFallback(DirectFallback.ALWAYS)
                .exchange("binance", exchange -> exchange.requireProxy().proxy(ConnectionType.HTTP, ProxyEntry.of(A)))
                .build();
        assertThat(decide(settings, http("binance", "localhost"))).isInstanceOf(Refuse.class);
        assertThat(decide(settings, target("binance", ConnectionType.WEBSOCKET)))
                .isInstanceOfSatisfying(Refuse.class, refuse -> assertThat(refuse.reason())
                        .contains("require-proxy is true", "(not configured)", "configure a proxy for it"));
        StepVerifier.create(new ProxyRouter(settings).lease(target("binance", ConnectionType.HTTP), List.of(A)))
                .verifyErrorSatisfies(refused -> assertThat(refused)
                        .isInstanceOf(ProxyConnectionException.class)
                        .hasMessageContaining("(fallback, no proxy left)"));
    }

    @ParameterizedTest
    @EnumSource(
            names = {"WHEN_DIRECTED", "NEVER"},
            value = DirectFallback.class)
    void aProxyThatFailedIsNotTriedAgainAndNothingElseIs(DirectFallback fallback) {
        ProxyRouter router = new ProxyRouter(settings().directFallback(fallback).build());
        StepVerifier.create(router.lease(target("binance", ConnectionType.HTTP), List.of(A)))
                .verifyErrorSatisfies(refused -> assertThat(refused)
                        .isInstanceOf(ProxyConnectionException.class)
                        .hasMessageContaining("no other proxy is configured for it"));
    }

    @Test
    void directFallbackAlwaysWarnsAtMostOnceAMinuteForEachExchange(CapturedOutput output) {
        AtomicLong now = new AtomicLong();
        ProxySettings settings =
                settings().directFallback(DirectFallback.ALWAYS).build();
        ProxyRouter router = new ProxyRouter(settings, name -> null, null, ProxyEventListener.NONE, now::get);
        for (int second = 0; second < 120; second++) {
            now.set(Duration.ofSeconds(second).toNanos());
            StepVerifier.create(router.lease(target("binance", ConnectionType.HTTP), List.of(A)))
                    .assertNext(lease -> assertThat(lease.decision()).isEqualTo(new Direct(Reason.FALLBACK)))
                    .verifyComplete();
        }
        assertThat(output.getOut().lines().filter(line -> line.contains("connecting DIRECTLY")))
                .hasSize(2);
        assertThat(output).contains("(60 such connection(s)");
    }

    @Test
    void theClosestHostPatternFindsTheExchange() {
        ProxySettings settings = settings()
                .exchange("wide", exchange -> exchange.hosts("*"))
                .exchange("binance", exchange -> exchange.hosts(".binance.com"))
                .exchange("stream", exchange -> exchange.hosts("*.stream.binance.com"))
                .exchange("exact", exchange -> exchange.hosts("api.stream.binance.com"))
                .build();
        ProxyRouter router = new ProxyRouter(settings);
        assertThat(List.of("example.org", "api.binance.com", "x.stream.binance.com", "API.stream.binance.com."))
                .map(host ->
                        router.target(ConnectionType.HTTP, host, 443).exchange().toString())
                .containsExactly("wide", "binance", "stream", "exact");
    }

    @Test
    void aHostThatNobodyClaimsTakesTheDefaultOrConnectsDirectly() {
        ProxyRouter byDefault = new ProxyRouter(settings().build());
        assertThat(byDefault.decide(byDefault.target(ConnectionType.HTTP, "x.org", 80)))
                .isInstanceOf(UseProxy.class);
        ProxyRouter directly =
                new ProxyRouter(settings().unmatchedHosts(UnmatchedHosts.DIRECT).build());
        assertThat(directly.decide(directly.target(ConnectionType.HTTP, "x.org", 80)))
                .isEqualTo(new Direct(Reason.UNMATCHED_HOST));
        assertThat(directly.decide(http("some-exchange", "x.org")))
                .as("an exchange that was named is not unmatched")
                .isInstanceOf(UseProxy.class);
    }

    @Test
    void whileDisabledEverythingIsDirectAndNothingIsSaid(CapturedOutput output) {
        ProxySettings settings = settings().enabled(false).build();
        assertThat(decide(settings, target("binance", ConnectionType.HTTP))).isEqualTo(new Direct(Reason.DISABLED));
        assertThat(output.getOut()).isEmpty();
    }

    @Test
    void aLeaseIsClosedOnceHoweverOftenItIsAskedTo() {
        ProxyRouter router = new ProxyRouter(settings().build());
        StepVerifier.create(router.lease(target("binance", ConnectionType.HTTP), List.of()))
                .assertNext(lease ->
                        IntStream.range(0, 3).forEach(i -> lease.close(new Outcome.Succeeded(Duration.ofMillis(i)))))
                .verifyComplete();
    }

    @Test
    void theSummaryMasksAndWarnsOfAForgottenType(CapturedOutput output) {
        ProxySettings settings = ProxySettings.builder()
                .directFallback(DirectFallback.ALWAYS)
                .exchange("binance", exchange -> exchange.proxy(ConnectionType.WEBSOCKET, ProxyEntry.of(B)))
                .exchange("kraken", exchange -> exchange.proxy(ConnectionType.HTTP, ProxyEntry.of(A))
                        .proxy(ConnectionType.WEBSOCKET, ProxyEntry.directly()))
                .build();
        Objects.requireNonNull(new ProxyRouter(settings));
        assertThat(output)
                .contains("binance: http DIRECT (not configured), websocket via socks5://***@b:2 (exchange)")
                .contains("kraken: http via http://a:1 (exchange), websocket DIRECT (configured)")
                .contains("the other connects DIRECTLY: binance.")
                .contains("direct-fallback is always")
                .doesNotContain("C4NARY");
    }

    private static ProxyEntry pool(OnExhausted onExhausted, ProxyUrl... urls) {
        ProxyEntry one = ProxyEntry.of(A);
        return new ProxyEntry(
                null,
                null,
                false,
                null,
                Stream.of(urls)
                        .map(url -> new PoolMember(url, null, 1, true, null, null))
                        .toList(),
                null,
                "round_robin",
                6,
                one.attemptTimeout(),
                onExhausted,
                one.healthCheck(),
                one.circuitBreaker());
    }

    @Test
    void aPoolThatHandsOverToTheDefaultNeverHandsOverToADirectConnection() {
        for (boolean directDefault : new boolean[] {false, true}) {
            ProxySettings.Builder builder = ProxySettings.builder()
                    .directFallback(DirectFallback.NEVER)
                    .exchange("binance", exchange -> exchange.requireProxy()
                            .proxy(ConnectionType.HTTP, pool(OnExhausted.DEFAULT, A, B)));
            if (directDefault) {
                builder.defaultProxy(ConnectionType.HTTP, ProxyEntry.directly());
            }
            StepVerifier.create(new ProxyRouter(builder.build())
                            .lease(target("binance", ConnectionType.HTTP), List.of(A, B)))
                    .verifyErrorSatisfies(refused -> assertThat(refused)
                            .isInstanceOf(ProxyConnectionException.class)
                            .hasMessageContaining("no other proxy of the pool is usable"));
        }
    }

    @Test
    void aPoolThatHandsOverToTheDefaultTriesEachProxyOnce() {
        ProxyUrl other = ProxyUrl.parse("http://other:1");
        ProxySettings settings = ProxySettings.builder()
                .defaultProxy(ConnectionType.HTTP, pool(OnExhausted.FAIL, A, other))
                .exchange("binance", exchange -> exchange.proxy(ConnectionType.HTTP, pool(OnExhausted.DEFAULT, A, B)))
                .build();
        ProxyRouter router = new ProxyRouter(settings);
        StepVerifier.create(router.lease(target("binance", ConnectionType.HTTP), List.of(A, B)))
                .assertNext(lease -> assertThat(lease.decision())
                        .isInstanceOfSatisfying(
                                UseProxy.class, use -> assertThat(use.proxy()).isEqualTo(other)))
                .verifyComplete();
        StepVerifier.create(router.lease(target("binance", ConnectionType.HTTP), List.of(A, B, other)))
                .verifyError(ProxyConnectionException.class);
    }

    @Test
    void aDefaultThatHasNoneLeftIsNoReasonToGoDirectlyWhileTheExchangesOwnPoolHas() {
        ProxyUrl[] own = IntStream.range(0, 8)
                .mapToObj(i -> ProxyUrl.parse("http://own-" + i + ":1"))
                .toArray(ProxyUrl[]::new);
        ProxyRouter router = new ProxyRouter(ProxySettings.builder()
                .directFallback(DirectFallback.ALWAYS)
                .defaultProxy(ConnectionType.HTTP, pool(OnExhausted.FAIL, A))
                .exchange("binance", exchange -> exchange.proxy(ConnectionType.HTTP, pool(OnExhausted.DEFAULT, own)))
                .build());
        List<ProxyUrl> tried =
                Stream.concat(Stream.of(own).limit(6), Stream.of(A)).toList();
        StepVerifier.create(router.lease(target("binance", ConnectionType.HTTP), tried))
                .verifyError(ProxyConnectionException.class);
    }

    private static ProxySettings bound(String yaml) {
        StandardEnvironment environment = new StandardEnvironment();
        try {
            new YamlPropertySourceLoader()
                    .load("test", new ByteArrayResource(yaml.getBytes(StandardCharsets.UTF_8)))
                    .forEach(environment.getPropertySources()::addFirst);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return ProxySettingsBinder.bind(environment);
    }

    /** The pools change one after the other; whoever comes in between must not get what only one of the two settings allows. */
    @Test
    @Tag("no-leak")
    void aDecisionIsByTheSettingsBeforeOrByThoseAfterAndNeverByBoth() throws Exception {
        String pools =
                """
                proxy:
                  enabled: true
                  default: {http: {pool: [{url: "http://%s:1"}]}}
                  exchanges:
                    a: {%s}
                    b: {http: {circuit-breaker: {failure-threshold: 1}, pool: [{url: "http://b:1"}, {url: "http://c:1"}]}}
                """;
        ProxyRouter router = new ProxyRouter(bound(pools.formatted("mine", "region: x")));
        Runnable change =
                router.prepare(bound(pools.formatted("others", "http: {pool: [{url: \"http://mine:1\"}]}")), null);
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        router.onProxyOut(out -> {
            held.countDown();
            try {
                assertThat(release.await(20, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException interrupted) {
                throw new IllegalStateException(interrupted);
            }
        });
        ExecutorService threads = Executors.newCachedThreadPool();
        try {
            // whoever reports a failure of b's proxy holds the lock of b's pool ...
            Future<?> failing = threads.submit(() -> router.lease(target("b", ConnectionType.HTTP), List.of())
                    .block()
                    .close(new Outcome.Failed(ConnectionStage.TCP, Blame.PROXY, "refused")));
            assertThat(held.await(20, TimeUnit.SECONDS)).isTrue();
            // ... so that the change waits for it, with the default's pool changed already
            Future<?> changing = threads.submit(change);
            ProxyPool defaults = router.pools().iterator().next();
            await().until(() -> defaults.proxies().toString().contains("others"));
            Future<ProxyLease> lease = threads.submit(() ->
                    router.lease(target("a", ConnectionType.HTTP), List.of()).block());
            await().during(Duration.ofMillis(100)).until(() -> !lease.isDone());
            release.countDown();
            assertThat(lease.get(20, TimeUnit.SECONDS).decision()).hasToString("via http://mine:1 (exchange)");
            failing.get(20, TimeUnit.SECONDS);
            changing.get(20, TimeUnit.SECONDS);
        } finally {
            release.countDown();
            threads.shutdownNow();
        }
    }
}

package io.egressproxy.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.egressproxy.ConnectionType;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyUrl;
import io.egressproxy.settings.DirectFallback;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.testkit.Faults;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.Script;
import io.egressproxy.testkit.SynBlackHole;
import io.egressproxy.testkit.TargetServer;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/** Pools on real proxies: a proxy that fails costs an attempt, not a connection. */
@ExtendWith(ProxyLab.Extension.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("FR-3")
@Tag("no-interruption")
class PoolFailoverTests {
    private static final Logger log = LoggerFactory.getLogger(PoolFailoverTests.class);

    private final ProxyLab lab;
    private final TargetServer target;
    private final List<RunningProxy> proxies;

    PoolFailoverTests(ProxyLab lab) {
        this.lab = lab;
        this.target = lab.newTarget();
        this.proxies = Stream.of(
                        ProxyKind.MICROSOCKS_SOCKS5,
                        ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS,
                        ProxyKind.TINYPROXY_HTTP,
                        ProxyKind.SQUID_HTTP,
                        ProxyKind.HAPROXY_HTTPS)
                .map(lab::proxy)
                .toList();
    }

    @BeforeEach
    void clear() {
        target.clear();
    }

    @AfterAll
    void close() {
        target.close();
    }

    private static ProxyEntry pool(Duration attemptTimeout, int maxAttempts, List<String> urls) {
        return pool(attemptTimeout, maxAttempts, OnExhausted.LAST_RESORT, urls);
    }

    private static ProxyEntry pool(
            Duration attemptTimeout, int maxAttempts, OnExhausted onExhausted, List<String> urls) {
        ProxyEntry one = ProxyEntry.directly();
        return new ProxyEntry(
                null,
                10,
                false,
                null,
                urls.stream()
                        .map(url -> new PoolMember(ProxyUrl.parse(url), null, 1, true, null, null))
                        .toList(),
                null,
                "round_robin",
                maxAttempts,
                attemptTimeout,
                onExhausted,
                one.healthCheck(),
                one.circuitBreaker());
    }

    private Routed routed(ProxyEntry entry) {
        return Routed.by(
                lab,
                ProxySettings.builder()
                        .noProxy()
                        .defaultProxy(ConnectionType.HTTP, entry)
                        .defaultProxy(ConnectionType.WEBSOCKET, entry)
                        .build());
    }

    private static Mono<String> whoami(HttpClient client, String url) {
        return client.get().uri(url).responseContent().aggregate().asString();
    }

    @Test
    void connectionsAreSpreadInOrder() {
        try (Routed routed = routed(pool(Duration.ofSeconds(5), 3, urls()))) {
            HttpClient client = routed.http().keepAlive(false);
            Map<String, Long> counts = Flux.range(0, 50)
                    .concatMap(i -> whoami(client, target.url("http", "/whoami")))
                    .map(this::peer)
                    .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()))
                    .block(Routed.PATIENCE);
            assertThat(Objects.requireNonNull(counts).values()).hasSize(5).containsOnly(10L);
        }
        assertThat(target.directConnections()).isEmpty();
    }

    private List<String> urls() {
        return proxies.stream().map(RunningProxy::url).toList();
    }

    private String peer(String whoami) {
        return proxies.stream()
                .map(RunningProxy::egressAddress)
                .filter(address -> whoami.contains("\"" + address + "\""))
                .findFirst()
                .orElseThrow(() -> new AssertionError("not one of the pool: " + whoami));
    }

    @TestFactory
    Stream<DynamicTest> anyFailureBeforeTheTunnelStandsCostsAnAttemptOnly() {
        List<Map.Entry<String, Script>> faults = new ArrayList<>();
        Faults.connectRefusals().forEach(script -> faults.add(Map.entry("http", script)));
        Faults.socks5Refusals().forEach(script -> faults.add(Map.entry("socks5", script)));
        Faults.socks4Refusals().forEach(script -> faults.add(Map.entry("socks4a", script)));
        Faults.connectionFaults().forEach(script -> faults.add(Map.entry("socks5", script)));
        faults.add(Map.entry("socks5", Faults.socks5Spoof()));
        faults.add(Map.entry("http", Faults.sshBanner()));
        faults.add(Map.entry("http", Faults.blackHole()));
        return faults.stream()
                .map(fault -> DynamicTest.dynamicTest(fault.getKey() + " " + fault.getValue(), () -> {
                    try (FaultyProxy broken = FaultyProxy.with(fault.getValue());
                            Routed routed = routed(pool(
                                    Duration.ofMillis(300),
                                    3,
                                    List.of(
                                            broken.url(fault.getKey()),
                                            proxies.get(0).url())))) {
                        target.clear();
                        AtomicInteger subscribed = new AtomicInteger();
                        String echo = routed.http()
                                .post()
                                .uri(target.url("https", "/echo"))
                                .send(ByteBufFlux.fromString(Mono.fromSupplier(() -> {
                                    subscribed.incrementAndGet();
                                    return "an order";
                                })))
                                .responseContent()
                                .aggregate()
                                .asString()
                                .block(Routed.PATIENCE);
                        assertThat(echo).contains("an order");
                        assertThat(subscribed).hasValue(1);
                        assertThat(broken.connections()).isEqualTo(1);
                        assertThat(target.requests()).hasSize(1);
                        assertThat(target.directConnections()).isEmpty();
                        assertThat(routed.websocket()
                                        .websocket()
                                        .uri(target.url("wss", "/ws"))
                                        .receive()
                                        .asString()
                                        .blockFirst(Routed.PATIENCE))
                                .contains(proxies.get(0).egressAddress());
                    }
                }));
    }

    @ParameterizedTest
    @EnumSource(
            value = ProxyKind.class,
            names = {"MICROSOCKS_SOCKS5", "TINYPROXY_HTTP"})
    void aNameThatOnlyTheOtherProxyKnowsLosesNoConnectionToPlainSocks4(ProxyKind kind) {
        RunningProxy other = lab.proxy(kind);
        lab.assumeProxyOnlyNames(other);
        List<String> urls = List.of(lab.proxy(ProxyKind.DANTE_SOCKS4).url(), other.url());
        for (int first = 0; first < 2; first++) { // that which is drawn first, with nothing known of the target
            try (Routed routed =
                    routed(pool(Duration.ofSeconds(5), 2, List.of(urls.get(first), urls.get(1 - first))))) {
                HttpClient client = routed.http().keepAlive(false);
                for (int i = 0; i < 4; i++) {
                    assertThat(whoami(client, target.url("https", ProxyLab.PROXY_ONLY_NAME, "/whoami"))
                                    .block(Routed.PATIENCE))
                            .contains(other.egressAddress());
                }
            }
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void deadProxiesUnderLoadLoseNoConnection() {
        List<RunningProxy> victims = List.of(proxies.get(1), proxies.get(2));
        AtomicInteger notOpened = new AtomicInteger();
        AtomicInteger inFlight = new AtomicInteger(); // on a tunnel that stood when its proxy died: cannot be replayed
        try (Routed routed = routed(pool(Duration.ofSeconds(1), 4, urls()))) {
            HttpClient client = routed.http().keepAlive(false);
            Map<String, Long> counts = Flux.range(0, 1_000)
                    .doOnNext(i -> {
                        if (i == 200) {
                            victims.get(0).stop();
                            victims.get(1).freeze();
                        }
                    })
                    .flatMap(
                            i -> whoami(client, target.url(i % 2 == 0 ? "http" : "https", "/whoami"))
                                    .map(this::peer)
                                    .onErrorResume(failure -> {
                                        boolean opened = Stream.iterate(failure, Objects::nonNull, Throwable::getCause)
                                                .noneMatch(ProxyConnectionException.class::isInstance);
                                        (opened ? inFlight : notOpened).incrementAndGet();
                                        return Mono.empty();
                                    }),
                            4)
                    .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()))
                    .block(Duration.ofSeconds(60));
            log.info(
                    "pool under load, two of five proxies dead: 1000 connections, {} not opened, {} lost in flight, {}",
                    notOpened,
                    inFlight,
                    counts);
        }
        assertThat(notOpened).hasValue(0);
        assertThat(inFlight).hasValueLessThanOrEqualTo(4);
        assertThat(target.directConnections()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whenAProxyIsLeftOutItsIdleConnectionsAreClosed(boolean http2) {
        RunningProxy frozen = lab.proxy(ProxyKind.SQUID_HTTP);
        RunningProxy good = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5);
        try (Routed routed = routed(pool(Duration.ofMillis(300), 2, List.of(frozen.url(), good.url())))) {
            HttpClient client = http2 ? routed.http(HttpProtocol.H2) : routed.http();
            Flux.range(0, 2)
                    .flatMap(i -> whoami(client, target.url("https", "/whoami")), 2)
                    .blockLast(Routed.PATIENCE);
            frozen.freeze();
            // on new connections, to another port: the first two find the black hole, and leave it out
            Flux.range(0, 4)
                    .concatMap(i -> whoami(routed.http().keepAlive(false), target.url("http", "/whoami")))
                    .blockLast(Routed.PATIENCE);
            for (int i = 0; i < 10; i++) {
                assertThat(whoami(client, target.url("https", "/whoami")).block(Duration.ofSeconds(5)))
                        .contains(good.egressAddress());
            }
        }
    }

    @Test
    void whenAllAreDeadTheExceptionNamesEachAndSaysWhatEachIsToBlameFor() {
        String one = "http://127.0.0.1:" + FaultyProxy.closedPort();
        try (FaultyProxy other = FaultyProxy.with(Faults.proxyAuthenticationRequired());
                Routed routed = routed(pool(Duration.ofSeconds(1), 3, List.of(one, other.url("http"))))) {
            assertThatThrownBy(() -> whoami(routed.http(), target.url("https", "/whoami"))
                            .block(Routed.PATIENCE))
                    .hasStackTraceContaining(one + " refused the connection (stage tcp, blame proxy;")
                    .hasStackTraceContaining("; then " + other.url("http")
                            + " refused CONNECT with 407 (stage handshake, blame credentials;")
                    .hasStackTraceContaining("; no other proxy of the pool is usable.");
        }
        assertThat(target.seen()).isEmpty();
    }

    private static String dead() {
        return "socks5://127.0.0.1:" + FaultyProxy.closedPort();
    }

    @Test
    @Tag("no-leak")
    void withDirectFallbackAlwaysAConnectionThatHasUsedUpItsAttemptsDoesNotGoDirectlyWhileAProxyIsLeft() {
        List<String> urls = List.of(dead(), dead(), dead(), proxies.get(0).url());
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .directFallback(DirectFallback.ALWAYS)
                .defaultProxy(ConnectionType.HTTP, pool(Duration.ofSeconds(1), 3, urls))
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            HttpClient client = routed.http().keepAlive(false);
            assertThatThrownBy(
                            () -> whoami(client, target.url("http", "/whoami")).block(Routed.PATIENCE))
                    .hasStackTraceContaining("max-attempts proxies of the pool were tried");
            for (int i = 0; i < 12; i++) {
                whoami(client, target.url("http", "/whoami"))
                        .onErrorComplete(ProxyConnectionException.class)
                        .block(Routed.PATIENCE);
            }
        }
        assertThat(target.requests()).isNotEmpty();
        assertThat(target.directConnections()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5})
    void aPoolThatIsDeadHandsOverToTheDefaultAndNoConnectionFails(int size) {
        ProxyEntry own = pool(
                Duration.ofSeconds(1),
                3,
                OnExhausted.DEFAULT,
                Stream.generate(PoolFailoverTests::dead).limit(size).toList());
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .defaultProxy(ConnectionType.HTTP, pool(Duration.ofSeconds(1), 3, urls()))
                .exchange(Routed.EXCHANGE, exchange -> exchange.proxy(ConnectionType.HTTP, own))
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            HttpClient client = routed.http().keepAlive(false);
            for (int i = 0; i < 150; i++) {
                assertThat(whoami(client, target.url("http", "/whoami")).block(Routed.PATIENCE))
                        .contains("peer");
            }
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void oneFrozenProxyOfTwoFailsNoConnectionUnderLoadWithTheDefaults() {
        List<RunningProxy> two = lab.poolOfFive().subList(0, 2);
        List<String> urls = two.stream().map(RunningProxy::url).toList();
        try (Routed routed = routed(pool(Duration.ofSeconds(5), 3, urls))) {
            HttpClient client = routed.injector
                    .customize(HttpClient.create(ConnectionProvider.create("many", 5_000)), Routed.EXCHANGE)
                    .keepAlive(false);
            two.get(0).freeze();
            List<String> failures = Objects.requireNonNull(Flux.interval(Duration.ofMillis(5))
                    .take(1_600)
                    .onBackpressureBuffer()
                    .flatMap(
                            i -> whoami(client, target.url("http", "/whoami"))
                                    .then(Mono.<String>empty())
                                    .onErrorResume(failure -> Mono.just(String.valueOf(failure.getMessage()))),
                            5_000)
                    .collectList()
                    .block(Duration.ofSeconds(60)));
            assertThat(failures).isEmpty();
        }
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void oneTargetThatDropsEverythingDoesNotTakeTheProxiesFromTheOthers() throws IOException {
        List<RunningProxy> four = Stream.of(
                        ProxyKind.TINYPROXY_HTTP,
                        ProxyKind.SQUID_HTTP,
                        ProxyKind.MICROSOCKS_SOCKS5,
                        ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS)
                .map(lab::proxy)
                .toList();
        List<String> urls = four.stream().map(RunningProxy::url).toList();
        try (SynBlackHole hole = SynBlackHole.open();
                Routed routed = routed(pool(Duration.ofMillis(500), 2, urls))) {
            HttpClient client = routed.http().keepAlive(false);
            for (int i = 0; i < 6; i++) {
                assertThatThrownBy(() -> whoami(client, "http://" + hole.host() + ":" + hole.port() + "/")
                                .block(Duration.ofSeconds(2)))
                        .isNotNull();
            }
            List<String> peers = Objects.requireNonNull(Flux.range(0, 12)
                    .concatMap(i -> whoami(client, target.url("http", "/whoami")))
                    .map(this::peer)
                    .collectList()
                    .block(Routed.PATIENCE));
            assertThat(peers)
                    .containsAll(four.stream().map(RunningProxy::egressAddress).toList());
        }
    }
}

package io.egressproxy.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.mockito.Mockito.mock;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.egressproxy.ConnectionType;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyUrl;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.service.AnswerStore;
import io.egressproxy.service.ProxyResponse;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceConnection;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.settings.DirectFallback;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.settings.UnmatchedHosts;
import io.egressproxy.testkit.Faults;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.Script;
import io.egressproxy.testkit.SynBlackHole;
import io.egressproxy.testkit.TargetServer;
import io.micrometer.observation.ObservationRegistry;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.handler.logging.LogLevel;
import io.netty.handler.logging.LoggingHandler;
import io.netty.resolver.DefaultAddressResolverGroup;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;
import reactor.netty.DisposableServer;
import reactor.netty.http.Http3SslContextSpec;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.HttpResources;
import reactor.netty.http.client.HttpClient;
import reactor.netty.http.client.HttpClientMetricsRecorder;
import reactor.netty.http.server.HttpServer;
import reactor.netty.transport.ProxyProvider;
import reactor.util.retry.Retry;

/** What happens to connections over time: reuse, reconnects, concurrency, redirects, and clients with settings of their own. */
@ExtendWith({ProxyLab.Extension.class, OutputCaptureExtension.class})
@Tag("no-leak")
class ConnectionLifecycleTests {
    private final ProxyLab lab;
    private final RunningProxy first;
    private final RunningProxy second;
    private TargetServer target;

    ConnectionLifecycleTests(ProxyLab lab) {
        this.lab = lab;
        this.first = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS);
        this.second = lab.proxy(ProxyKind.TINYPROXY_HTTP);
        this.target = lab.newTarget();
    }

    @BeforeEach
    void clear() {
        target.clear();
    }

    @AfterEach
    void noDirectConnection() {
        target.close();
    }

    private static String whoami(HttpClient client, String url) {
        return Objects.requireNonNull(
                client.get().uri(url).responseContent().aggregate().asString().block(Routed.PATIENCE), "no answer");
    }

    private void assertNothingDirect() {
        assertThat(target.directConnections()).isEmpty();
    }

    @Test
    void aKeptConnectionIsReusedThroughItsProxy() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .defaultProxy(ConnectionType.HTTP, first.url())
                .build();
        try (Routed routed = Routed.withOneConnection(lab, settings)) {
            HttpClient client = routed.http();
            for (int i = 0; i < 5; i++) {
                assertThat(whoami(client, target.url("https", "/whoami"))).contains(first.egressAddress());
            }
            assertThat(whoami(routed.http(), target.url("https", "/whoami")))
                    .as("a client customized again shares the route's connections")
                    .contains(first.egressAddress());
        }
        assertThat(target.connectionsFrom(first)).hasSize(1);
        assertNothingDirect();
    }

    @Test
    void concurrentFirstRequestsAllGoThroughTheProxy() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.http();
            List<String> answers = Flux.range(0, 100)
                    .flatMap(
                            i -> client.get()
                                    .uri(target.url(i % 2 == 0 ? "http" : "https", "/whoami"))
                                    .responseContent()
                                    .aggregate()
                                    .asString(),
                            100)
                    .collectList()
                    .block(Routed.PATIENCE);
            assertThat(answers).hasSize(100).allMatch(answer -> answer.contains(first.egressAddress()));
        }
        assertNothingDirect();
    }

    @Test
    void aWebSocketReconnectsThroughTheProxy() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.websocket();
            for (int i = 0; i < 5; i++) {
                String peer = client.websocket()
                        .uri(target.url("wss", "/ws"))
                        .receive()
                        .asString()
                        .blockFirst(Routed.PATIENCE);
                assertThat(peer).contains(first.egressAddress());
                target.closeConnections();
            }
        }
        assertThat(target.connectionsFrom(first)).hasSize(5);
        assertNothingDirect();
    }

    @Test
    void aRetriedSubscriptionStaysOnItsProxy() {
        try (Routed routed = Routed.through(lab, first.url())) {
            first.stop();
            Mono<String> exchange = routed.http()
                    .get()
                    .uri(target.url("https", "/whoami"))
                    .responseContent()
                    .aggregate()
                    .asString()
                    .retryWhen(Retry.fixedDelay(100, Duration.ofMillis(50)).doBeforeRetry(signal -> {
                        if (signal.totalRetries() == 3) {
                            first.start();
                        }
                    }));
            assertThat(exchange.block(Routed.PATIENCE)).contains(first.egressAddress());
        }
        assertNothingDirect();
    }

    @Test
    void aDeadProxyFailsTheFeedAndItsReturnHealsIt() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.http();
            assertThat(whoami(client, target.url("http", "/whoami"))).contains(first.egressAddress());
            first.stop();
            await().atMost(Routed.PATIENCE)
                    .untilAsserted(() -> assertThatThrownBy(() -> whoami(client, target.url("http", "/whoami")))
                            .hasRootCauseInstanceOf(IOException.class)
                            .hasStackTraceContaining(ProxyConnectionException.class.getName()));
            first.start();
            assertThat(whoami(client, target.url("http", "/whoami"))).contains(first.egressAddress());
        }
        assertNothingDirect();
    }

    @Test
    void exchangesOnOneHostDoNotShareConnections() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .exchange("binance", exchange -> exchange.proxy(ConnectionType.HTTP, first.url()))
                .exchange("coinbase", exchange -> exchange.proxy(ConnectionType.HTTP, second.url()))
                .build();
        try (Routed routed = Routed.withOneConnection(lab, settings)) {
            HttpClient binance = routed.injector.customize(routed.plain(), "binance");
            HttpClient coinbase = routed.injector.customize(routed.plain(), "COINBASE");
            for (int i = 0; i < 3; i++) {
                assertThat(whoami(binance, target.url("https", "/whoami"))).contains(first.egressAddress());
                assertThat(whoami(coinbase, target.url("https", "/whoami"))).contains(second.egressAddress());
            }
            assertThat(whoami(routed.injector.customize(binance, "coinbase"), target.url("https", "/whoami")))
                    .as("a route on top of another replaces it")
                    .contains(second.egressAddress());
        }
        assertThat(target.connectionsFrom(first)).hasSize(1);
        assertThat(target.connectionsFrom(second)).hasSize(1);
        assertNothingDirect();
    }

    @Test
    void aHostRoutedClientFindsTheExchangeByHost() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .unmatchedHosts(UnmatchedHosts.DIRECT)
                .exchange("binance", exchange -> exchange.hosts("127.0.0.1").proxy(ConnectionType.HTTP, first.url()))
                .exchange("coinbase", exchange -> exchange.hosts("*host").proxy(ConnectionType.HTTP, second.url()))
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            HttpClient client = routed.routes.byHost(routed.plain(), ConnectionType.HTTP);
            assertThat(whoami(client, target.url("http", "127.0.0.1", "/whoami")))
                    .contains(first.egressAddress());
            assertThat(whoami(client, target.url("http", "localhost", "/whoami")))
                    .contains(second.egressAddress());
            assertNothingDirect();
        }
    }

    @Test
    void aClientsOwnProxyAndResolverGiveWayToTheRoute() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.plain()
                    .resolver(DefaultAddressResolverGroup.INSTANCE)
                    .proxy(spec -> spec.type(ProxyProvider.Proxy.HTTP)
                            .socketAddress(InetSocketAddress.createUnresolved(second.host(), second.port())));
            assertThat(whoami(routed.injector.customize(client, "binance"), target.url("https", "/whoami")))
                    .contains(first.egressAddress());
        }
        assertThat(target.connectionsFrom(second)).isEmpty();
        assertNothingDirect();
    }

    @Test
    @Tag("no-leak")
    void whatAClientSelectsOfTheAddressesHoldsWhereTheConnectionIsDirect() {
        List<List<? extends SocketAddress>> asked = new CopyOnWriteArrayList<>();
        ProxySettings settings = ProxySettings.builder()
                .noProxy("localhost")
                .defaultProxy(ConnectionType.HTTP, first.url())
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            HttpClient none = routed.injector.customize(
                    routed.plain().resolvedAddressesSelector((client, addresses) -> {
                        asked.add(addresses);
                        return List.of();
                    }),
                    "binance");
            assertThatThrownBy(() -> whoami(none, target.url("http", "localhost", "/whoami")))
                    .hasRootCauseInstanceOf(UnknownHostException.class);
            assertThat(asked).allSatisfy(addresses -> assertThat(addresses)
                    .isNotEmpty()
                    .allMatch(address ->
                            ((InetSocketAddress) address).getAddress().isLoopbackAddress()));
            assertNothingDirect();

            HttpClient refusing = routed.injector.customize(
                    routed.plain().resolvedAddressesSelector((client, addresses) -> {
                        throw new SecurityException("forbidden");
                    }),
                    "binance");
            HttpClient again = routed.injector.customize(refusing, "binance");
            assertThatThrownBy(() -> whoami(again, target.url("http", "localhost", "/whoami")))
                    .hasStackTraceContaining("forbidden");
            assertNothingDirect();

            HttpClient all = routed.injector.customize(
                    routed.plain().resolvedAddressesSelector((client, addresses) -> addresses), "binance");
            whoami(all, target.url("http", "localhost", "/whoami"));
            assertThat(target.directConnections()).hasSize(1);
        }
    }

    /** A client that wants no address of this machine, as a guard against forged requests would have it. */
    private static HttpClient guarded(Routed routed) {
        return routed.injector.customize(
                routed.plain().resolvedAddressesSelector((client, addresses) -> addresses.stream()
                        .filter(address ->
                                !((InetSocketAddress) address).getAddress().isLoopbackAddress())
                        .toList()),
                "binance");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "127.0.0.1",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "[::ffff:7f00:1]",
                "2130706433",
                "127.1",
                "0x7f.0.0.01",
                "127.0.0.1.",
                "\uff11\uff12\uff17\u3002\uff10\uff0e\uff10\uff0e\uff11"
            })
    void anAddressInTheUrlIsPutToTheClientsSelectionBeforeAProxyHearsOfIt(String address) {
        for (RunningProxy proxy : List.of(first, second, lab.proxy(ProxyKind.DANTE_SOCKS4))) {
            try (Routed routed = Routed.through(lab, proxy.url())) {
                assertThatThrownBy(() -> whoami(guarded(routed), target.url("http", address, "/whoami")))
                        .rootCause()
                        .isInstanceOf(UnknownHostException.class)
                        .hasMessageMatching("the client selects none.*|.* is no name, and no address.*");
            }
        }
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void anAddressThatTheClientSelectsAndANameThatNobodyHereLooksUpGoThroughTheProxy() {
        List<SocketAddress> asked = new CopyOnWriteArrayList<>();
        try (Routed routed = Routed.through(lab, second.url())) {
            HttpClient client = routed.injector.customize(
                    routed.plain().resolvedAddressesSelector((config, addresses) -> {
                        asked.addAll(addresses);
                        return addresses;
                    }),
                    "binance");
            assertThat(whoami(client, target.url("http", "127.0.0.1", "/whoami")))
                    .contains(second.egressAddress());
            assertThat(asked).containsExactly(new InetSocketAddress("127.0.0.1", target.port()));
            asked.clear();
            assertThat(whoami(guarded(routed), target.url("http", "localhost", "/whoami")))
                    .contains(second.egressAddress());
            assertThat(whoami(client, target.url("https", "localhost", "/whoami")))
                    .contains(second.egressAddress());
            assertThat(asked).isEmpty();
        }
        assertNothingDirect();
    }

    @Test
    void whatTheClientDoesNotSelectBehindPlainSocks4DoesNotGoRoundItByAProxyThatResolvesTheName() {
        Lookup here = (port, callback) -> callback.accept(List.of(new InetSocketAddress("127.0.0.1", port)), null);
        String socks4 = lab.proxy(ProxyKind.DANTE_SOCKS4).url();
        lab.assumeProxyOnlyNames(second);
        try (Routed unrouted = Routed.through(lab, second.url());
                ClientRoutes routes = routes(DirectFallback.NEVER, here, socks4, second.url())) {
            HttpClient client = routes.byHost(
                    unrouted.plain().resolvedAddressesSelector((config, addresses) -> List.of()), ConnectionType.HTTP);
            assertThatThrownBy(() -> whoami(client, target.url("http", ProxyLab.PROXY_ONLY_NAME, "/whoami")))
                    .hasRootCauseInstanceOf(UnknownHostException.class)
                    .hasStackTraceContaining("the client selects none of the addresses");
        }
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void aResolverThatIsSetAfterTheRouteDoesNotMakeTheConnectionDirect() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.http().resolver(DefaultAddressResolverGroup.INSTANCE);
            assertThat(whoami(client, target.url("https", "/whoami"))).contains(first.egressAddress());
        }
        assertNothingDirect();
    }

    @Test
    void noProxyHostsAndDirectEntriesConnectDirectlyAndAMissingTypeSaysSo() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy("localhost")
                .defaultProxy(ConnectionType.HTTP, first.url())
                .exchange("kraken", exchange -> exchange.proxy(ConnectionType.HTTP, ProxyEntry.directly()))
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            whoami(routed.http(), target.url("https", "localhost", "/whoami"));
            assertThat(target.directConnections()).hasSize(1);
            whoami(routed.injector.customize(routed.plain(), "kraken"), target.url("https", "/whoami"));
            assertThat(target.directConnections()).hasSize(2);
            routed.websocket()
                    .websocket()
                    .uri(target.url("ws", "/ws"))
                    .receive()
                    .asString()
                    .blockFirst(Routed.PATIENCE);
            assertThat(target.directConnections()).hasSize(3);
        }
    }

    @Test
    void aDirectTargetThatRefusesFailsAsItWouldWithoutUs() {
        int port = target.port();
        target.stop();
        ProxySettings settings = ProxySettings.builder().build();
        try (Routed routed = Routed.by(lab, settings)) {
            assertThatThrownBy(() -> whoami(routed.http(), "http://localhost:" + port + "/whoami"))
                    .hasRootCauseInstanceOf(ConnectException.class);
        }
    }

    @Test
    void anExchangeThatRequiresAProxyIsRefusedADirectConnection() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy("127.0.0.0/8")
                .exchange("binance", exchange -> exchange.requireProxy().proxy(ConnectionType.HTTP, first.url()))
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            assertThatThrownBy(() -> whoami(routed.http(), target.url("https", "/whoami")))
                    .hasStackTraceContaining("require-proxy is true for it, and it would connect directly (no-proxy)");
            assertThatThrownBy(() -> routed.websocket()
                            .websocket()
                            .uri(target.url("wss", "localhost", "/ws"))
                            .receive()
                            .blockFirst(Routed.PATIENCE))
                    .hasStackTraceContaining("(not configured)");
        }
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void aRedirectToAnotherExchangesHostTakesThatExchangesRoute() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .exchange("binance", exchange -> exchange.hosts("127.0.0.1").proxy(ConnectionType.HTTP, first.url()))
                .exchange("coinbase", exchange -> exchange.hosts("localhost").proxy(ConnectionType.HTTP, second.url()))
                .build();
        DisposableServer redirecting = HttpServer.create()
                .host("127.0.0.1")
                .route(routes -> routes.get(
                        "/", (request, response) -> response.sendRedirect(target.url("http", "localhost", "/whoami"))))
                .bindNow();
        try (Routed routed = Routed.by(lab, settings)) {
            HttpClient client =
                    routed.routes.byHost(routed.plain(), ConnectionType.HTTP).followRedirect(true);
            assertThat(whoami(client, "http://127.0.0.1:" + redirecting.port() + "/"))
                    .contains(second.egressAddress());
        } finally {
            redirecting.disposeNow();
        }
        assertNothingDirect();
    }

    @ParameterizedTest
    @CsvSource({"1, refused at once", "2, black hole"})
    void aProxyIsTriedAtEachAddressOfItsName(int dead, String how) throws IOException {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .defaultProxy(ConnectionType.HTTP, ProxyEntry.of(ProxyUrl.parse("socks5://feed:x@many.test:1"), 3))
                .build();
        RunningProxy good = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5);
        try (SynBlackHole hole = SynBlackHole.open()) {
            InetSocketAddress bad = dead == 1
                    ? new InetSocketAddress("127.0.0.1", FaultyProxy.closedPort())
                    : new InetSocketAddress(hole.host(), hole.port());
            NameResolution names = new NameResolution(HttpResources.get()) {
                @Override
                void resolve(Channel channel, String host, int port, Callback callback) {
                    callback.accept(
                            List.of(
                                    bad,
                                    new InetSocketAddress("127.0.0.1", FaultyProxy.closedPort()),
                                    new InetSocketAddress(good.host(), good.port())),
                            null);
                }
            };
            try (ClientRoutes routes = new ClientRoutes(
                    new ProxyRouter(settings), bundle -> lab.certificates().nettyClientContext(), names)) {
                HttpClient client = routes.byHost(
                        HttpClient.newConnection()
                                .secure(spec ->
                                        spec.sslContext(lab.certificates().nettyClientContext())),
                        ConnectionType.HTTP);
                assertThat(whoami(client, target.url("https", "/whoami")))
                        .as(how)
                        .contains(good.egressAddress());
            }
        }
        assertNothingDirect();
    }

    @Test
    void proxiesOfAPoolAreEachTriedAtEachAddress() {
        List<String> urls = List.of("socks5://one.test:1", "socks5://two.test:1");
        try (ClientRoutes routes = routes(Duration.ofSeconds(5), urls)) {
            HttpClient client = routes.byHost(HttpClient.newConnection(), ConnectionType.HTTP);
            for (int i = 0; i < 4; i++) {
                assertThat(whoami(client, target.url("http", "/whoami")))
                        .contains(lab.proxy(ProxyKind.MICROSOCKS_SOCKS5).egressAddress());
            }
        }
        assertNothingDirect();
    }

    @Test
    void aProxyWithAnAddressLeftLosesNoTimeWhileAnotherIsTriedInBetween() {
        try (FaultyProxy hole = FaultyProxy.with(Faults.blackHole());
                ClientRoutes routes =
                        routes(Duration.ofMillis(500), List.of("socks5://one.test:1", hole.url("socks5")))) {
            HttpClient client = routes.byHost(HttpClient.newConnection(), ConnectionType.HTTP);
            assertThat(whoami(client, target.url("http", "/whoami")))
                    .contains(lab.proxy(ProxyKind.MICROSOCKS_SOCKS5).egressAddress());
        }
        assertNothingDirect();
    }

    @Test
    @Tag("NFR-4")
    void aNameThatTheProxyServiceGivesMustNotLeadToALinkLocalAddress() {
        StandardEnvironment environment = new StandardEnvironment();
        environment
                .getPropertySources()
                .addFirst(new MapPropertySource(
                        "test",
                        Map.of(
                                "proxy.enabled", "true",
                                "proxy.no-proxy", "",
                                "proxy.external-service.enabled", "true",
                                "proxy.external-service.endpoints", "http://127.0.0.1:1")));
        ProxySettings settings = ProxySettingsBinder.bind(environment);
        ProxyServiceClient service = (request, correlationId) ->
                Mono.just(new ProxyResponse("http://metadata.test:80", null, 300L, "embedded_fallback", null));
        NameResolution names = new NameResolution(HttpResources.get()) {
            @Override
            void resolve(Channel channel, String host, int port, Callback callback) {
                callback.accept(List.of(new InetSocketAddress("169.254.169.254", port)), null);
            }
        };
        try (ServiceDelegation delegation = new ServiceDelegation(
                        settings,
                        "tests",
                        new ServiceConnection(
                                settings.externalService(),
                                HttpResources.get(),
                                () -> null,
                                () -> settings.externalService().authCredentials(),
                                ObservationRegistry.NOOP),
                        service,
                        AnswerStore.plain(10),
                        null,
                        HttpResources.get(),
                        ProxyEventListener.NONE);
                ClientRoutes routes = new ClientRoutes(
                        new ProxyRouter(settings, name -> null, delegation.answers(), ProxyEventListener.NONE),
                        bundle -> lab.certificates().nettyClientContext(),
                        names)) {
            HttpClient client = routes.byHost(HttpClient.newConnection(), ConnectionType.HTTP);
            assertThatThrownBy(() -> whoami(client, target.url("http", "/whoami")))
                    .hasStackTraceContaining("http://metadata.test:80 was not tried: the proxy service named it");
        }
        assertThat(target.seen()).isEmpty();
    }

    /** A pool in which names of {@code .test} lead to a closed port first, and then to a proxy that works. */
    private ClientRoutes routes(Duration attemptTimeout, List<String> urls) {
        RunningProxy good = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5);
        ProxyEntry one = ProxyEntry.directly();
        ProxyEntry pool = new ProxyEntry(
                null,
                null,
                false,
                null,
                urls.stream()
                        .map(url -> new PoolMember(ProxyUrl.parse(url), 5, 1, true, null, null))
                        .toList(),
                null,
                "round_robin",
                3,
                attemptTimeout,
                OnExhausted.FAIL,
                one.healthCheck(),
                one.circuitBreaker());
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .defaultProxy(ConnectionType.HTTP, pool)
                .build();
        NameResolution names = new NameResolution(HttpResources.get()) {
            @Override
            void resolve(Channel channel, String host, int port, Callback callback) {
                if (!host.endsWith(".test")) {
                    super.resolve(channel, host, port, callback);
                    return;
                }
                callback.accept(
                        List.of(
                                new InetSocketAddress("127.0.0.1", FaultyProxy.closedPort()),
                                new InetSocketAddress(good.host(), good.port())),
                        null);
            }
        };
        return new ClientRoutes(
                new ProxyRouter(settings), bundle -> lab.certificates().nettyClientContext(), names);
    }

    /** Routes with names that are looked up as the test says, all through one pool. */
    private ClientRoutes routes(DirectFallback directFallback, Lookup lookup, String... urls) {
        ProxyEntry one = ProxyEntry.directly();
        ProxyEntry pool = new ProxyEntry(
                null,
                null,
                false,
                null,
                Arrays.stream(urls)
                        .map(url -> new PoolMember(ProxyUrl.parse(url), 1, 1, true, null, null))
                        .toList(),
                null,
                "round_robin",
                3,
                Duration.ofSeconds(1),
                OnExhausted.FAIL,
                one.healthCheck(),
                one.circuitBreaker());
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .directFallback(directFallback)
                .defaultProxy(ConnectionType.HTTP, pool)
                .build();
        NameResolution names = new NameResolution(HttpResources.get()) {
            @Override
            void resolve(Channel channel, String host, int port, Callback callback) {
                if (host.endsWith(".test")) {
                    lookup.resolve(port, callback);
                } else {
                    super.resolve(channel, host, port, callback);
                }
            }
        };
        return new ClientRoutes(
                new ProxyRouter(settings), bundle -> lab.certificates().nettyClientContext(), names);
    }

    private interface Lookup {
        void resolve(int port, NameResolution.Callback callback);
    }

    @Test
    void aNameThatPlainSocks4ProxiesCannotCarryIsLookedUpOnceAndTheFailureSaysThatItIsUnknown() {
        AtomicInteger lookUps = new AtomicInteger();
        Lookup unknown = (port, callback) -> {
            lookUps.incrementAndGet();
            callback.accept(List.of(), new UnknownHostException("exchange.test"));
        };
        String[] urls = {"socks4://127.0.0.1:1", "socks4://127.0.0.1:2", "socks4://127.0.0.1:3"};
        try (ClientRoutes routes = routes(DirectFallback.NEVER, unknown, urls)) {
            HttpClient client = routes.byHost(HttpClient.newConnection(), ConnectionType.HTTP);
            assertThatThrownBy(() -> whoami(client, "http://exchange.test/"))
                    .hasCauseInstanceOf(ProxyConnectionException.class)
                    .hasRootCauseInstanceOf(UnknownHostException.class)
                    .hasStackTraceContaining(
                            urls[2] + " was not tried: the target's host name does not resolve to an IPv4"
                                    + " address here, and plain socks4 carries no names (stage select, blame target;");
        }
        assertThat(lookUps).hasValue(1);
    }

    @Test
    void aNameThatDoesNotResolveHereForAMomentIsNoReasonToGoRoundAPlainSocks4Proxy() {
        AtomicInteger lookUps = new AtomicInteger();
        Lookup unknownAtFirst = (port, callback) -> {
            if (lookUps.getAndIncrement() == 0) {
                callback.accept(List.of(), new UnknownHostException("exchange.test"));
            } else {
                callback.accept(List.of(new InetSocketAddress("127.0.0.1", port)), null);
            }
        };
        RunningProxy socks4 = lab.proxy(ProxyKind.DANTE_SOCKS4);
        try (ClientRoutes routes = routes(DirectFallback.ALWAYS, unknownAtFirst, socks4.url())) {
            HttpClient client = routes.byHost(HttpClient.newConnection(), ConnectionType.HTTP);
            String url = target.url("http", "exchange.test", "/whoami");
            assertThatThrownBy(() -> whoami(client, url)).hasRootCauseInstanceOf(UnknownHostException.class);
            assertThat(target.seen()).isEmpty();
            assertThat(whoami(client, url)).contains(socks4.egressAddress());
        }
        assertNothingDirect();
    }

    @Test
    void aLookUpOfTheTargetThatTakesTooLongIsNotThePlainSocks4ProxysFault() {
        Lookup never = (port, callback) -> {};
        try (ClientRoutes routes = routes(DirectFallback.NEVER, never, "socks4://127.0.0.1:1")) {
            HttpClient client = routes.byHost(HttpClient.newConnection(), ConnectionType.HTTP);
            assertThatThrownBy(() -> whoami(client, "http://exchange.test/"))
                    .hasStackTraceContaining("does not resolve to an IPv4 address here")
                    .hasStackTraceContaining("blame target");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "exchange.test, 3", // a name
        "192.0.2.1, 1",
        "[2001:db8::1], 4",
        "2852039166, 3" // no spelling of an address that all read alike
    })
    void socks5IsToldAnAddressInTheFormForAddressesAndANameInThatForNames(String host, int addressType) {
        Script reads = Script.named("reads the request")
                .agreeOnSocks5Method()
                .readSocks5Request()
                .write(5, 4, 0, 1, 0, 0, 0, 0, 0, 0);
        try (FaultyProxy proxy = FaultyProxy.with(reads);
                Routed routed = Routed.through(lab, proxy.url("socks5"))) {
            HttpClient client = routed.injector.customize(routed.plain(), "binance");
            assertThatThrownBy(() -> whoami(client, "http://" + host + ":8080/"))
                    .hasCauseInstanceOf(ProxyConnectionException.class);
            byte[] received = proxy.received().get(0);
            int request = 2 + received[1]; // after the greeting
            assertThat(received[request + 3]).isEqualTo((byte) addressType);
        }
    }

    @Test
    void metricsOfReactorNettyDoNotMakeItResolveTheTarget() {
        lab.assumeProxyOnlyNames(first);
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.injector.customize(
                    routed.plain().metrics(true, () -> mock(HttpClientMetricsRecorder.class), uri -> "uri"), "binance");
            assertThat(whoami(client, target.url("https", ProxyLab.PROXY_ONLY_NAME, "/whoami")))
                    .contains(first.egressAddress());
        }
        assertNothingDirect();
    }

    @Test
    void aHostInTheSpellingOfAnotherScriptIsTheSameHost() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .unmatchedHosts(UnmatchedHosts.DIRECT)
                .exchange("binance", exchange -> exchange.hosts("localhost").proxy(ConnectionType.HTTP, first.url()))
                .build();
        ProxyRouter router = new ProxyRouter(settings);
        for (String spelling : List.of("LOCALHOST", "localhost.", "localhost\u3002", "localhost\uFF0E", "ｌocalhost")) {
            assertThat(router.target(ConnectionType.HTTP, spelling, 80).exchange())
                    .as(spelling)
                    .hasToString("binance");
        }
    }

    @Test
    void aUnixDomainSocketStaysOnTheMachineAndWorks(@TempDir Path directory) {
        assumeTrue(Epoll.isAvailable(), "needs a native transport");
        DomainSocketAddress socket =
                new DomainSocketAddress(directory.resolve("socket").toFile());
        DisposableServer server = HttpServer.create()
                .bindAddress(() -> socket)
                .route(routes -> routes.get("/", (request, response) -> response.sendString(Mono.just("here"))))
                .bindNow();
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.injector.customize(HttpClient.create().remoteAddress(() -> socket), "binance");
            assertThat(whoami(client, "/")).isEqualTo("here");
        } finally {
            server.disposeNow();
        }
    }

    @Test
    void aProxyWhenOfTheClientsOwnIsRefusedWithAReason() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.injector.customize(
                    routed.plain()
                            .proxyWhen((config, proxy) -> Mono.just(proxy.type(ProxyProvider.Proxy.HTTP)
                                    .host(second.host())
                                    .port(second.port()))),
                    "binance");
            assertThatThrownBy(() -> whoami(client, target.url("https", "/whoami")))
                    .hasStackTraceContaining("the client has a proxy of its own");
        }
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void aLoggerOfTheClientsOwnSeesNoCredentials(CapturedOutput output) {
        Logger wire = (Logger) LoggerFactory.getLogger(LoggingHandler.class);
        wire.setLevel(Level.DEBUG);
        try {
            for (ProxyKind kind : List.of(ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS, ProxyKind.SQUID_HTTP_CREDENTIALS)) {
                try (Routed routed = Routed.through(lab, lab.proxy(kind).url())) {
                    HttpClient client = routed.http().doOnChannelInit((observer, channel, remote) -> channel.pipeline()
                            .addFirst(new LoggingHandler(LogLevel.DEBUG)));
                    whoami(client, target.url("http", "/whoami"));
                }
            }
        } finally {
            wire.setLevel(null);
        }
        assertThat(output.getOut()).contains("whoami");
        for (String secret : lab.secrets()) {
            assertThat(output.getOut().replaceAll("\\s", "")).doesNotContain(secret.replaceAll("\\s", ""));
        }
        assertThat(output).doesNotContain("Proxy-Authorization", "proxy-authorization");
    }

    @ParameterizedTest
    @ValueSource(strings = {"user:C4NARY-pw@localhost", "two words", "line\r\nbreak"})
    void aHostThatIsNoneIsRefusedAndNotShown(String host) {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.http().remoteAddress(() -> InetSocketAddress.createUnresolved(host, 80));
            assertThatThrownBy(() -> whoami(client, "/whoami"))
                    .hasStackTraceContaining("its host is no valid name or address")
                    .satisfies(failure -> assertThat(failure.toString() + failure.getCause())
                            .doesNotContain("C4NARY", "two words", "line"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"MICROSOCKS_SOCKS5_CREDENTIALS", "SQUID_HTTPS_CREDENTIALS", "TINYPROXY_HTTP"})
    void aLargeUploadArrivesWhole(String kind) {
        byte[] large = new byte[8 * 1024 * 1024];
        Arrays.fill(large, (byte) 'x');
        try (Routed routed =
                Routed.through(lab, lab.proxy(ProxyKind.valueOf(kind)).url())) {
            Integer echoed = routed.http()
                    .post()
                    .uri(target.url("https", "/echo"))
                    .send(ByteBufFlux.fromInbound(Mono.just(large)))
                    .responseContent()
                    .map(ByteBuf::readableBytes)
                    .reduce(0, Integer::sum)
                    .block(Routed.PATIENCE);
            assertThat(echoed).isGreaterThanOrEqualTo(large.length);
        }
        assertNothingDirect();
    }

    @Test
    void aClientThatGivesUpWaitingForTheTargetDoesNotShowThatTheProxyWorked(CapturedOutput output) {
        ((Logger) LoggerFactory.getLogger(ProxyRouter.class)).setLevel(Level.DEBUG);
        try (FaultyProxy proxy = FaultyProxy.with(Faults.tunnelThenSilence("http"));
                Routed routed = Routed.through(lab, proxy.url("http"))) {
            HttpClient impatient = routed.http().responseTimeout(Duration.ofMillis(200));
            assertThatThrownBy(() -> whoami(impatient, target.url("http", "/whoami")));
            await().atMost(Routed.PATIENCE)
                    .untilAsserted(() -> assertThat(output).contains("ended: Cancelled[]"));
            assertThat(output).doesNotContain("ended: Succeeded");
        } finally {
            ((Logger) LoggerFactory.getLogger(ProxyRouter.class)).setLevel(null);
        }
    }

    @Test
    void aConnectionThatTheClientGivesUpSaysNothingAgainstTheProxy(CapturedOutput output) {
        ((Logger) LoggerFactory.getLogger(ProxyRouter.class)).setLevel(Level.DEBUG);
        AtomicReference<Channel> connecting = new AtomicReference<>();
        try (FaultyProxy proxy = FaultyProxy.with(Faults.blackHole());
                Routed routed = Routed.through(lab, proxy.url("socks5"), 60)) {
            HttpClient client = routed.http().doOnChannelInit((observer, channel, remote) -> connecting.set(channel));
            Mono<String> answer = client.get()
                    .uri(target.url("https", "/"))
                    .responseContent()
                    .aggregate()
                    .asString();
            Disposable waiting = answer.subscribe(ignored -> {}, failure -> {});
            await().atMost(Routed.PATIENCE).until(() -> proxy.connections() == 1);
            connecting.get().close();
            await().atMost(Routed.PATIENCE)
                    .untilAsserted(() -> assertThat(output).contains("ended: Cancelled[]"));
            waiting.dispose();
        } finally {
            ((Logger) LoggerFactory.getLogger(ProxyRouter.class)).setLevel(null);
        }
    }

    @Test
    void any2xxToConnectIsATunnel() {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.workingWithConnectAnswer("201 Created"));
                Routed routed = Routed.through(lab, proxy.url("http"))) {
            assertThat(whoami(routed.http(), target.url("https", "/whoami"))).contains("127.0.0.1");
        }
    }

    @Test
    void theLeaseOfAConnectionIsGivenBackOnceWithTheTruth(CapturedOutput output) {
        ((Logger) LoggerFactory.getLogger(ProxyRouter.class)).setLevel(Level.DEBUG);
        try (FaultyProxy proxy = FaultyProxy.with(Faults.tunnelThenClose("http"));
                Routed lost = Routed.through(lab, proxy.url("http"));
                Routed used = Routed.through(lab, first.url())) {
            assertThatThrownBy(() -> whoami(lost.http(), target.url("https", "/whoami")));
            await().atMost(Routed.PATIENCE).untilAsserted(() -> assertThat(output)
                    .contains("ended: Failed[stage=TUNNEL, blame=AMBIGUOUS, detail=closed before the target's"));
            whoami(used.http(), target.url("https", "/whoami"));
            assertThat(output).doesNotContain("ended: Succeeded");
        }
        await().atMost(Routed.PATIENCE).untilAsserted(() -> assertThat(
                        output.getOut().lines().filter(line -> line.contains("ended: Succeeded")))
                .hasSize(1));
        ((Logger) LoggerFactory.getLogger(ProxyRouter.class)).setLevel(null);
    }

    @Test
    void http3IsRefusedSinceItWouldBypassTheProxy() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = HttpClient.create().protocol(HttpProtocol.HTTP11, HttpProtocol.HTTP3);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> routed.injector.customize(client, "binance"))
                    .withMessageContaining("HTTP/3");
        }
    }

    @Test
    void http3ThatIsAskedForAfterTheRouteIsRefusedAsWell() {
        try (Routed routed = Routed.through(lab, first.url())) {
            HttpClient client = routed.http()
                    .protocol(HttpProtocol.HTTP3)
                    .secure(spec -> spec.sslContext(Http3SslContextSpec.forClient()));
            assertThatThrownBy(() -> whoami(client, target.url("https", "/whoami")))
                    .hasStackTraceContaining("HTTP/3 cannot be used here");
        }
    }

    @Test
    void whileDisabledAClientComesBackAsItWas() {
        try (Routed routed =
                Routed.by(lab, ProxySettings.builder().enabled(false).build())) {
            HttpClient client = routed.plain();
            assertThat(routed.injector.customize(client, "binance")).isSameAs(client);
        }
    }
}

package io.egressproxy.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyUrl;
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
import java.net.ConnectException;
import java.net.SocketException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import reactor.netty.http.client.HttpClient;

/**
 * Leases and blame, row by row: what each kind of evidence costs the proxy, and who is next. A pool of two, whose strategy takes
 * the proxy in question whenever it may, so that the number of times it was taken is the number of failures it was allowed.
 */
@ExtendWith({ProxyLab.Extension.class, OutputCaptureExtension.class})
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("FR-3")
@Tag("no-interruption")
class BlameTableTests {
    private static final int CONNECTIONS = 6;

    private final ProxyLab lab;
    private final List<TargetServer> targets;
    private final RunningProxy good;

    BlameTableTests(ProxyLab lab) {
        this.lab = lab;
        this.targets = Stream.generate(lab::newTarget).limit(CONNECTIONS).toList();
        this.good = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5);
    }

    @AfterAll
    void close() {
        targets.forEach(TargetServer::close);
    }

    /** The pool of two, and how often its first proxy was taken. */
    private final class Pool implements AutoCloseable {
        private final AtomicInteger taken = new AtomicInteger();
        private final Routed routed;

        Pool(String suspect) {
            ProxyUrl first = ProxyUrl.parse(suspect);
            ProxySelectionStrategy firstIfItMayBe = (candidates, target) -> {
                if (candidates.proxy(0).equals(first)) {
                    taken.incrementAndGet();
                }
                return 0;
            };
            ProxyEntry one = ProxyEntry.directly();
            ProxyEntry entry = new ProxyEntry(
                    null,
                    10,
                    false,
                    null,
                    Stream.of(first, ProxyUrl.parse(good.url()))
                            .map(url -> new PoolMember(url, null, 1, true, null, null))
                            .toList(),
                    null,
                    "first",
                    2,
                    Duration.ofMillis(500),
                    OnExhausted.FAIL,
                    one.healthCheck(),
                    one.circuitBreaker());
            routed = Routed.by(
                    lab,
                    ProxySettings.builder()
                            .noProxy()
                            .defaultProxy(ConnectionType.HTTP, entry)
                            .build(),
                    name -> firstIfItMayBe);
        }

        HttpClient client() {
            return routed.http().keepAlive(false);
        }

        /** Connects to a target, through whichever proxy works. */
        void connect(TargetServer target) {
            assertThat(peerOf(target, target.host())).contains("\"" + good.egressAddress() + "\"");
        }

        @Nullable
        String peerOf(TargetServer target, String host) {
            return client().get()
                    .uri(target.url("http", host, "/whoami"))
                    .responseContent()
                    .aggregate()
                    .asString()
                    .block(Routed.PATIENCE);
        }

        void connectToOneTarget() {
            for (int i = 0; i < CONNECTIONS; i++) {
                connect(targets.get(0));
            }
        }

        void connectToDifferentTargets() {
            targets.forEach(this::connect);
        }

        /** How many connections have been led to the first proxy. */
        int taken() {
            return taken.get();
        }

        @Override
        public void close() {
            routed.close();
        }
    }

    private record Row(String scheme, Script script) {
        static Stream<Row> http(Script... scripts) {
            return Stream.of(scripts).map(script -> new Row("http", script));
        }

        static Stream<Row> socks5(Script... scripts) {
            return Stream.of(scripts).map(script -> new Row("socks5", script));
        }

        static Stream<Row> socks4(Script... scripts) {
            return Stream.of(scripts).map(script -> new Row("socks4a", script));
        }
    }

    @FunctionalInterface
    private interface Check {
        void accept(FaultyProxy proxy, Pool pool);
    }

    private Stream<DynamicTest> each(Stream<Row> rows, Check check) {
        return rows.map(row -> DynamicTest.dynamicTest(row.scheme() + " " + row.script(), () -> {
            try (FaultyProxy proxy = FaultyProxy.with(row.script());
                    Pool pool = new Pool(proxy.url(row.scheme()))) {
                check.accept(proxy, pool);
            }
        }));
    }

    @ParameterizedTest
    @ValueSource(strings = {"refused", "unknown host", "connect timeout"})
    void aProxyThatCannotBeReachedIsLeftOutAfterThreeFailures(String evidence) throws IOException {
        try (SynBlackHole hole = SynBlackHole.open()) {
            String suspect =
                    switch (evidence) {
                        case "refused" -> "socks5://127.0.0.1:" + FaultyProxy.closedPort();
                        case "unknown host" -> "socks5://no-such-proxy.invalid:1080";
                        default -> "socks5://" + hole.host() + ":" + hole.port();
                    };
            try (Pool pool = new Pool(suspect)) {
                pool.connectToOneTarget();
                assertThat(pool.taken()).isEqualTo(3);
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> aBlackHoleIsLeftOutAfterTwo() {
        Stream<Row> rows = Stream.of("http", "socks5", "socks4a").map(scheme -> new Row(scheme, Faults.blackHole()));
        return each(rows, (proxy, pool) -> {
            pool.connectToOneTarget();
            assertThat(pool.taken()).isEqualTo(2);
        });
    }

    @ParameterizedTest
    @EnumSource(
            value = ProxyKind.class,
            names = {"EXPIRED_CERTIFICATE", "WRONG_HOST_CERTIFICATE", "UNTRUSTED_CERTIFICATE"})
    void failedTlsWithTheProxyIsASecurityEventAndLeavesItOutAfterThree(ProxyKind kind, CapturedOutput output) {
        try (Pool pool = new Pool(lab.proxy(kind).url())) {
            pool.connectToOneTarget();
            assertThat(pool.taken()).isEqualTo(3);
        }
        assertThat(output)
                .containsOnlyOnce(
                        "SECURITY: TLS with the proxy " + lab.proxy(kind).url() + " failed")
                .containsPattern("SECURITY: .* has a certificate ");
    }

    @TestFactory
    Stream<DynamicTest> wrongCredentialsLeaveItOutAtOnce() {
        Stream<Row> rows = Stream.of(
                        Row.http(
                                Faults.proxyAuthenticationRequired(),
                                Faults.connectAnswer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"proxy\"")),
                        Row.socks5(
                                Faults.socks5NoMethod(),
                                Faults.socks5BadCredentials(1),
                                Faults.socks5BadCredentials(2)),
                        Row.socks4(Faults.socks4Reply(92), Faults.socks4Reply(93)))
                .flatMap(row -> row);
        return each(rows, (proxy, pool) -> {
            pool.connectToOneTarget();
            assertThat(pool.taken()).isEqualTo(1);
        });
    }

    @TestFactory
    Stream<DynamicTest> anotherProtocolLeavesItOutAtOnce() {
        Stream<Row> rows = Stream.of(
                        Row.http(
                                Faults.sshBanner(),
                                Faults.garbage("\5\0"),
                                Faults.connectAnswer("404 Not Found"),
                                Faults.connectAnswer("302 Found", "Location: /login")),
                        Row.socks5(
                                Faults.sshBanner(),
                                Faults.socks5Spoof(),
                                Faults.garbage("HTTP/1.1 400 Bad Request\r\n\r\n")))
                .flatMap(row -> row);
        return each(rows, (proxy, pool) -> {
            pool.connectToOneTarget();
            assertThat(pool.taken()).isEqualTo(1);
        });
    }

    @TestFactory
    Stream<DynamicTest> policyNeverCountsAndIsAMatterOfThisProxyAndThisTarget() {
        Stream<Row> rows = Stream.of(
                        Row.http(Faults.connectAnswer("403 Forbidden"), Faults.connectAnswer("405 Method Not Allowed")),
                        Row.socks5(Faults.socks5Reply(2), Faults.socks5Reply(7), Faults.socks5Reply(8)))
                .flatMap(row -> row);
        return each(rows, (proxy, pool) -> {
            pool.connectToDifferentTargets();
            assertThat(pool.taken()).as("each target is tried").isEqualTo(CONNECTIONS);
            pool.connectToDifferentTargets();
            assertThat(proxy.connections()).as("and not again at once").isEqualTo(CONNECTIONS);
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "date"})
    void tooManyRequestsAreNotFollowedByMoreBeforeTheTimeTheProxyNames(String retryAfter) {
        String header = "Retry-After: " + (retryAfter.equals("date") ? "Fri, 01 Jan 2100 00:00:00 GMT" : retryAfter);
        try (FaultyProxy proxy = FaultyProxy.with(Faults.connectAnswer("429 Too Many Requests", header));
                Pool pool = new Pool(proxy.url("http"))) {
            pool.connectToOneTarget();
            assertThat(proxy.connections()).isEqualTo(1);
            pool.connect(targets.get(1));
            assertThat(proxy.connections()).as("another target").isEqualTo(2);
            if (!retryAfter.equals("date")) {
                await("it is asked again").atMost(Routed.PATIENCE).until(() -> {
                    pool.connect(targets.get(0));
                    return proxy.connections() > 2;
                });
            }
        }
    }

    @TestFactory
    Stream<DynamicTest> whatMayBeTheTargetsFaultCountsOnlyFromTheThirdTargetOn() {
        Stream<Row> rows = Stream.of(
                        Row.http(
                                Faults.connectAnswer("500 Unable to connect"),
                                Faults.connectAnswer("502 Bad Gateway"),
                                Faults.connectAnswer("503 Service Unavailable"),
                                Faults.connectAnswer("504 Gateway Timeout"),
                                Faults.closeInHandshake()),
                        Stream.of(1, 3, 4, 5, 6).flatMap(reply -> Row.socks5(Faults.socks5Reply(reply))),
                        Row.socks5(Faults.closeInHandshake(), Faults.resetInHandshake()),
                        Row.socks4(Faults.socks4Reply(91)))
                .flatMap(row -> row);
        return each(rows, (proxy, pool) -> {
            pool.connectToOneTarget();
            assertThat(pool.taken()).as("one target proves nothing").isEqualTo(1);
            pool.connectToDifferentTargets();
            assertThat(pool.taken())
                    .as("the third, fourth and fifth count, and three leave it out")
                    .isEqualTo(5);
        });
    }

    @TestFactory
    Stream<DynamicTest> aTunnelThatIsLostBeforeTheTargetsFirstByteCountsAlikeAndNothingIsReplayed() {
        Stream<Row> rows = Stream.of("http", "socks5", "socks4a")
                .flatMap(scheme -> Stream.of(
                        new Row(scheme, Faults.tunnelThenCloseOnFirstByte(scheme)),
                        new Row(scheme, Faults.tunnelThenReset(scheme))));
        return each(rows, (proxy, pool) -> {
            for (int i = 0; i < 5; i++) {
                int asked = i;
                assertThatThrownBy(() -> pool.connect(targets.get(asked))).isNotNull();
                assertThat(proxy.connections()).as("nothing is sent again").isEqualTo(i + 1);
                pool.connect(targets.get(i)); // a new connection of the caller's own goes another way
            }
            pool.connect(targets.get(5));
            assertThat(pool.taken()).as("left out").isEqualTo(5);
        });
    }

    @Test
    void whatComesLaterIsTheTargetsFault() {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.working("socks5"));
                Pool pool = new Pool(proxy.url("socks5"))) {
            TargetServer target = targets.get(0);
            for (int i = 0; i < CONNECTIONS; i++) {
                Integer status = pool.client()
                        .get()
                        .uri(target.url("http", "/status/503"))
                        .responseSingle((response, body) ->
                                body.thenReturn(response.status().code()))
                        .block(Routed.PATIENCE);
                assertThat(status).isEqualTo(503);
                assertThatThrownBy(() -> pool.client()
                                .secure() // does not trust the target
                                .get()
                                .uri(target.url("https", "/whoami"))
                                .response()
                                .block(Routed.PATIENCE))
                        .hasStackTraceContaining("PKIX path");
            }
            assertThat(pool.taken()).isEqualTo(2 * CONNECTIONS);
        }
    }

    @Test
    void aConnectionThatNobodyWantsAnyMoreSaysNothing() {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.blackHole());
                Pool pool = new Pool(proxy.url("socks5"))) {
            for (int i = 0; i < CONNECTIONS; i++) {
                assertThatThrownBy(() -> pool.client()
                                .get()
                                .uri(targets.get(0).url("http", "/whoami"))
                                .response()
                                .block(Duration.ofMillis(50)))
                        .hasMessageContaining("Timeout");
            }
            assertThat(pool.taken()).isEqualTo(CONNECTIONS);
        }
    }

    @Test
    void aNameThatPlainSocks4CannotCarryGoesOnToAnotherProxyAndSaysNothingAgainstTheFirst() {
        lab.assumeProxyOnlyNames(good);
        RunningProxy socks4 = lab.proxy(ProxyKind.DANTE_SOCKS4);
        try (Pool pool = new Pool(socks4.url())) {
            for (TargetServer target : targets) {
                assertThat(pool.peerOf(target, ProxyLab.PROXY_ONLY_NAME)).contains(good.egressAddress());
            }
            assertThat(pool.taken()).isEqualTo(CONNECTIONS);
            pool.peerOf(targets.get(0), ProxyLab.PROXY_ONLY_NAME);
            assertThat(pool.taken())
                    .as("the same target, for which another is preferred")
                    .isEqualTo(CONNECTIONS);
            assertThat(pool.peerOf(targets.get(0), targets.get(0).host())).contains(socks4.egressAddress());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"Network is unreachable", "Too many open files", "Cannot assign requested address"})
    void whatThisMachineLacksIsNotTheProxysFault(String message) {
        Throwable cause = message.startsWith("Too") ? new SocketException(message) : new ConnectException(message);
        ProxyFault fault = FaultClassifier.tcp(cause);
        assertThat(fault.blame()).isEqualTo(Blame.LOCAL);
        assertThat(fault.stage())
                .isEqualTo(message.startsWith("Network") ? ConnectionStage.TCP : ConnectionStage.SELECT);
    }
}

package io.egressproxy.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.settings.DirectFallback;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.testkit.Credentials;
import io.egressproxy.testkit.Faults;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.Script;
import io.egressproxy.testkit.SynBlackHole;
import io.egressproxy.testkit.TargetServer;
import java.io.IOException;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;

/** What fails on the way through a proxy is said as it is, and never ends in a direct connection. */
@ExtendWith(ProxyLab.Extension.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("no-leak")
class ProxyFaultTests {
    private static final Credentials CREDENTIALS = new Credentials("feed", "p@ss-C4NARY-faults");

    private final ProxyLab lab;
    private final TargetServer target;

    ProxyFaultTests(ProxyLab lab) {
        this.lab = lab;
        this.target = lab.newTarget();
    }

    @BeforeEach
    void nothingSeenYet() {
        target.clear();
    }

    @AfterAll
    void closeTarget() {
        target.close();
    }

    private record Case(String scheme, Script script, ConnectionStage stage, Blame blame, String text) {}

    private static Case http(Script script, Blame blame, String text) {
        return new Case("http", script, ConnectionStage.HANDSHAKE, blame, text);
    }

    private static Case socks5(Script script, Blame blame, String text) {
        return new Case("socks5", script, ConnectionStage.HANDSHAKE, blame, text);
    }

    private static Case socks4(int reply, Blame blame, String text) {
        return new Case("socks4a", Faults.socks4Reply(reply), ConnectionStage.HANDSHAKE, blame, text);
    }

    private static Stream<Case> cases() {
        Stream<Case> connect = Stream.of(
                http(Faults.proxyAuthenticationRequired(), Blame.CREDENTIALS, "refused CONNECT with 407"),
                http(Faults.connectAnswer("401 Unauthorized"), Blame.CREDENTIALS, "refused CONNECT with 401"),
                http(Faults.connectAnswer("403 Forbidden"), Blame.POLICY, "the proxy forbids this host or port"),
                http(Faults.connectAnswer("405 Method Not Allowed"), Blame.POLICY, "the proxy forbids"),
                http(Faults.connectAnswer("429 Too Many", "Retry-After: 7"), Blame.POLICY, "with 429 for 7 s"),
                http(Faults.connectAnswer("500 Oops"), Blame.AMBIGUOUS, "check that the target is up"),
                http(Faults.connectAnswer("502 Bad Gateway"), Blame.AMBIGUOUS, "refused CONNECT with 502"),
                http(Faults.connectAnswer("503 Unavailable"), Blame.AMBIGUOUS, "refused CONNECT with 503"),
                http(Faults.connectAnswer("504 Timeout"), Blame.AMBIGUOUS, "refused CONNECT with 504"),
                http(Faults.connectAnswer("302 Found", "Location: /login"), Blame.CONFIGURATION, "a web server"),
                http(Faults.connectAnswer("404 Not Found"), Blame.CONFIGURATION, "a web server"),
                http(Faults.connectAnswerWithBody("403 Forbidden", "<html>no</html>"), Blame.POLICY, "with 403"),
                http(Faults.sshBanner(), Blame.CONFIGURATION, "not an HTTP proxy's answer"),
                http(Faults.garbage("\5\0"), Blame.CONFIGURATION, "not an HTTP proxy's answer"),
                http(Faults.garbage("HELLO, who are you?\r\n\r\n"), Blame.CONFIGURATION, "not an HTTP proxy's answer"));
        Stream<Case> socks = Stream.of(
                socks5(Faults.socks5NoMethod(), Blame.CREDENTIALS, "accepts no authentication that its URL offers"),
                socks5(Faults.socks5BadCredentials(1), Blame.CREDENTIALS, "check the user name and password"),
                socks5(Faults.socks5BadCredentials(2), Blame.CREDENTIALS, "rejected the user name or password"),
                socks5(Faults.socks5Reply(1), Blame.AMBIGUOUS, "(SOCKS 1)"),
                socks5(Faults.socks5Reply(2), Blame.POLICY, "refused this target by its rules"),
                socks5(Faults.socks5Reply(3), Blame.AMBIGUOUS, "(SOCKS 3)"),
                socks5(Faults.socks5Reply(4), Blame.AMBIGUOUS, "(SOCKS 4)"),
                socks5(Faults.socks5Reply(5), Blame.AMBIGUOUS, "was refused the connection by the target"),
                socks5(Faults.socks5Reply(6), Blame.AMBIGUOUS, "(SOCKS 6)"),
                socks5(Faults.socks5Reply(7), Blame.POLICY, "(SOCKS 7)"),
                socks5(Faults.socks5Reply(8), Blame.POLICY, "(SOCKS 8)"),
                socks5(Faults.socks5Reply(9), Blame.AMBIGUOUS, "(SOCKS 9)"),
                socks5(Faults.sshBanner(), Blame.CONFIGURATION, "not SOCKS 5"),
                socks5(Faults.garbage("HTTP/1.1 400 Bad Request\r\n\r\n"), Blame.CONFIGURATION, "check the scheme"),
                socks5(Faults.socks5Spoof(), Blame.CONFIGURATION, "not SOCKS 5"),
                socks4(91, Blame.AMBIGUOUS, "(SOCKS 91)"),
                socks4(92, Blame.CREDENTIALS, "(SOCKS 92)"),
                socks4(93, Blame.CREDENTIALS, "(SOCKS 93)"));
        return Stream.concat(connect, socks);
    }

    @TestFactory
    Stream<DynamicTest> aRefusalIsNamedWithItsStageItsBlameAndAnAdvice() {
        return cases().flatMap(fault -> Stream.of("http", "https", "ws", "wss")
                .map(scheme -> DynamicTest.dynamicTest(
                        fault.scheme() + " proxy, " + fault.script() + ", " + scheme, () -> refused(fault, scheme))));
    }

    private void refused(Case fault, String targetScheme) {
        target.clear();
        boolean credentials = !fault.scheme().startsWith("socks4");
        try (FaultyProxy proxy = FaultyProxy.with(fault.script());
                Routed routed = Routed.through(
                        lab, credentials ? proxy.url(fault.scheme(), CREDENTIALS) : proxy.url(fault.scheme()))) {
            ProxyConnectionException failure = failure(routed, targetScheme);

            ProxyConnectionException.Attempt attempt = failure.attempts().get(0);
            assertThat(attempt.stage()).isEqualTo(fault.stage());
            assertThat(attempt.blame()).isEqualTo(fault.blame());
            assertThat(failure)
                    .hasMessageContaining(fault.text())
                    .hasMessageContaining(
                            "exchange 'binance' " + (targetScheme.startsWith("ws") ? "websocket" : "http"))
                    .hasMessageContaining(
                            fault.scheme() + "://" + (credentials ? "***@" : "") + "127.0.0.1:" + proxy.port())
                    .hasMessageContaining("a retry is safe");
            assertThat(proxy.connections()).as("one proxy, one attempt").isEqualTo(1);
        }
        assertThat(target.seen()).as("nobody connects directly instead").isEmpty();
    }

    @TestFactory
    Stream<DynamicTest> aConnectionCutDuringTheHandshakeIsAnAmbiguousFault() {
        return Faults.connectionFaults().stream().flatMap(script -> Stream.of("http", "socks4a", "socks5")
                .map(scheme -> DynamicTest.dynamicTest(scheme + " proxy, " + script, () -> {
                    target.clear();
                    try (FaultyProxy proxy = FaultyProxy.with(script);
                            Routed routed = Routed.through(lab, proxy.url(scheme))) {
                        ProxyConnectionException failure = failure(routed, "https");
                        assertThat(failure.attempts()).singleElement().satisfies(attempt -> assertThat(attempt.blame())
                                .isIn(Blame.AMBIGUOUS, Blame.PROXY)); // a reset at accept may come before or after it
                    }
                    assertThat(target.seen()).isEmpty();
                })));
    }

    @Test
    void bytesThatAProxySendsBeforeTheTunnelStandsNeverPassForTheTargetsAnswer() {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.socks5Spoof());
                Routed routed = Routed.through(lab, proxy.url("socks5"))) {
            assertThat(failure(routed, "http")).hasMessageContaining("not SOCKS 5");
        }
    }

    @Test
    void aClosedPortIsTheProxysFault() {
        try (Routed routed = Routed.through(lab, "http://127.0.0.1:" + FaultyProxy.closedPort())) {
            ProxyConnectionException failure = failure(routed, "https");
            assertFault(failure, ConnectionStage.TCP, Blame.PROXY, "refused the connection");
            assertThat(failure)
                    .rootCause()
                    .isNotInstanceOf(ProxyConnectionException.class)
                    .hasMessageContaining("refused");
        }
    }

    @Test
    void aProxyWhoseNameIsUnknownIsTheProxysFault() {
        try (Routed routed = Routed.through(lab, "socks5://no-such-proxy.invalid:1080")) {
            assertFault(failure(routed, "https"), ConnectionStage.TCP, Blame.PROXY, "does not resolve");
        }
    }

    @Test
    void timeoutSecondsCoversTheTcpConnection() throws IOException {
        try (SynBlackHole hole = SynBlackHole.open();
                Routed routed = Routed.through(lab, "http://" + hole.host() + ":" + hole.port(), 1)) {
            assertFault(failure(routed, "https"), ConnectionStage.TCP, Blame.PROXY, "in time");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"http", "socks4a", "socks5"})
    void timeoutSecondsCoversTheHandshakeAndABlackHoleIsTheProxysFault(String scheme) {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.blackHole());
                Routed routed = Routed.through(lab, proxy.url(scheme), 1)) {
            assertFault(failure(routed, "https"), ConnectionStage.HANDSHAKE, Blame.PROXY, "did not answer in time");
        }
    }

    @Test
    void timeoutSecondsCoversTlsWithTheProxy() {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.blackHole());
                Routed routed = Routed.through(lab, proxy.url("https"), 1)) {
            assertFault(failure(routed, "https"), ConnectionStage.TLS, Blame.PROXY, "did not finish TLS in time");
        }
    }

    @Test
    void aProxyThatStopsHalfWayThroughTheHandshakeIsAnAmbiguousFault() {
        Script half =
                Script.named("greets, then is silent").agreeOnSocks5Method().readSocks5Request();
        try (FaultyProxy proxy = FaultyProxy.with(half);
                Routed routed = Routed.through(lab, proxy.url("socks5"), 1)) {
            assertFault(
                    failure(routed, "https"),
                    ConnectionStage.HANDSHAKE,
                    Blame.AMBIGUOUS,
                    "did not finish the handshake");
        }
    }

    @Test
    void aFrozenRealProxyIsABlackHole() {
        RunningProxy proxy = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS);
        proxy.start();
        proxy.freeze();
        try (Routed routed = Routed.through(lab, proxy.url(), 1)) {
            assertFault(failure(routed, "https"), ConnectionStage.HANDSHAKE, Blame.PROXY, "did not answer in time");
        }
    }

    @Test
    void aPlainProxyAddressedWithTlsIsSaidToBeOne() {
        RunningProxy proxy = lab.proxy(ProxyKind.SQUID_HTTP);
        try (Routed routed = Routed.through(lab, proxy.url().replace("http://", "https://"), 5)) {
            ProxyConnectionException failure = failure(routed, "https");
            assertThat(failure.attempts().get(0).stage()).isEqualTo(ConnectionStage.TLS);
            assertThat(failure).hasMessageContaining("write http:// if the proxy is a plain one");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"EXPIRED_CERTIFICATE", "WRONG_HOST_CERTIFICATE", "UNTRUSTED_CERTIFICATE"})
    void aProxyWithABadCertificateIsRefused(String kind) {
        String text =
                switch (kind) {
                    case "EXPIRED_CERTIFICATE" -> "not valid today";
                    case "WRONG_HOST_CERTIFICATE" -> "for another host name";
                    default -> "not trusted";
                };
        try (Routed routed =
                Routed.through(lab, lab.proxy(ProxyKind.valueOf(kind)).url())) {
            assertFault(failure(routed, "https"), ConnectionStage.TLS, Blame.PROXY, text);
        }
        assertThat(target.seen()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "MICROSOCKS_SOCKS5_CREDENTIALS",
                "DANTE_SOCKS5_CREDENTIALS",
                "TINYPROXY_HTTP_CREDENTIALS",
                "SQUID_HTTP_CREDENTIALS",
                "SQUID_HTTPS_CREDENTIALS"
            })
    void aWrongPasswordIsSaidToBeOneAndNotShown(String kind) {
        RunningProxy proxy = lab.proxy(ProxyKind.valueOf(kind));
        proxy.start();
        String url = proxy.scheme() + "://feed:wrong-C4NARY@" + proxy.host() + ":" + proxy.port();
        try (Routed routed = Routed.through(lab, url)) {
            assertFault(failure(routed, "https"), ConnectionStage.HANDSHAKE, Blame.CREDENTIALS, "check the user name");
        }
    }

    @Test
    void aProxyThatForbidsThePortIsSaidToForbidIt() {
        try (Routed routed =
                Routed.through(lab, lab.proxy(ProxyKind.SQUID_STOCK_RULE).url())) {
            assertFault(failure(routed, "ws"), ConnectionStage.HANDSHAKE, Blame.POLICY, "SSL_ports");
        }
    }

    @Test
    void nothingOfTheRequestIsSentOrSubscribedBeforeTheTunnelStands() {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.connectAnswer("502 Bad Gateway"));
                Routed routed = Routed.through(lab, proxy.url("http"))) {
            boolean[] subscribed = {false};
            Throwable failure = catchThrowable(() -> routed.http()
                    .post()
                    .uri(target.url("http", "/echo"))
                    .send(ByteBufFlux.fromString(Mono.fromSupplier(() -> {
                        subscribed[0] = true;
                        return "an order";
                    })))
                    .response()
                    .block(Routed.PATIENCE));
            assertThat(own(failure)).isNotNull();
            assertThat(subscribed[0]).isFalse();
            assertThat(proxy.receivedText()).singleElement().asString().doesNotContain("POST", "an order");
        }
    }

    @Test
    void withDirectFallbackAlwaysADeadProxyGivesWayToADirectConnection() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .directFallback(DirectFallback.ALWAYS)
                .defaultProxy(ConnectionType.HTTP, "http://127.0.0.1:" + FaultyProxy.closedPort())
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            routed.http().get().uri(target.url("https", "/whoami")).response().block(Routed.PATIENCE);
        }
        assertThat(target.directConnections()).hasSize(1);
    }

    @Test
    void withDirectFallbackAlwaysARequiredProxyIsStillRequired() {
        ProxySettings settings = ProxySettings.builder()
                .noProxy()
                .directFallback(DirectFallback.ALWAYS)
                .exchange(Routed.EXCHANGE, exchange -> exchange.requireProxy()
                        .proxy(ConnectionType.HTTP, "http://127.0.0.1:" + FaultyProxy.closedPort()))
                .build();
        try (Routed routed = Routed.by(lab, settings)) {
            assertThat(failure(routed, "https")).hasMessageContaining("refused the connection");
        }
        assertThat(target.seen()).isEmpty();
    }

    private void assertFault(ProxyConnectionException failure, ConnectionStage stage, Blame blame, String text) {
        assertThat(failure.attempts()).singleElement().satisfies(attempt -> {
            assertThat(attempt.stage()).isEqualTo(stage);
            assertThat(attempt.blame()).isEqualTo(blame);
        });
        assertThat(failure).hasMessageContaining(text);
        for (String secret : lab.secrets()) {
            assertThat(failure.toString()).doesNotContain(secret);
        }
        assertThat(failure.toString()).doesNotContain("C4NARY");
    }

    private ProxyConnectionException failure(Routed routed, String scheme) {
        Throwable thrown = catchThrowable(() -> {
            if (scheme.startsWith("ws")) {
                routed.websocket()
                        .websocket()
                        .uri(target.url(scheme, "/ws"))
                        .receive()
                        .asString()
                        .blockFirst(Routed.PATIENCE);
            } else {
                routed.http()
                        .get()
                        .uri(target.url(scheme, "/whoami"))
                        .responseContent()
                        .aggregate()
                        .asString()
                        .block(Routed.PATIENCE);
            }
        });
        return Objects.requireNonNull(own(thrown), () -> "not ours: " + thrown);
    }

    private static @Nullable ProxyConnectionException own(Throwable thrown) {
        return Stream.iterate(thrown, Objects::nonNull, Throwable::getCause)
                .filter(ProxyConnectionException.class::isInstance)
                .map(ProxyConnectionException.class::cast)
                .findFirst()
                .orElse(null);
    }
}

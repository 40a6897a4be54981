package io.egressproxy.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyUrl;
import io.egressproxy.testkit.Credentials;
import io.egressproxy.testkit.Faults;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.Script;
import io.egressproxy.testkit.TargetServer;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import reactor.netty.http.HttpResources;

@ExtendWith(ProxyLab.Extension.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("TR-3")
class NettyHealthChecksTests {
    private static final Duration TIMEOUT = Duration.ofSeconds(3);

    private final ProxyLab lab;
    private final TargetServer target;
    private final NettyHealthChecks checks;
    private final Map<String, HealthCheck> byMethod;

    NettyHealthChecksTests(ProxyLab lab) {
        this.lab = lab;
        this.target = lab.newTarget();
        this.checks = new NettyHealthChecks(bundle -> lab.certificates().nettyClientContext(), HttpResources.get());
        this.byMethod = checks.byMethod();
    }

    @AfterAll
    void close() {
        checks.close();
        target.close();
    }

    private void check(String method, String proxy, @Nullable String url) {
        Objects.requireNonNull(byMethod.get(method))
                .check(new HealthCheck.Request(ProxyUrl.parse(proxy), null, url, "200-299,301", TIMEOUT))
                .timeout(TIMEOUT)
                .block(Routed.PATIENCE);
    }

    @TestFactory
    Stream<DynamicTest> everyWorkingProxyPassesEveryCheckWithoutAThirdParty() {
        return lab.allKinds().stream().flatMap(proxy -> Stream.of("tcp", "handshake", "ping")
                .map(method -> DynamicTest.dynamicTest(proxy.name() + " " + method, () -> {
                    target.clear();
                    assertThatCode(() -> check(method, proxy.url(), null)).doesNotThrowAnyException();
                    assertThat(target.seen()).isEmpty();
                })));
    }

    @TestFactory
    Stream<DynamicTest> everyWorkingProxyFetchesAUrl() {
        return lab.allKinds().stream()
                .map(proxy -> DynamicTest.dynamicTest(proxy.name(), () -> {
                    target.clear();
                    check("http", proxy.url(), target.url("http", "/whoami"));
                    assertThat(target.connectionsFrom(proxy)).hasSize(1);
                    assertThatThrownBy(() -> check("http", proxy.url(), target.url("http", "/status/503")))
                            .hasRootCauseMessage("status 503");
                    assertThat(target.directConnections()).isEmpty();
                }));
    }

    @TestFactory
    Stream<DynamicTest> aHandshakeTakesAnyAnswerOfTheProtocolForLife() {
        return Stream.concat(
                        Stream.of(
                                Map.entry("http", Faults.connectAnswer("403 Forbidden")),
                                Map.entry("http", Faults.connectAnswer("502 Bad Gateway")),
                                Map.entry("http", Faults.connectAnswer("400 Bad Request")),
                                Map.entry("http", Faults.connectAnswer("402 Payment Required")),
                                Map.entry("http", Faults.connectAnswer("404 Not Found")),
                                Map.entry("http", Faults.connectAnswer("501 Not Implemented")),
                                Map.entry("http", Faults.connectAnswer("520 Unknown")),
                                Map.entry(
                                        "socks5",
                                        Script.named("drops its own machine as a target")
                                                .agreeOnSocks5Method()
                                                .readSocks5Request()),
                                Map.entry(
                                        "socks5",
                                        Script.named("closes at its own machine as a target")
                                                .agreeOnSocks5Method()
                                                .readSocks5Request()
                                                .close()),
                                Map.entry("socks4a", Faults.socks4Reply(91))),
                        Stream.of(1, 2, 3, 4, 5).map(reply -> Map.entry("socks5", Faults.socks5Reply(reply))))
                .map(alive -> DynamicTest.dynamicTest(alive.getKey() + " " + alive.getValue(), () -> {
                    try (FaultyProxy proxy = FaultyProxy.with(alive.getValue())) {
                        assertThatCode(() -> check("handshake", proxy.url(alive.getKey()), null))
                                .doesNotThrowAnyException();
                    }
                }));
    }

    @TestFactory
    Stream<DynamicTest> aHandshakeFindsWhatAPlainConnectionDoesNot() {
        Stream<Map.Entry<String, Script>> faults = Stream.of(
                Map.entry("http", Faults.proxyAuthenticationRequired()),
                Map.entry("http", Faults.connectAnswer("302 Found", "Location: /login")),
                Map.entry("http", Faults.sshBanner()),
                Map.entry("http", Faults.blackHole()),
                Map.entry("socks5", Faults.socks5BadCredentials(1)),
                Map.entry("socks5", Faults.socks5NoMethod()),
                Map.entry("socks5", Faults.socks5Spoof()),
                Map.entry("socks5", Faults.closeInHandshake()),
                Map.entry("socks4a", Faults.socks4Reply(93)));
        return faults.map(fault -> DynamicTest.dynamicTest(fault.getKey() + " " + fault.getValue(), () -> {
            try (FaultyProxy proxy = FaultyProxy.with(fault.getValue())) {
                String url = fault.getKey().startsWith("socks4")
                        ? proxy.url(fault.getKey())
                        : proxy.url(fault.getKey(), new Credentials("feed", "C4NARY-check"));
                assertThatCode(() -> check("tcp", url, null)).doesNotThrowAnyException();
                assertThatThrownBy(() -> check("handshake", url, null))
                        .satisfies(failure -> assertThat(failure.toString()).doesNotContain("C4NARY"));
            }
        }));
    }

    @Test
    void aDeadPortFailsEveryCheckButPing() {
        String url = "http://127.0.0.1:" + FaultyProxy.closedPort();
        assertThatThrownBy(() -> check("tcp", url, null)).isNotNull();
        assertThatThrownBy(() -> check("handshake", url, null)).isNotNull();
        assertThatThrownBy(() -> check("http", url, target.url("http", "/whoami")))
                .isNotNull();
        assertThatCode(() -> check("ping", url, null)).doesNotThrowAnyException();
    }

    @Test
    void aFrozenProxyFailsTheHandshakeAtItsDeadline() {
        RunningProxy proxy = lab.proxy(ProxyKind.SQUID_HTTP);
        proxy.start();
        proxy.freeze();
        assertThatCode(() -> check("tcp", proxy.url(), null)).doesNotThrowAnyException();
        assertThatThrownBy(() -> check("handshake", proxy.url(), null)).isNotNull();
    }
}

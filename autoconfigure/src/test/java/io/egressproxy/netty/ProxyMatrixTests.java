package io.egressproxy.netty;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.client.HttpClient;

/** Every kind of proxy, with and without credentials, by every kind of target: the target must see the proxy, only. */
@ExtendWith(ProxyLab.Extension.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("FR-1")
@Tag("FR-2")
@Tag("FR-5")
@Tag("smoke")
class ProxyMatrixTests {
    private static final Logger log = LoggerFactory.getLogger(ProxyMatrixTests.class);

    /** How a target is spoken to. */
    private enum TargetKind {
        HTTP("http"),
        HTTPS("https"),
        H2("https"),
        H2C("http"),
        WS("ws"),
        WSS("wss"),
        POST("https");

        final String scheme;

        TargetKind(String scheme) {
            this.scheme = scheme;
        }
    }

    private final ProxyLab lab;
    private final TargetServer target;
    private final AtomicInteger passed = new AtomicInteger();
    private int cases;

    ProxyMatrixTests(ProxyLab lab) {
        this.lab = lab;
        this.target = lab.newTarget();
    }

    @BeforeAll
    void nothingSeenYet() {
        target.clear();
    }

    @AfterAll
    void report() {
        target.close();
        log.info("proxy matrix: {} of {} cases passed", passed, cases);
    }

    @TestFactory
    Stream<DynamicTest> aTargetAddressIsReachedFromTheProxyOnly() {
        return lab.allKinds().stream()
                .flatMap(proxy -> Stream.of(TargetKind.values()).map(kind -> matrixCase(proxy, kind, target.host())));
    }

    @TestFactory
    Stream<DynamicTest> aNameThatOnlyTheProxyKnowsIsLeftToTheProxy() {
        return lab.allKinds("http", "https", "socks4a", "socks5").stream()
                .flatMap(proxy ->
                        Stream.of(TargetKind.values()).map(kind -> matrixCase(proxy, kind, ProxyLab.PROXY_ONLY_NAME)));
    }

    @TestFactory
    Stream<DynamicTest> plainSocks4ResolvesTheNameHereSinceItCannotCarryIt() {
        return lab.allKinds("socks4").stream()
                .flatMap(proxy -> Stream.of(TargetKind.values()).map(kind -> matrixCase(proxy, kind, "localhost")));
    }

    private DynamicTest matrixCase(RunningProxy proxy, TargetKind kind, String host) {
        cases++;
        return DynamicTest.dynamicTest(proxy.name() + ", " + kind + ", " + host, () -> {
            if (host.equals(ProxyLab.PROXY_ONLY_NAME)) {
                lab.assumeProxyOnlyNames(proxy);
            }
            target.clear();
            try (Routed routed = Routed.through(lab, proxy.url())) {
                assertThat(peer(routed, kind, host)).contains(proxy.egressAddress());
            }
            assertThat(target.connectionsFrom(proxy)).isNotEmpty();
            assertThat(target.directConnections()).isEmpty();
            assertThat(target.requests()).isNotEmpty().allSatisfy(request -> assertThat(
                            request.headers().toString())
                    .doesNotContainIgnoringCase("proxy-authorization")
                    .doesNotContain("C4NARY"));
            passed.incrementAndGet();
        });
    }

    private String peer(Routed routed, TargetKind kind, String host) {
        String scheme = kind.scheme;
        return switch (kind) {
            case HTTP, HTTPS -> get(routed.http(), target.url(scheme, host, "/whoami"));
            case H2 -> get(routed.http(HttpProtocol.H2), target.url(scheme, host, "/whoami"));
            case H2C -> get(routed.http(HttpProtocol.H2C), target.url(scheme, host, "/whoami"));
            case WS, WSS ->
                Objects.requireNonNull(
                        routed.websocket()
                                .websocket()
                                .uri(target.url(scheme, host, "/ws"))
                                .receive()
                                .asString()
                                .blockFirst(Routed.PATIENCE),
                        "no frame");
            case POST -> {
                String echo = post(routed.http(), target.url(scheme, host, "/echo"));
                assertThat(echo).contains("an order");
                yield target.connectionsFrom(lab.allKinds().stream()
                                .filter(proxy -> !target.connectionsFrom(proxy).isEmpty())
                                .findFirst()
                                .orElseThrow())
                        .get(0)
                        .peerAddress();
            }
        };
    }

    private static String get(HttpClient client, String url) {
        return Objects.requireNonNull(
                client.get().uri(url).responseContent().aggregate().asString().block(Routed.PATIENCE), "no answer");
    }

    private static String post(HttpClient client, String url) {
        return Objects.requireNonNull(
                client.post()
                        .uri(url)
                        .send(ByteBufFlux.fromString(Mono.just("an order")))
                        .responseContent()
                        .aggregate()
                        .asString()
                        .block(Routed.PATIENCE),
                "no answer");
    }
}

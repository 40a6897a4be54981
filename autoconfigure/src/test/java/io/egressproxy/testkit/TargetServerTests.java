package io.egressproxy.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Flux;
import reactor.netty.ByteBufFlux;
import reactor.netty.http.Http2SslContextSpec;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.tcp.SslProvider;

class TargetServerTests {

    private static final Duration TIMEOUT = Duration.ofSeconds(5);

    private static TestCertificates certificates;

    private TargetServer target;

    @BeforeAll
    static void makeCertificates(@TempDir Path directory) {
        certificates = TestCertificates.create(directory);
    }

    @BeforeEach
    void start() {
        target = TargetServer.start(certificates, Set.of("127.77.1.1"));
    }

    @AfterEach
    void stop() {
        target.close();
    }

    @Test
    void tellsTheCallersAddressAndHeaders() {
        String body = get(HttpClient.create().headers(headers -> headers.add("X-Test", "a\"b")), "http", "/whoami");

        assertThat(body).startsWith("{\"peer\":\"127.0.0.1\",\"port\":").contains("\"x-test\":\"a\\u0022b\"");
    }

    @Test
    void speaksHttp2OverTlsAndByPriorKnowledge() {
        HttpClient h2 = HttpClient.create().protocol(HttpProtocol.H2).secure(spec -> spec.sslContext(trusting()));
        HttpClient h2c = HttpClient.create().protocol(HttpProtocol.H2C);

        assertThat(get(h2, "https", "/whoami")).contains("\"protocol\":\"HTTP/2.0\"");
        assertThat(get(h2c, "http", "/whoami")).contains("\"protocol\":\"HTTP/2.0\"");
        assertThat(target.seen()).hasSize(2).allSatisfy(seen -> assertThat(seen.requests())
                .singleElement()
                .extracting(Seen.Request::line)
                .isEqualTo("GET /whoami HTTP/2.0"));
    }

    @Test
    void echoesBodies() {
        String body = HttpClient.create()
                .post()
                .uri(target.url("http", "/echo"))
                .send(ByteBufFlux.fromString(Flux.just("ping")))
                .responseContent()
                .aggregate()
                .asString()
                .block(TIMEOUT);

        assertThat(body).isEqualTo("ping");
    }

    @Test
    void answersAnyStatusAndStreams() {
        Integer status = HttpClient.create()
                .get()
                .uri(target.url("http", "/status/407"))
                .response()
                .map(response -> response.status().code())
                .block(TIMEOUT);

        assertThat(status).isEqualTo(407);
        assertThat(get(HttpClient.create(), "http", "/stream-ticks?count=3")).isEqualTo("tick 1\ntick 2\ntick 3\n");
    }

    @Test
    void sendsTheCallersAddressOverWebSocketAndThenEchoes() {
        HttpClient secure = HttpClient.create().secure(spec -> spec.sslContext(certificates.nettyClientContext()));

        assertThat(frames(HttpClient.create(), "ws")).containsExactly("127.0.0.1", "ping", "pong");
        assertThat(frames(secure, "wss")).containsExactly("127.0.0.1", "ping", "pong");
    }

    @Test
    void seesConnectionsThatSendNothing() throws IOException {
        try (Socket plain = new Socket(target.host(), target.port());
                Socket tls = new Socket(target.host(), target.tlsPort())) {
            await().atMost(TIMEOUT)
                    .untilAsserted(() -> assertThat(target.seen()).hasSize(2).allMatch(seen -> seen.requests()
                            .isEmpty()));
            assertThat(plain.isConnected() && tls.isConnected()).isTrue();
        }
        assertThat(target.directConnections()).hasSize(2);
        await().atMost(TIMEOUT)
                .untilAsserted(() -> assertThat(target.openConnections()).isEmpty());
    }

    @Test
    void takesConnectionsFromAnEgressAddressForThoseOfAProxy() {
        HttpClient client = HttpClient.create().bindAddress(() -> new InetSocketAddress("127.77.1.1", 0));

        assertThat(get(client, "http", "/whoami")).contains("\"peer\":\"127.77.1.1\"");

        assertThat(target.seen()).hasSize(1);
        assertThat(target.directConnections()).isEmpty();
        target.clear();
        assertThat(target.seen()).isEmpty();
    }

    @Test
    void seesAnOpenConnectionAgainWithItsNextRequest() {
        HttpClient client = HttpClient.create(ConnectionProvider.create("one", 1));
        get(client, "http", "/whoami");
        target.clear();
        assertThat(target.seen()).isEmpty();

        get(client, "http", "/stream-ticks");

        assertThat(target.seen()).singleElement().satisfies(seen -> assertThat(seen.requests())
                .extracting(Seen.Request::uri)
                .containsExactly("/stream-ticks"));
        assertThat(target.openConnections()).hasSize(1);
    }

    @Test
    void startsAgainOnTheSamePorts() {
        HttpClient client = HttpClient.newConnection();
        get(client, "http", "/whoami");

        target.stop();
        assertThat(LoopbackPorts.accepts(target.port())).isFalse();
        target.start();

        assertThat(get(client, "http", "/whoami")).contains("127.0.0.1");
        assertThat(target.requests()).hasSize(2);
    }

    private @Nullable String get(HttpClient client, String scheme, String path) {
        return client.get()
                .uri(target.url(scheme, path))
                .responseContent()
                .aggregate()
                .asString()
                .block(TIMEOUT);
    }

    private @Nullable List<String> frames(HttpClient client, String scheme) {
        return client.websocket()
                .uri(target.url(scheme, "/ws"))
                .handle((in, out) -> out.sendString(Flux.just("ping", "pong"))
                        .then()
                        .thenMany(in.receive().asString().take(3)))
                .collectList()
                .block(TIMEOUT);
    }

    private static SslProvider.GenericSslContextSpec<?> trusting() {
        return Http2SslContextSpec.forClient().configure(builder -> builder.trustManager(certificates.authority()));
    }
}

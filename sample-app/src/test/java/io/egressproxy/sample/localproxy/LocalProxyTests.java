package io.egressproxy.sample.localproxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Mono;
import reactor.netty.Connection;
import reactor.netty.DisposableServer;
import reactor.netty.resources.LoopResources;
import reactor.netty.tcp.TcpClient;
import reactor.netty.tcp.TcpServer;
import reactor.netty.transport.ProxyProvider;

/**
 * The local proxies on their own. Reactor Netty's own proxy support is the client for small things; everything else goes
 * over plain sockets, since Netty's client loses its way when much is written before its tunnel stands.
 */
@Timeout(60)
class LocalProxyTests {

    private static final Duration LIMIT = Duration.ofSeconds(20);
    private static final Credentials CREDENTIALS = new Credentials("feed", "s3cret@sample");
    private static final int CHUNK = 16 * 1024;
    // Socket buffers of four sockets, as large as Linux lets them grow, and little more.
    private static final long MAX_HELD = 64 * 1024 * 1024;
    private static final int TRANSFER = 8 * 1024 * 1024;

    private final OutgoingPorts outgoingPorts = new OutgoingPorts();
    private final ConcurrentLinkedQueue<String> seenFrom = new ConcurrentLinkedQueue<>();
    private LoopResources loops;
    private LocalProxy socks5;
    private LocalProxy http;
    private DisposableServer echo;

    enum Kind {
        SOCKS5,
        HTTP
    }

    @BeforeEach
    void start() {
        loops = LoopResources.create("local-proxy-test", 2, true);
        socks5 = LocalProxy.socks5("socks5-local", 0, CREDENTIALS, loops, outgoingPorts);
        http = LocalProxy.http("http-local", 0, loops, outgoingPorts);
        socks5.start();
        http.start();
        echo = TcpServer.create()
                .host("127.0.0.1")
                .port(0)
                .handle((in, out) ->
                        out.send(in.receive().retain().doOnNext(bytes -> in.withConnection(this::remember))))
                .bindNow();
    }

    @AfterEach
    void stop() {
        socks5.stop();
        http.stop();
        echo.disposeNow();
        loops.disposeLater(Duration.ZERO, Duration.ofSeconds(5)).block(LIMIT);
    }

    private void remember(Connection connection) {
        seenFrom.add(
                outgoingPorts.describe((InetSocketAddress) connection.channel().remoteAddress()));
    }

    private LocalProxy proxy(Kind kind) {
        return kind == Kind.SOCKS5 ? socks5 : http;
    }

    private TcpClient client(Kind kind, String password, String host, int port) {
        int proxyPort = proxy(kind).port();
        return TcpClient.newConnection().host(host).port(port).proxy(spec -> spec.type(
                        kind == Kind.SOCKS5 ? ProxyProvider.Proxy.SOCKS5 : ProxyProvider.Proxy.HTTP)
                .host("127.0.0.1")
                .port(proxyPort)
                .username(CREDENTIALS.username())
                .password(user -> password));
    }

    private TcpClient client(Kind kind, String host, int port) {
        return client(kind, CREDENTIALS.password(), host, port);
    }

    /** Netty reports the connection before the tunnel stands, so a word has to make the round trip. */
    private static String roundTrip(TcpClient client) {
        Connection connection = client.connectNow(LIMIT);
        try {
            return connection
                    .outbound()
                    .sendString(Mono.just("hello"))
                    .then()
                    .thenMany(connection.inbound().receive().asString())
                    .blockFirst(LIMIT);
        } finally {
            connection.disposeNow();
        }
    }

    @ParameterizedTest
    @EnumSource
    void carriesAConnectionToANameThatOnlyItKnows(Kind kind) {
        assertThat(roundTrip(client(kind, "only-the-proxy-knows.test", echo.port())))
                .isEqualTo("hello");
        assertThat(seenFrom).containsExactly("proxy \"" + proxy(kind).name() + "\"");
    }

    @ParameterizedTest
    @EnumSource
    void frozenItAnswersNobodyOldOrNewAndGoesOnWhereItWas(Kind kind) {
        Connection old = client(kind, "only-the-proxy-knows.test", echo.port()).connectNow(LIMIT);
        ConcurrentLinkedQueue<String> answers = new ConcurrentLinkedQueue<>();
        old.inbound().receive().asString().subscribe(answers::add);
        old.outbound().sendString(Mono.just("before ")).then().block(LIMIT);
        await().atMost(LIMIT).until(() -> String.join("", answers).equals("before "));

        proxy(kind).freeze();
        old.outbound().sendString(Mono.just("meanwhile")).then().block(LIMIT);
        CompletableFuture<String> late =
                CompletableFuture.supplyAsync(() -> roundTrip(client(kind, "only-the-proxy-knows.test", echo.port())));

        assertThat(late).as("for as long as anybody looks").failsWithin(Duration.ofMillis(500));
        assertThat(String.join("", answers)).isEqualTo("before ");

        proxy(kind).start();

        assertThat(late).succeedsWithin(LIMIT).isEqualTo("hello");
        await().atMost(LIMIT).until(() -> String.join("", answers).equals("before meanwhile"));
        old.disposeNow();
    }

    @ParameterizedTest
    @EnumSource
    void oneThatIsKilledWhileItIsFrozenIsNotFrozenAfterwards(Kind kind) {
        proxy(kind).freeze();
        proxy(kind).stop();
        assertThat(proxy(kind).isFrozen()).isFalse();
        proxy(kind).start();
        assertThat(roundTrip(client(kind, "only-the-proxy-knows.test", echo.port())))
                .isEqualTo("hello");
    }

    @Test
    void tellsADirectConnectionFromOneThroughAProxy() {
        String answer = roundTrip(TcpClient.newConnection().host("127.0.0.1").port(echo.port()));

        assertThat(answer).isEqualTo("hello");
        assertThat(seenFrom).singleElement().asString().startsWith("DIRECT 127.0.0.1:");
    }

    @Test
    void socks5RefusesAWrongPassword() throws IOException {
        assertThat(talkTo(socks5, socks5Words("wrong", "echo.test", echo.port())))
                .containsExactly(5, 2, 1, 0xff);
        assertThat(seenFrom).isEmpty();
    }

    @Test
    void socks5RefusesAClientWithoutCredentials() throws IOException {
        assertThat(talkTo(socks5, new byte[] {5, 1, 0})).containsExactly(5, 0xff);
    }

    @Test
    void socks5SaysThatANameIsUnknown() throws IOException {
        assertThat(talkTo(socks5, socks5Words(CREDENTIALS.password(), "nowhere.example", echo.port())))
                .startsWith(5, 2, 1, 0, 5, 4);
    }

    @Test
    void socks5SaysThatATargetRefuses() throws IOException {
        assertThat(talkTo(socks5, socks5Words(CREDENTIALS.password(), "nobody.test", unusedPort())))
                .startsWith(5, 2, 1, 0, 5, 5);
    }

    @Test
    void socks5RefusesAnAddressThatTheClientResolved() throws IOException {
        assertThat(talkTo(socks5, socks5Words(CREDENTIALS.password(), "127.0.0.1", echo.port())))
                .startsWith(5, 2, 1, 0, 5, 2);
        assertThat(seenFrom).isEmpty();
    }

    @Test
    void socks5HangsUpOnAnotherProtocol() throws IOException {
        assertThat(talkTo(socks5, "GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII)))
                .isEmpty();
    }

    @Test
    void httpSaysThatANameIsUnknown() throws IOException {
        assertThat(httpAnswer("CONNECT nowhere.example:80 HTTP/1.1\r\nHost: nowhere.example:80\r\n\r\n"))
                .startsWith("HTTP/1.1 502 Bad Gateway\r\n")
                .endsWith("\r\n\r\nUnknown host nowhere.example\n");
    }

    @Test
    void httpSaysThatATargetRefuses() throws IOException {
        assertThat(httpAnswer("CONNECT nobody.test:" + unusedPort() + " HTTP/1.1\r\n\r\n"))
                .startsWith("HTTP/1.1 502 ")
                .contains("No connection to nobody.test:");
    }

    @Test
    void httpRefusesAnAddressThatTheClientResolved() throws IOException {
        assertThat(httpAnswer("CONNECT 127.0.0.1:" + echo.port() + " HTTP/1.1\r\n\r\n"))
                .startsWith("HTTP/1.1 403 ");
        assertThat(httpAnswer("CONNECT [::1]:" + echo.port() + " HTTP/1.1\r\n\r\n"))
                .startsWith("HTTP/1.1 403 ");
    }

    @Test
    void httpTakesNothingButConnect() throws IOException {
        assertThat(httpAnswer("GET http://echo.test/ HTTP/1.1\r\nHost: echo.test\r\n\r\n"))
                .startsWith("HTTP/1.1 405 ")
                .contains("allow: CONNECT\r\n");
        assertThat(httpAnswer("CONNECT echo.test HTTP/1.1\r\n\r\n")).startsWith("HTTP/1.1 400 ");
        assertThat(httpAnswer("CONNECT echo.test:70000 HTTP/1.1\r\n\r\n")).startsWith("HTTP/1.1 400 ");
        assertThat(httpAnswer("nonsense\r\n\r\n")).startsWith("HTTP/1.1 400 ");
    }

    @Test
    void httpPassesOnWhatAHastyClientSendsBehindItsRequest() throws IOException {
        try (Socket socket = open(http)) {
            String expected = "HTTP/1.1 200 Connection established\r\n\r\nGET is the tunnel's\r\n\r\n";
            socket.getOutputStream()
                    .write(("CONNECT echo.test:" + echo.port() + " HTTP/1.1\r\n\r\nGET is the tunnel's\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            assertThat(socket.getInputStream().readNBytes(expected.length()))
                    .asString()
                    .isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @EnumSource
    void carriesMegabytesBothWaysUnchanged(Kind kind) throws Exception {
        byte[] sent = new byte[TRANSFER];
        new Random(7).nextBytes(sent);
        try (Socket socket = tunnel(kind, echo.port())) {
            CompletableFuture<Void> upload = CompletableFuture.runAsync(() -> write(socket, sent));
            byte[] received = socket.getInputStream().readNBytes(TRANSFER);

            upload.get();
            assertThat(Arrays.equals(received, sent)).isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource
    void keepsAFastSenderWaitingForASlowReader(Kind kind) throws Exception {
        AtomicLong taken = new AtomicLong();
        try (ServerSocket target = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
                Socket client = tunnel(kind, target.getLocalPort());
                Socket accepted = accept(target)) {
            CompletableFuture.runAsync(() -> {
                while (!client.isClosed()) {
                    write(client, new byte[CHUNK]);
                    taken.addAndGet(CHUNK);
                }
            });
            // The target reads nothing: what the sender gets rid of is what the buffers in between hold.
            AtomicLong before = new AtomicLong(-1);
            await().atMost(LIMIT)
                    .pollInterval(Duration.ofMillis(500))
                    .until(() -> taken.get() > 0 && before.getAndSet(taken.get()) == taken.get());
            long held = taken.get();
            assertThat(held).isLessThan(MAX_HELD);

            // Once it reads, the flow goes on.
            assertThat(accepted.getInputStream().readNBytes((int) held)).hasSize((int) held);
            await().atMost(LIMIT).until(() -> taken.get() > held);
        }
    }

    @ParameterizedTest
    @EnumSource
    void passesOnTheEndOfOneDirectionAndKeepsTheOther(Kind kind) throws Exception {
        try (ServerSocket target = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
                Socket client = tunnel(kind, target.getLocalPort());
                Socket accepted = accept(target)) {
            client.getOutputStream().write("question".getBytes(StandardCharsets.US_ASCII));
            client.shutdownOutput();

            assertThat(accepted.getInputStream().readAllBytes()).asString().isEqualTo("question");

            accepted.getOutputStream().write("answer".getBytes(StandardCharsets.US_ASCII));
            accepted.shutdownOutput();

            assertThat(client.getInputStream().readAllBytes()).asString().isEqualTo("answer");
            await().atMost(LIMIT)
                    .untilAsserted(() -> assertThat(outgoingPorts.size()).isZero());
        }
    }

    @ParameterizedTest
    @EnumSource
    void stoppedItClosesItsConnectionsAndTakesNoNewOnesUntilItIsStarted(Kind kind) {
        Connection connection = client(kind, "echo.test", echo.port()).connectNow(LIMIT);
        connection.outbound().sendString(Mono.just("x")).then().block(LIMIT);
        assertThat(connection.inbound().receive().asString().blockFirst(LIMIT)).isEqualTo("x");
        int port = proxy(kind).port();

        proxy(kind).stop();

        connection.onDispose().block(LIMIT);
        assertThat(proxy(kind).isRunning()).isFalse();
        assertThatThrownBy(() -> roundTrip(client(kind, "echo.test", echo.port())))
                .hasStackTraceContaining("Connection refused");

        proxy(kind).start();

        assertThat(proxy(kind).port()).isEqualTo(port);
        assertThat(roundTrip(client(kind, "echo.test", echo.port()))).isEqualTo("hello");
    }

    @Test
    void saysWhichPropertyChoosesAnotherPort() {
        LocalProxy second = LocalProxy.http("second", http.port(), loops, outgoingPorts);

        assertThatThrownBy(second::start)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("port " + http.port())
                .hasMessageContaining("sample.local-proxies.http-port");
        assertThat(second.isRunning()).isFalse();
    }

    @Test
    void credentialsStayOutOfTexts() {
        assertThat(CREDENTIALS).hasToString("***");
        assertThat(new LocalProxiesProperties(1, 2, 3, 4, CREDENTIALS).toString())
                .doesNotContain("s3cret");
    }

    private static void write(Socket socket, byte[] bytes) {
        try {
            socket.getOutputStream().write(bytes);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    private static int unusedPort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    private static Socket accept(ServerSocket target) throws IOException {
        target.setSoTimeout((int) LIMIT.toMillis());
        Socket socket = target.accept();
        socket.setSoTimeout((int) LIMIT.toMillis());
        return socket;
    }

    private static Socket open(LocalProxy proxy) throws IOException {
        Socket socket = new Socket("127.0.0.1", proxy.port());
        socket.setSoTimeout((int) LIMIT.toMillis());
        return socket;
    }

    /** A tunnel to a name on this machine, opened by hand: a plain socket can close one direction alone. */
    private Socket tunnel(Kind kind, int port) throws IOException {
        Socket socket = open(proxy(kind));
        InputStream in = socket.getInputStream();
        OutputStream out = socket.getOutputStream();
        if (kind == Kind.HTTP) {
            String established = "HTTP/1.1 200 Connection established\r\n\r\n";
            out.write(("CONNECT half.test:" + port + " HTTP/1.1\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            assertThat(in.readNBytes(established.length())).asString().isEqualTo(established);
        } else {
            out.write(socks5Words(CREDENTIALS.password(), "half.test", port));
            assertThat(in.readNBytes(14)).startsWith(5, 2, 1, 0, 5, 0);
        }
        return socket;
    }

    /** A whole SOCKS5 handshake in one go, so that each decoder has to hand what it did not use to the next. */
    private static byte[] socks5Words(String password, String host, int port) {
        ByteArrayOutputStream words = new ByteArrayOutputStream();
        words.writeBytes(new byte[] {5, 1, 2, 1});
        writeText(words, CREDENTIALS.username());
        writeText(words, password);
        words.writeBytes(new byte[] {5, 1, 0, 3});
        writeText(words, host);
        words.write(port >> 8);
        words.write(port);
        return words.toByteArray();
    }

    private static void writeText(ByteArrayOutputStream words, String text) {
        words.write(text.length());
        words.writeBytes(text.getBytes(StandardCharsets.US_ASCII));
    }

    private String httpAnswer(String request) throws IOException {
        return new String(talkTo(http, request.getBytes(StandardCharsets.US_ASCII)), StandardCharsets.UTF_8);
    }

    /** All that the proxy has to say until it hangs up. */
    private static byte[] talkTo(LocalProxy proxy, byte[] words) throws IOException {
        try (Socket socket = open(proxy);
                OutputStream out = socket.getOutputStream();
                InputStream in = socket.getInputStream()) {
            out.write(words);
            out.flush();
            return in.readAllBytes();
        }
    }
}

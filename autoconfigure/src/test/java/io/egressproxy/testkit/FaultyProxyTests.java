package io.egressproxy.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class FaultyProxyTests {

    private static final String CONNECT = "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n";
    private static final String SOCKS5_GREETING = "\5\1\0";
    private static final String SOCKS5_REQUEST = "\5\1\0\3\6a.test\1\u00bb";
    private static final String SOCKS4_REQUEST = "\4\1\1\u00bb\0\0\0\1user\0a.test\0";
    private static final int SILENCE_MILLIS = 100;

    static List<Script> connectionFaults() {
        return Faults.connectionFaults();
    }

    static List<Script> connectRefusals() {
        return Faults.connectRefusals();
    }

    static List<Script> socks4Refusals() {
        return Faults.socks4Refusals();
    }

    @Test
    void aBlackHoleAcceptsAndSaysNothing() throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.blackHole());
                Client client = new Client(proxy.port())) {
            client.write(CONNECT);

            client.assertSilent();
            await().until(() -> proxy.receivedText().equals(List.of(CONNECT)));
            assertThat(proxy.connections()).isEqualTo(1);
            assertThat(proxy.openConnections()).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @MethodSource("connectionFaults")
    void finsAndRstsAreWhatTheySay(Script fault) throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(fault);
                Client client = new Client(proxy.port())) {
            if (fault.toString().endsWith("in handshake")) {
                client.write("C");
            }
            if (fault.toString().startsWith("FIN")) {
                assertThat(client.readAll()).isEmpty();
            } else {
                assertThatThrownBy(client::readAll)
                        .isInstanceOf(SocketException.class)
                        .hasMessageContaining("reset");
            }
        }
    }

    @ParameterizedTest
    @MethodSource("connectRefusals")
    void refusalsOfConnectHaveNoLengthAndStayOpen(Script fault) throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(fault);
                Client client = new Client(proxy.port())) {
            client.write(CONNECT);

            String head = client.readUntil("\r\n\r\n");
            assertThat(head).startsWith("HTTP/1.1 " + fault.toString().split(" ")[1]);
            assertThat(head.toLowerCase(Locale.ROOT)).doesNotContain("content-length");
            client.assertSilent();
        }
    }

    @Test
    void refusalsWithABodyEnd() throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.connectAnswerWithBody("502 Bad Gateway", "sorry", "Via: x"));
                Client client = new Client(proxy.port())) {
            client.write(CONNECT);

            assertThat(client.readAll())
                    .contains("Via: x\r\n", "Content-Length: 5\r\n")
                    .endsWith("\r\n\r\nsorry");
        }
    }

    @Test
    void garbageComesBeforeOrAfterTheFirstByte() throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.sshBanner(), Faults.garbage("\0\0\0\0\0\0\0\0"));
                Client first = new Client(proxy.port())) {
            assertThat(first.readUntil("\r\n")).isEqualTo("SSH-2.0-OpenSSH\r\n");
            try (Client second = new Client(proxy.port())) {
                second.assertSilent();
                second.write("\5");
                assertThat(second.read(8)).isEqualTo("\0".repeat(8));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
    void answersASocks5RequestWithTheReply(int reply) throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(Faults.socks5Reply(reply));
                Client client = new Client(proxy.port())) {
            client.write(SOCKS5_GREETING);
            assertThat(client.read(2)).isEqualTo("\5\0");
            client.write(SOCKS5_REQUEST);
            assertThat(client.read(10)).isEqualTo("\5" + (char) reply + "\0\1\0\0\0\0\0\0");
            client.assertSilent();
        }
    }

    @Test
    void refusesSocks5MethodsAndCredentials() throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(
                        Faults.socks5NoMethod(), Faults.socks5BadCredentials(2), Faults.socks5Spoof());
                Client noMethod = new Client(proxy.port())) {
            noMethod.write(SOCKS5_GREETING);
            assertThat(noMethod.read(2)).isEqualTo("\5\u00ff");
            try (Client refused = new Client(proxy.port());
                    Client spoofed = new Client(proxy.port())) {
                refused.write("\5\2\0\2");
                assertThat(refused.read(2)).isEqualTo("\5\2");
                refused.write("\1\4user\4pass");
                assertThat(refused.read(2)).isEqualTo("\1\2");
                spoofed.write(SOCKS5_GREETING);
                assertThat(spoofed.read(Faults.SPOOFED_RESPONSE.length())).isEqualTo(Faults.SPOOFED_RESPONSE);
            }
            assertThat(proxy.receivedText())
                    .containsExactly(SOCKS5_GREETING, "\5\2\0\2\1\4user\4pass", SOCKS5_GREETING);
        }
    }

    @ParameterizedTest
    @MethodSource("socks4Refusals")
    void answersASocks4RequestWithTheReply(Script fault) throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(fault);
                Client client = new Client(proxy.port())) {
            client.write(SOCKS4_REQUEST);
            int reply = Integer.parseInt(fault.toString().replaceAll(".* ", ""));
            assertThat(client.read(8)).isEqualTo("\0" + (char) reply + "\0".repeat(6));
            await().until(() -> proxy.receivedText().equals(List.of(SOCKS4_REQUEST)));
        }
    }

    @Test
    void tunnelsEndBeforeTheTargetsFirstByte() throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(
                        Faults.tunnelThenClose("http"),
                        Faults.tunnelThenCloseOnFirstByte("http"),
                        Faults.tunnelThenReset("http"));
                Client closed = new Client(proxy.port())) {
            closed.write(CONNECT);
            assertThat(closed.readAll()).startsWith("HTTP/1.1 200 ").endsWith("\r\n\r\n");
            try (Client later = new Client(proxy.port());
                    Client reset = new Client(proxy.port())) {
                for (Client client : List.of(later, reset)) {
                    client.write(CONNECT);
                    assertThat(client.readUntil("\r\n\r\n")).startsWith("HTTP/1.1 200 ");
                    client.assertSilent();
                    client.write("GET / HTTP/1.1\r\n\r\n");
                }
                assertThat(later.readAll()).isEmpty();
                assertThatThrownBy(reset::readAll)
                        .isInstanceOf(SocketException.class)
                        .hasMessageContaining("reset");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"http", "socks4", "socks4a", "socks5"})
    void worksWhenToldTo(String scheme, @TempDir Path directory) {
        TestCertificates certificates = TestCertificates.create(directory);
        try (TargetServer target = TargetServer.start(certificates, List.of());
                FaultyProxy proxy = FaultyProxy.with(Faults.closeOnAccept(), Faults.working(scheme))) {
            Curl.Result first = Curl.get(target.url("https", "/whoami"))
                    .through(scheme, proxy.port(), null)
                    .trusting(certificates)
                    .run();
            Curl.Result second = Curl.get(target.url("https", "/whoami"))
                    .through(scheme, proxy.port(), null)
                    .trusting(certificates)
                    .run();

            assertThat(first.exitCode()).isNotZero();
            assertThat(second.status()).as(second.errors()).isEqualTo(200);
            assertThat(proxy.connections()).isEqualTo(2);
        }
    }

    @Test
    void worksWithAnyStatusAndCanTalkWithoutEnd(@TempDir Path directory) {
        TestCertificates certificates = TestCertificates.create(directory);
        try (TargetServer target = TargetServer.start(certificates, List.of());
                FaultyProxy proxy = FaultyProxy.with(
                        Faults.workingWithConnectAnswer("201 Created", "Via: x"),
                        Faults.connectAnswerWithEndlessHead())) {
            Curl.Result created = Curl.get(target.url("http", "/whoami"))
                    .through("http", proxy.port(), null)
                    .run();
            Curl.Result endless = Curl.get(target.url("http", "/whoami"))
                    .through("http", proxy.port(), null)
                    .run();

            assertThat(created.connectStatus()).isEqualTo(201);
            assertThat(created.body()).contains("\"peer\"");
            assertThat(endless.exitCode()).isNotZero();
        }
    }

    @Test
    void speaksTlsToItsClients(@TempDir Path directory) {
        TestCertificates certificates = TestCertificates.create(directory);
        try (FaultyProxy proxy = FaultyProxy.withTls(
                certificates.server().jdkServerContext(), Faults.connectAnswer("429 Too Many", "Retry-After: 1"))) {
            Curl.Result result = Curl.get("https://a.test/")
                    .through("https", proxy.port(), new Credentials("user", "C4NARY"))
                    .trusting(certificates)
                    .run();

            assertThat(result.connectStatus()).as(result.errors()).isEqualTo(429);
            assertThat(proxy.receivedText().get(0)).contains("Proxy-Authorization: Basic dXNlcjpDNE5BUlk=\r\n");
        }
    }

    @Test
    void waitsForItsReleaseAndChangesItsBehaviour() throws IOException {
        Script held = Script.named("held").readHead().awaitRelease().write("HTTP/1.1 200 OK\r\n\r\n");
        try (FaultyProxy proxy = FaultyProxy.with(held);
                Client client = new Client(proxy.port())) {
            client.write(CONNECT);
            client.assertSilent();
            proxy.release();
            assertThat(client.readUntil("\r\n\r\n")).startsWith("HTTP/1.1 200");

            proxy.behave(Faults.closeOnAccept());
            try (Client later = new Client(proxy.port())) {
                assertThat(later.readAll()).isEmpty();
            }
        }
    }

    @Test
    void dripsWithPauses() throws IOException {
        try (FaultyProxy proxy = FaultyProxy.with(
                        Script.named("slow").drip("slow", Duration.ofMillis(30)).close());
                Client client = new Client(proxy.port())) {
            long before = System.nanoTime();
            assertThat(client.readAll()).isEqualTo("slow");
            assertThat(Duration.ofNanos(System.nanoTime() - before)).isGreaterThan(Duration.ofMillis(100));
        }
    }

    @Test
    void nobodyListensAtAClosedPortNorAfterClosing() {
        FaultyProxy proxy = FaultyProxy.with(Faults.blackHole());
        proxy.close();

        for (int port : List.of(FaultyProxy.closedPort(), proxy.port())) {
            assertThatThrownBy(() -> new Client(port)).isInstanceOf(ConnectException.class);
        }
    }

    @Test
    void aSynBlackHoleNeitherAcceptsNorRefuses() throws IOException {
        try (SynBlackHole hole = SynBlackHole.open();
                Socket socket = new Socket()) {
            assertThatThrownBy(() -> socket.connect(new InetSocketAddress(hole.host(), hole.port()), 200))
                    .isInstanceOf(SocketTimeoutException.class);
        }
    }

    /** A client that says and gets bytes, written as ISO-8859-1. */
    private static final class Client implements AutoCloseable {

        private final Socket socket;

        Client(int port) throws IOException {
            socket = new Socket(LoopbackPorts.HOST, port);
            socket.setSoTimeout(5_000);
        }

        void write(String text) throws IOException {
            socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
        }

        String read(int count) throws IOException {
            return new String(socket.getInputStream().readNBytes(count), StandardCharsets.ISO_8859_1);
        }

        String readUntil(String end) throws IOException {
            StringBuilder text = new StringBuilder();
            InputStream in = socket.getInputStream();
            while (text.indexOf(end) < 0) {
                int octet = in.read();
                assertThat(octet).as("after " + text).isNotNegative();
                text.append((char) octet);
            }
            return text.toString();
        }

        String readAll() throws IOException {
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        }

        /** The connection is open, and nothing comes for a while. */
        void assertSilent() throws IOException {
            socket.setSoTimeout(SILENCE_MILLIS);
            assertThatThrownBy(() -> socket.getInputStream().read()).isInstanceOf(SocketTimeoutException.class);
            socket.setSoTimeout(5_000);
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }
}

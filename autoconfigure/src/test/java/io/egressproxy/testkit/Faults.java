package io.egressproxy.testkit;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The faults seen of real proxies, and a few that only a hostile one shows, as scripts for {@link FaultyProxy}. */
public final class Faults {

    /**
     * What a hostile server answers to a SOCKS5 greeting, so that a careless client takes it for the target's
     * response.
     */
    public static final String SPOOFED_RESPONSE = "\0HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    private Faults() {}

    /** Accepts and says nothing. */
    public static Script blackHole() {
        return Script.named("black hole");
    }

    /** Accepts and sends a FIN. */
    public static Script closeOnAccept() {
        return Script.named("FIN on accept").close();
    }

    /** Accepts and sends a RST. */
    public static Script resetOnAccept() {
        return Script.named("RST on accept").reset();
    }

    /** Sends a RST as soon as the client has begun its handshake. */
    public static Script resetInHandshake() {
        return Script.named("RST in handshake").readFirstByte().reset();
    }

    /** Sends a FIN as soon as the client has begun its handshake. */
    public static Script closeInHandshake() {
        return Script.named("FIN in handshake").readFirstByte().close();
    }

    /** Answers the client's first byte with the given text, and stays open. */
    public static Script garbage(String text) {
        return Script.named("garbage " + printable(text)).readFirstByte().write(text);
    }

    /** What an SSH server says, before anybody asked. */
    public static Script sshBanner() {
        return Script.named("SSH banner").write("SSH-2.0-OpenSSH\r\n");
    }

    /**
     * Answers CONNECT with a status and no content length, and stays open: nothing but the head tells the client that
     * the answer is complete.
     *
     * @param status code and reason, such as {@code 502 Bad Gateway}
     * @param headers whole header lines
     */
    public static Script connectAnswer(String status, String... headers) {
        return Script.named("CONNECT " + status).readHead().write(head(status, headers));
    }

    /** The same, with a body and its length, and a FIN after it. */
    public static Script connectAnswerWithBody(String status, String body, String... headers) {
        String length = "Content-Length: " + body.length();
        String[] all = Stream.concat(Arrays.stream(headers), Stream.of(length, "Connection: close"))
                .toArray(String[]::new);
        return Script.named("CONNECT " + status + " with body")
                .readHead()
                .write(head(status, all) + body)
                .close();
    }

    public static Script proxyAuthenticationRequired() {
        return connectAnswer(
                "407 Proxy Authentication Required",
                "Proxy-Authenticate: Basic realm=\"proxy\"",
                "Proxy-Connection: keep-alive");
    }

    /** Answers CONNECT with headers that do not end: a client that waits for the end must limit what it keeps. */
    public static Script connectAnswerWithEndlessHead() {
        String filler = ("X-Filler: " + "x".repeat(1_000) + "\r\n").repeat(1_000);
        return Script.named("CONNECT 200 with 1 MB of headers").readHead().write("HTTP/1.1 200 OK\r\n" + filler);
    }

    /** Answers the greeting with 0xFF: none of the offered methods will do. */
    public static Script socks5NoMethod() {
        return Script.named("SOCKS5 method 0xFF").readSocks5Greeting().write(5, 0xFF);
    }

    /** Asks for user and password and refuses them with the status. */
    public static Script socks5BadCredentials(int status) {
        return Script.named("SOCKS5 credentials refused with " + status)
                .readSocks5Greeting()
                .write(5, 2)
                .readSocks5Credentials()
                .write(1, status);
    }

    /** Answers the request with the reply code, 0 for success. */
    public static Script socks5Reply(int reply) {
        return Script.named("SOCKS5 reply " + reply)
                .agreeOnSocks5Method()
                .readSocks5Request()
                .write(5, reply, 0, 1, 0, 0, 0, 0, 0, 0);
    }

    /** Answers the greeting with {@link #SPOOFED_RESPONSE}. */
    public static Script socks5Spoof() {
        return Script.named("SOCKS5 spoofed response").readSocks5Greeting().write(SPOOFED_RESPONSE);
    }

    /** Answers the request with the reply code, 90 for success. */
    public static Script socks4Reply(int reply) {
        return Script.named("SOCKS4 reply " + reply).readSocks4Request().write(0, reply, 0, 0, 0, 0, 0, 0);
    }

    /** Says that the tunnel stands, and stays silent. */
    public static Script tunnelThenSilence(String scheme) {
        return tunnel(scheme, "tunnel, then silence");
    }

    /** Says that the tunnel stands, and sends a FIN. */
    public static Script tunnelThenClose(String scheme) {
        return tunnel(scheme, "tunnel, then FIN").close();
    }

    /** Says that the tunnel stands, and sends a FIN when the client's first byte has come. */
    public static Script tunnelThenCloseOnFirstByte(String scheme) {
        return tunnel(scheme, "tunnel, then FIN on first byte").readFirstByte().close();
    }

    /** Says that the tunnel stands, and sends a RST when the client's first byte has come. */
    public static Script tunnelThenReset(String scheme) {
        return tunnel(scheme, "tunnel, then RST on first byte").readFirstByte().reset();
    }

    /** No fault: a proxy that works. */
    public static Script working(String scheme) {
        return tunnel(scheme, "working").relay();
    }

    /** No fault either: takes any 2xx for consent, as RFC 9110 wants it, for example {@code 201 Created}. */
    public static Script workingWithConnectAnswer(String status, String... headers) {
        return Script.named("CONNECT " + status + ", working")
                .readHead()
                .write(head(status, headers))
                .relay();
    }

    /** Faults that do not depend on the protocol and end the connection at once. */
    public static List<Script> connectionFaults() {
        return List.of(closeOnAccept(), resetOnAccept(), closeInHandshake(), resetInHandshake());
    }

    /** Refusals of CONNECT, all of which stay open and have no content length. */
    public static List<Script> connectRefusals() {
        return List.of(
                proxyAuthenticationRequired(),
                connectAnswer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"proxy\""),
                connectAnswer("403 Forbidden"),
                connectAnswer("405 Method Not Allowed"),
                connectAnswer("429 Too Many Requests", "Retry-After: 1"),
                connectAnswer("500 Unable to connect"),
                connectAnswer("502 Bad Gateway"),
                connectAnswer("503 Service Unavailable", "X-Squid-Error: ERR_CONNECT_FAIL 111"),
                connectAnswer("504 Gateway Timeout"));
    }

    /** Refusals of SOCKS5: no method, bad credentials (status 1 and 2), the replies 1 to 9. */
    public static List<Script> socks5Refusals() {
        return Stream.concat(
                        Stream.of(socks5NoMethod(), socks5BadCredentials(1), socks5BadCredentials(2)),
                        IntStream.rangeClosed(1, 9).mapToObj(Faults::socks5Reply))
                .toList();
    }

    /** Refusals of SOCKS4: the replies 91, 92 and 93. */
    public static List<Script> socks4Refusals() {
        return IntStream.rangeClosed(91, 93).mapToObj(Faults::socks4Reply).toList();
    }

    private static Script tunnel(String scheme, String name) {
        Script script = Script.named(scheme + " " + name);
        return switch (scheme) {
            case "http", "https" -> script.readHead().write("HTTP/1.1 200 Connection established\r\n\r\n");
            case "socks5" -> script.agreeOnSocks5Method().readSocks5Request().write(5, 0, 0, 1, 0, 0, 0, 0, 0, 0);
            case "socks4", "socks4a" -> script.readSocks4Request().write(0, 90, 0, 0, 0, 0, 0, 0);
            default -> throw new IllegalArgumentException("No such scheme: " + scheme);
        };
    }

    private static String head(String status, String... headers) {
        StringBuilder head = new StringBuilder("HTTP/1.1 ").append(status).append("\r\n");
        for (String header : headers) {
            head.append(header).append("\r\n");
        }
        return head.append("\r\n").toString();
    }

    private static String printable(String text) {
        return text.replaceAll("[^ -~]", ".");
    }
}

package io.egressproxy.testkit;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ServerChannel;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.util.AttributeKey;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.Http2SslContextSpec;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.http.websocket.WebsocketInbound;
import reactor.netty.http.websocket.WebsocketOutbound;
import reactor.netty.resources.LoopResources;
import reactor.netty.tcp.SslProvider;

/**
 * A real server on 127.0.0.1 that remembers who connected and what was asked, so that tests can prove which proxy was
 * used and that nothing went past the proxies. It speaks HTTP/1.1, HTTP/2 and WebSocket, on a plain port (HTTP/2 by
 * prior knowledge or upgrade) and on a TLS port (HTTP/2 by ALPN).
 *
 * <ul>
 *   <li>{@code GET /whoami}: the caller's address and port and the headers, as JSON
 *   <li>{@code POST /echo}: the body
 *   <li>{@code GET /status/NNN}: that status and its number as body; a target may answer 407 or 502 like a proxy
 *   <li>{@code GET /hang}: never answers
 *   <li>{@code GET /close}: closes the connection instead of answering
 *   <li>{@code GET /stream-ticks?count=N}: {@code tick 1} ... {@code tick N}, one line every 20 ms
 *   <li>{@code /ws}: WebSocket; first the caller's address as one text frame, then every frame back
 * </ul>
 */
public final class TargetServer implements AutoCloseable {

    private static final AttributeKey<Connection> CONNECTION = AttributeKey.valueOf(TargetServer.class, "connection");
    private static final Duration TIMEOUT = Duration.ofSeconds(5);

    /** Shared and of daemon threads: a server per test must not cost event loops per test. */
    private static final LoopResources LOOPS = LoopResources.create("testkit-target", 1, 2, true);

    private record Connection(Channel channel, InetSocketAddress peer, boolean tls, List<Seen.Request> requests) {

        Seen toSeen() {
            return new Seen(peer.getAddress().getHostAddress(), peer.getPort(), tls, List.copyOf(requests));
        }
    }

    private final TestCertificates certificates;
    private final Set<String> egressAddresses;
    private final int port = LoopbackPorts.free();
    private final int tlsPort = LoopbackPorts.free();
    private final Object memory = new Object();
    private final List<Connection> remembered = new ArrayList<>();
    private final ChannelGroup open = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
    private final List<DisposableServer> servers = new ArrayList<>();

    private TargetServer(TestCertificates certificates, Collection<String> egressAddresses) {
        this.certificates = certificates;
        this.egressAddresses = Set.copyOf(egressAddresses);
    }

    /** Starts a target that takes connections from the given addresses for those of proxies. */
    public static TargetServer start(TestCertificates certificates, Collection<String> egressAddresses) {
        TargetServer target = new TargetServer(certificates, egressAddresses);
        target.start();
        return target;
    }

    /** Starts the server again, on the same ports; no effect if it runs. */
    public synchronized void start() {
        if (servers.isEmpty()) {
            servers.add(server(port, false)
                    .protocol(HttpProtocol.HTTP11, HttpProtocol.H2C)
                    .bindNow(TIMEOUT));
            servers.add(server(tlsPort, true)
                    .protocol(HttpProtocol.HTTP11, HttpProtocol.H2)
                    .secure(spec -> spec.sslContext(tlsSpec()))
                    .bindNow(TIMEOUT));
        }
    }

    /** Closes the ports and all connections; what was seen stays. */
    public synchronized void stop() {
        servers.forEach(server -> server.disposeNow(TIMEOUT));
        servers.clear();
        closeConnections();
    }

    /** Closes all connections, but goes on serving new ones. */
    public void closeConnections() {
        open.close().syncUninterruptibly();
    }

    @Override
    public void close() {
        stop();
    }

    public String host() {
        return LoopbackPorts.HOST;
    }

    /** The port for {@code http} and {@code ws}. */
    public int port() {
        return port;
    }

    /** The port for {@code https} and {@code wss}. */
    public int tlsPort() {
        return tlsPort;
    }

    /** A URL of this target, for example {@code url("wss", "/ws")}. */
    public String url(String scheme, String path) {
        return url(scheme, LoopbackPorts.HOST, path);
    }

    /** A URL of this target under another of its names, such as {@link ProxyLab#PROXY_ONLY_NAME}. */
    public String url(String scheme, String host, String path) {
        int schemePort = scheme.equals("https") || scheme.equals("wss") ? tlsPort : port;
        return scheme + "://" + host + ":" + schemePort + path;
    }

    /** The authorities that a client must trust to use the TLS port. */
    public List<X509Certificate> trustAnchors() {
        return List.of(certificates.authority());
    }

    /**
     * Every connection that was accepted, or sent a request, since the start or the last {@link #clear()}, in order;
     * those that sent nothing too.
     */
    public List<Seen> seen() {
        synchronized (memory) {
            return remembered.stream().map(Connection::toSeen).toList();
        }
    }

    /** Every request of {@link #seen()}. */
    public List<Seen.Request> requests() {
        return seen().stream().flatMap(one -> one.requests().stream()).toList();
    }

    /** Connections that came from no proxy. */
    public List<Seen> directConnections() {
        return seen().stream()
                .filter(one -> !egressAddresses.contains(one.peerAddress()))
                .toList();
    }

    /** Connections that came from the given proxy. */
    public List<Seen> connectionsFrom(RunningProxy proxy) {
        return seen().stream()
                .filter(one -> one.peerAddress().equals(proxy.egressAddress()))
                .toList();
    }

    /** Every connection that is open now, whenever it was accepted. */
    public List<Seen> openConnections() {
        synchronized (memory) {
            return open.stream()
                    .map(channel -> channel.attr(CONNECTION).get().toSeen())
                    .toList();
        }
    }

    /**
     * Forgets what was seen. A connection that stays open is seen again, as it were a new one, with its next request.
     */
    public void clear() {
        synchronized (memory) {
            remembered.forEach(connection -> connection.requests().clear());
            remembered.clear();
        }
    }

    private SslProvider.GenericSslContextSpec<?> tlsSpec() {
        IssuedCertificate certificate = certificates.server();
        return Http2SslContextSpec.forServer(
                certificate.certificateFile().toFile(), certificate.keyFile().toFile());
    }

    private HttpServer server(int boundPort, boolean tls) {
        return HttpServer.create()
                .runOn(LOOPS)
                .host(LoopbackPorts.HOST)
                .port(boundPort)
                .doOnChannelInit((observer, channel, address) -> accept(channel, tls))
                .handle(this::handle);
    }

    /** Called for each accepted connection, before TLS and also if nothing is ever sent. */
    private void accept(Channel channel, boolean tls) {
        if (channel.parent() instanceof ServerChannel && channel.remoteAddress() instanceof InetSocketAddress peer) {
            Connection connection = new Connection(channel, peer, tls, new ArrayList<>());
            channel.attr(CONNECTION).set(connection);
            open.add(channel);
            synchronized (memory) {
                remembered.add(connection);
            }
        }
    }

    private Publisher<Void> handle(HttpServerRequest request, HttpServerResponse response) {
        Connection connection = remember(request);
        InetSocketAddress peer = connection.peer();
        String path = new QueryStringDecoder(request.uri()).path();
        if (path.startsWith("/status/")) {
            String status = path.substring("/status/".length());
            return response.status(Integer.parseInt(status)).sendString(Mono.just(status));
        }
        return switch (path) {
            case "/whoami" ->
                response.header("content-type", "application/json").sendString(Mono.just(whoami(request, peer)));
            case "/echo" -> response.send(request.receive().retain());
            case "/hang" -> Mono.never();
            case "/close" -> Mono.fromRunnable(connection.channel()::close);
            case "/stream-ticks" -> response.sendObject(ticks(request), chunk -> true);
            case "/ws" -> response.sendWebsocket((in, out) -> echo(in, out, peer));
            default -> response.sendNotFound();
        };
    }

    private Connection remember(HttpServerRequest request) {
        List<Connection> found = new ArrayList<>();
        request.withConnection(stream -> {
            Connection own = stream.channel().attr(CONNECTION).get();
            // A stream of HTTP/2 is a channel of its own; its parent is the connection.
            found.add(
                    own != null
                            ? own
                            : stream.channel().parent().attr(CONNECTION).get());
        });
        Connection connection = found.get(0);
        Seen.Request seen = new Seen.Request(
                request.method().name(), request.uri(), request.version().text(), headers(request.requestHeaders()));
        synchronized (memory) {
            connection.requests().add(seen);
            if (remembered.stream().noneMatch(one -> one.channel() == connection.channel())) {
                remembered.add(connection);
            }
        }
        return connection;
    }

    private static Map<String, List<String>> headers(HttpHeaders headers) {
        return headers.entries().stream()
                .collect(Collectors.groupingBy(
                        header -> header.getKey().toLowerCase(Locale.ROOT),
                        TreeMap::new,
                        Collectors.mapping(Map.Entry::getValue, Collectors.toUnmodifiableList())));
    }

    private static Publisher<Void> echo(WebsocketInbound in, WebsocketOutbound out, InetSocketAddress peer) {
        Flux<WebSocketFrame> greeting =
                Flux.just(new TextWebSocketFrame(peer.getAddress().getHostAddress()));
        Flux<WebSocketFrame> echo = in.aggregateFrames().receiveFrames().map(WebSocketFrame::retain);
        return out.sendObject(greeting.concatWith(echo), frame -> true);
    }

    private static Flux<ByteBuf> ticks(HttpServerRequest request) {
        Map<String, List<String>> parameters = new QueryStringDecoder(request.uri()).parameters();
        int count =
                Integer.parseInt(parameters.getOrDefault("count", List.of("5")).get(0));
        return Flux.interval(Duration.ZERO, Duration.ofMillis(20))
                .take(count)
                .map(tick -> Unpooled.copiedBuffer("tick " + (tick + 1) + "\n", StandardCharsets.US_ASCII));
    }

    private static String whoami(HttpServerRequest request, InetSocketAddress peer) {
        String headers = headers(request.requestHeaders()).entrySet().stream()
                .map(header -> json(header.getKey()) + ":" + json(String.join(", ", header.getValue())))
                .collect(Collectors.joining(",", "{", "}"));
        return "{\"peer\":" + json(peer.getAddress().getHostAddress()) + ",\"port\":" + peer.getPort()
                + ",\"protocol\":" + json(request.version().text()) + ",\"headers\":" + headers + "}";
    }

    private static String json(@Nullable String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder json = new StringBuilder("\"");
        text.chars().forEach(character -> {
            if (character == '"' || character == '\\' || character < 0x20 || character > 0x7E) {
                json.append(String.format("\\u%04x", character));
            } else {
                json.append((char) character);
            }
        });
        return json.append('"').toString();
    }
}

package io.egressproxy.netty;

import io.egressproxy.ConnectionType;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyUrl;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.testkit.ProxyLab;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.time.Duration;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.netty.http.Http2SslContextSpec;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.HttpResources;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.tcp.SslProvider.GenericSslContextSpec;

/** An injector on given settings, and clients routed by it that trust the lab's certificates. */
final class Routed implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(20);
    static final String EXCHANGE = "binance";

    private final ProxyLab lab;
    private final ConnectionProvider connections;
    private final HttpClient plain;
    final ClientRoutes routes;
    final NettyProxyInjector injector;

    private Routed(
            ProxyLab lab,
            ProxySettings settings,
            Function<String, @Nullable ProxySelectionStrategy> strategies,
            int maxConnections) {
        this.lab = lab;
        this.connections = ConnectionProvider.create("test", maxConnections);
        SslContext trust = lab.certificates().nettyClientContext();
        this.plain = HttpClient.create(connections)
                .secure(spec -> spec.sslContext(trust))
                .responseTimeout(PATIENCE);
        ProxyRouter router = new ProxyRouter(settings, strategies);
        this.routes = new ClientRoutes(router, bundle -> trust, HttpResources.get());
        this.injector = new NettyProxyInjector(router, routes, this::plain, client -> {
            throw new IllegalStateException("no Spring here");
        });
    }

    static Routed by(ProxyLab lab, ProxySettings settings) {
        return by(lab, settings, name -> null);
    }

    /** With selection strategies of the test's own. */
    static Routed by(
            ProxyLab lab, ProxySettings settings, Function<String, @Nullable ProxySelectionStrategy> strategies) {
        return new Routed(lab, settings, strategies, 200);
    }

    /** One connection for each target and route, so that reuse can be told from a second pool. */
    static Routed withOneConnection(ProxyLab lab, ProxySettings settings) {
        return new Routed(lab, settings, name -> null, 1);
    }

    /** Every type of every exchange through one proxy; loopback is no exception. */
    static Routed through(ProxyLab lab, String url) {
        return through(lab, url, 10);
    }

    static Routed through(ProxyLab lab, String url, int timeoutSeconds) {
        ProxyEntry entry = ProxyEntry.of(ProxyUrl.parse(url), timeoutSeconds);
        return by(
                lab,
                ProxySettings.builder()
                        .noProxy()
                        .defaultProxy(ConnectionType.HTTP, entry)
                        .defaultProxy(ConnectionType.WEBSOCKET, entry)
                        .build());
    }

    /** A client that is not routed yet. */
    HttpClient plain() {
        return plain;
    }

    HttpClient http() {
        return injector.customize(plain(), EXCHANGE);
    }

    HttpClient http(HttpProtocol... protocols) {
        HttpClient client = plain().protocol(protocols);
        if (protocols[0] == HttpProtocol.H2C) {
            client = client.noSSL();
        } else {
            client = client.secure(spec -> spec.sslContext(trusting(lab)));
        }
        return injector.customize(client, EXCHANGE);
    }

    HttpClient websocket() {
        return injector.customize(plain(), EXCHANGE, ConnectionType.WEBSOCKET);
    }

    private static GenericSslContextSpec<SslContextBuilder> trusting(ProxyLab lab) {
        return Http2SslContextSpec.forClient()
                .configure(builder -> builder.trustManager(lab.certificates().authority()));
    }

    @Override
    public void close() {
        connections.disposeLater().block(PATIENCE);
        routes.close();
    }
}

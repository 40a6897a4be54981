package io.egressproxy.netty;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.routing.ProxyRouter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.client.ReactorNettyWebSocketClient;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.publisher.Mono;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.client.HttpClient;
import reactor.netty.http.client.HttpClientConfig;
import reactor.netty.resources.LoopResources;

/** {@link ProxyInjector} on Reactor Netty, and the source of the routes by host. Thread-safe; close it with the context. */
public final class NettyProxyInjector implements ProxyInjector, AutoCloseable {
    private static final String NO_HTTP3 =
            "HTTP/3 cannot be used here: no proxy carries it, and it would connect directly;"
                    + " remove HttpProtocol.HTTP3 from the client, or do not route it";

    private static final Logger log = LoggerFactory.getLogger(NettyProxyInjector.class);
    private static final int MAX_KEPT_ROUTES = 4_096;

    private record RouteKey(@Nullable ExchangeId exchange, ConnectionType type) {}

    private final ProxyRouter router;
    private final ProxySslContexts tls;
    private final Supplier<HttpClient> clients;
    private final Function<HttpClient, WebClient.Builder> webClients;
    private final NameResolution names;
    private final HopResolverGroup hops = new HopResolverGroup();
    private final Map<RouteKey, ChannelRoute> routes = new ConcurrentHashMap<>();
    private final AtomicInteger routeNumbers = new AtomicInteger();

    /**
     * An injector.
     *
     * @param router decides
     * @param tls where the TLS contexts for {@code https} proxies come from
     * @param loops where names are resolved that must be resolved here
     * @param clients a new client as the application configures them, not routed yet
     * @param webClients a new builder as the application configures them, on a client
     */
    public NettyProxyInjector(
            ProxyRouter router,
            ProxySslContexts tls,
            LoopResources loops,
            Supplier<HttpClient> clients,
            Function<HttpClient, WebClient.Builder> webClients) {
        this.router = router;
        this.tls = tls;
        this.clients = clients;
        this.webClients = webClients;
        this.names = new NameResolution(loops);
    }

    /**
     * The client with routes that are chosen by the target's host.
     *
     * @param client the client to start from
     * @param type what its connections are for
     * @return a client that shares connections with the others of this kind
     * @throws IllegalArgumentException if the client speaks HTTP/3, which no proxy carries
     */
    public HttpClient customizeByHost(HttpClient client, ConnectionType type) {
        return apply(client, new RouteKey(null, type));
    }

    @Override
    public HttpClient customize(HttpClient client, String exchangeId, ConnectionType type) {
        return apply(client, new RouteKey(ExchangeId.of(exchangeId), type));
    }

    private HttpClient apply(HttpClient client, RouteKey key) {
        if (!router.isEnabled()) {
            return client;
        }
        refuseHttp3(client.configuration());
        return client.noProxy()
                .resolver(hops)
                .doOnChannelInit(route(key))
                .doOnConnect(NettyProxyInjector::refuseHttp3); // it may be asked for later on
    }

    private static void refuseHttp3(HttpClientConfig client) {
        for (HttpProtocol protocol : client.protocols()) {
            if (protocol == HttpProtocol.HTTP3) {
                throw new IllegalArgumentException(NO_HTTP3);
            }
        }
    }

    private ChannelRoute route(RouteKey key) {
        ChannelRoute kept = routes.get(key);
        if (kept != null) {
            return kept;
        }
        if (routes.size() >= MAX_KEPT_ROUTES) { // ids made from data, not a set of exchanges
            log.warn(
                    "More than {} exchange ids are in use; '{}' shares no connections with itself", routes.size(), key);
            return newRoute(key);
        }
        return routes.computeIfAbsent(key, this::newRoute);
    }

    private ChannelRoute newRoute(RouteKey key) {
        return new ChannelRoute(router, names, tls, key.exchange(), key.type(), routeNumbers.incrementAndGet());
    }

    @Override
    public WebSocketClient webSocketClient(String exchangeId) {
        return new ReactorNettyWebSocketClient(customize(clients.get(), exchangeId, ConnectionType.WEBSOCKET));
    }

    /**
     * A WebSocket client with routes that are chosen by the target's host.
     *
     * @return a new client
     */
    public WebSocketClient webSocketClientByHost() {
        return new ReactorNettyWebSocketClient(customizeByHost(clients.get(), ConnectionType.WEBSOCKET));
    }

    @Override
    public WebClient.Builder webClient(String exchangeId) {
        return webClients.apply(customize(clients.get(), exchangeId));
    }

    @Override
    public Mono<ProxyDecision> decide(String exchangeId, ConnectionType type) {
        return decide(ProxyTarget.of(ExchangeId.of(exchangeId), type));
    }

    @Override
    public Mono<ProxyDecision> decide(String exchangeId, ConnectionType type, String host) {
        return decide(new ProxyTarget(ExchangeId.of(exchangeId), type, host, 0));
    }

    private Mono<ProxyDecision> decide(ProxyTarget target) {
        return Mono.fromSupplier(() -> router.decide(target));
    }

    @Override
    public Mono<ProxyLease> lease(String exchangeId, ConnectionType type) {
        return router.lease(ProxyTarget.of(ExchangeId.of(exchangeId), type), List.of());
    }

    @Override
    public void close() {
        hops.close();
        names.close();
    }
}

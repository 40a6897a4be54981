package io.egressproxy.netty;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.routing.ProxyRouter;
import java.io.IOException;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.netty.Connection;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.client.HttpClient;
import reactor.netty.http.client.HttpClientConfig;
import reactor.netty.resources.LoopResources;

/** Puts routes into Reactor Netty clients. Thread-safe; close it with the context. */
public final class ClientRoutes implements AutoCloseable {
    private static final int MOST_CLOSED_IN_A_ROW = 20;
    private static final Logger log = LoggerFactory.getLogger(ClientRoutes.class);
    private static final int MAX_KEPT_ROUTES = 4_096;
    private static final String NO_HTTP3 = "HTTP/3 cannot be used here: no proxy carries it, and it would connect"
            + " directly; remove HttpProtocol.HTTP3 from the client, or do not route it";

    private record RouteKey(@Nullable ExchangeId exchange, ConnectionType type) {}

    private final ProxyRouter router;
    private final ProxySslContexts tls;
    private final NameResolution names;
    private final ProxyChannels channels = new ProxyChannels();
    private final HopResolverGroup hops = new HopResolverGroup();
    private final Map<RouteKey, ChannelRoute> routes = new ConcurrentHashMap<>();
    private final AtomicInteger routeNumbers = new AtomicInteger();

    /**
     * Routes.
     *
     * @param router decides
     * @param tls where the TLS contexts for {@code https} proxies come from
     * @param loops where names are resolved that must be resolved here
     */
    public ClientRoutes(ProxyRouter router, ProxySslContexts tls, LoopResources loops) {
        this(router, tls, new NameResolution(loops));
    }

    ClientRoutes(ProxyRouter router, ProxySslContexts tls, NameResolution names) {
        this.router = router;
        this.tls = tls;
        this.names = names;
        router.onProxyOut(channels::retire);
        router.onChange(channels::retireMisled);
    }

    /**
     * The client with routes that are chosen by the target's host.
     *
     * @param client the client to start from
     * @param type what its connections are for
     * @return a client that shares connections with the others of this kind; the client itself while the library is disabled
     * @throws IllegalArgumentException if the client speaks HTTP/3, which no proxy carries
     */
    public HttpClient byHost(HttpClient client, ConnectionType type) {
        return apply(client, new RouteKey(null, type));
    }

    /**
     * The client with the route of one exchange.
     *
     * @param client the client to start from
     * @param exchange the exchange
     * @param type what its connections are for
     * @return a client that shares connections with those of the same exchange and type only; the client itself while the
     *     library is disabled
     * @throws IllegalArgumentException if the client speaks HTTP/3, which no proxy carries
     */
    public HttpClient byExchange(HttpClient client, ExchangeId exchange, ConnectionType type) {
        return apply(client, new RouteKey(exchange, type));
    }

    /**
     * Whether a client has routes, and nothing was put in their place since.
     *
     * @param client any client
     * @return true if it was made here, or from a client that was
     */
    public static boolean areIn(HttpClient client) {
        return client.configuration().resolver() instanceof HopResolverGroup;
    }

    private HttpClient apply(HttpClient client, RouteKey key) {
        if (!router.isEnabled()) {
            return client;
        }
        refuseHttp3(client.configuration());
        return AddressSelection.keptBy(client)
                .noProxy()
                .resolver(hops)
                .doOnChannelInit(route(key))
                .mapConnect(connecting -> orAnother(connecting, MOST_CLOSED_IN_A_ROW))
                .doOnConnect(ClientRoutes::refuseHttp3); // it may be asked for later on
    }

    private static <C extends Connection> Mono<C> orAnother(Mono<C> connecting, int left) {
        return left == 0
                ? connecting
                : connecting.onErrorResume(
                        ClientRoutes::foundClosedOnesOnly, closed -> orAnother(connecting, left - 1));
    }

    /**
     * Whether the connection pool was handed two idle connections in a row that were just being closed, as many are when a proxy is left out or the
     * settings change. Nothing was sent then, and there are others, or a new one can be opened.
     */
    private static boolean foundClosedOnesOnly(Throwable failure) {
        return failure.getClass() == IOException.class
                && String.valueOf(failure.getMessage()).startsWith("Error while acquiring from");
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
                    "More than {} exchange ids are in use; clients of '{}' share no connections", MAX_KEPT_ROUTES, key);
            return newRoute(key);
        }
        return routes.computeIfAbsent(key, this::newRoute);
    }

    private ChannelRoute newRoute(RouteKey key) {
        return new ChannelRoute(new RoutedLeases(router, key), names, tls, channels, routeNumbers.incrementAndGet());
    }

    @Override
    public void close() {
        hops.close();
        names.close();
    }

    /** What the router decides for the exchange of a route, or for the one that claims the host. */
    private record RoutedLeases(ProxyRouter router, RouteKey key) implements Leases {
        @Override
        public ProxyTarget target(String host, int port) {
            return key.exchange() == null
                    ? router.target(key.type(), host, port)
                    : new ProxyTarget(key.exchange(), key.type(), host, port);
        }

        @Override
        public @Nullable ProxyLease leaseAtOnce(ProxyTarget target, Collection<ProxyUrl> tried)
                throws ProxyConnectionException {
            return router.leaseAtOnce(target, tried);
        }

        @Override
        public Mono<ProxyLease> lease(ProxyTarget target, Collection<ProxyUrl> tried) {
            return router.leaseByAsking(target, tried);
        }

        @Override
        public boolean leadsTo(String host, int port, ProxyDecision earlier) {
            return router.leadsTo(target(host, port), earlier);
        }
    }
}

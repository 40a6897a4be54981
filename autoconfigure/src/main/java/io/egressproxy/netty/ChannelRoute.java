package io.egressproxy.netty;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyTarget;
import io.egressproxy.routing.ProxyRouter;
import io.netty.channel.Channel;
import io.netty.channel.ChannelPipeline;
import java.net.SocketAddress;
import org.jspecify.annotations.Nullable;
import reactor.netty.ChannelPipelineConfigurer;
import reactor.netty.ConnectionObserver;

/**
 * A route as a client has it: puts a {@link RoutingHandler} into each of its channels.
 *
 * <p>It is part of the key of Reactor Netty's connection pools: clients with the same route share connections to a target,
 * those with different ones do not. So there is one for each exchange and type, and one for each type by host. Equality is
 * identity on purpose, with hash codes that are all different: the pools compare nothing else.
 */
final class ChannelRoute implements ChannelPipelineConfigurer {
    private static final String HANDLER = "egressProxyRouting";

    private final ProxyRouter router;
    private final NameResolution names;
    private final ProxySslContexts tls;
    private final @Nullable ExchangeId exchange;
    private final ConnectionType type;
    private final int hash;

    /**
     * A route.
     *
     * @param exchange the exchange that every connection belongs to, or null to find it by the target's host
     * @param type what the connections are for
     * @param number differs for each route
     */
    ChannelRoute(
            ProxyRouter router,
            NameResolution names,
            ProxySslContexts tls,
            @Nullable ExchangeId exchange,
            ConnectionType type,
            int number) {
        this.router = router;
        this.names = names;
        this.tls = tls;
        this.exchange = exchange;
        this.type = type;
        this.hash = number * 0x9E3779B1; // odd, so that different numbers have different hashes, spread out
    }

    ProxyRouter router() {
        return router;
    }

    NameResolution names() {
        return names;
    }

    ProxySslContexts tls() {
        return tls;
    }

    ProxyTarget target(String host, int port) {
        return exchange == null ? router.target(type, host, port) : new ProxyTarget(exchange, type, host, port);
    }

    @Override
    public void onChannelInit(ConnectionObserver observer, Channel channel, @Nullable SocketAddress remote) {
        ChannelPipeline pipeline = channel.pipeline();
        if (pipeline.get(HANDLER) == null) {
            pipeline.addFirst(HANDLER, new RoutingHandler(this));
        } else { // a route on top of another: the later one counts
            pipeline.replace(HANDLER, HANDLER, new RoutingHandler(this));
        }
    }

    /** A route on top of another replaces it, so that deriving a client from a routed one makes no pool of its own. */
    @Override
    public ChannelPipelineConfigurer then(ChannelPipelineConfigurer other) {
        return other instanceof ChannelRoute ? other : ChannelPipelineConfigurer.super.then(other);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return hash;
    }
}

package io.egressproxy.netty;

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

    private final Leases leases;
    private final NameResolution names;
    private final ProxySslContexts tls;
    private final ProxyChannels channels;
    private final int hash;

    /**
     * A route.
     *
     * @param leases decides
     * @param names resolves what must be resolved here
     * @param tls where the TLS contexts for {@code https} proxies come from
     * @param channels knows what goes through which proxy
     * @param number differs for each route
     */
    ChannelRoute(Leases leases, NameResolution names, ProxySslContexts tls, ProxyChannels channels, int number) {
        this.leases = leases;
        this.names = names;
        this.tls = tls;
        this.channels = channels;
        this.hash = number * 0x9E3779B1; // odd, so that different numbers have different hashes, spread out
    }

    ProxyChannels channels() {
        return channels;
    }

    Leases leases() {
        return leases;
    }

    NameResolution names() {
        return names;
    }

    ProxySslContexts tls() {
        return tls;
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

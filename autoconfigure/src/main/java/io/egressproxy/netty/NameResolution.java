package io.egressproxy.netty;

import io.netty.channel.Channel;
import io.netty.channel.EventLoop;
import io.netty.resolver.dns.DnsAddressResolverGroup;
import io.netty.util.NetUtil;
import io.netty.util.concurrent.Future;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import reactor.netty.resources.LoopResources;
import reactor.netty.transport.NameResolverProvider;

/**
 * Resolves the few names that must be resolved here, without blocking: those of proxies, of direct targets, and of targets
 * behind plain SOCKS 4, which cannot carry names.
 *
 * <p>Look-ups run on an event loop of these resources, whatever loop the asking channel lives on: a client may bring loops
 * of another transport, on which a resolver made for this one could not open its sockets.
 */
class NameResolution implements AutoCloseable {
    private final DnsAddressResolverGroup resolvers;
    private final EventLoop loop;

    NameResolution(LoopResources loops) {
        this.resolvers = NameResolverProvider.builder().build().newNameResolverGroup(loops, true);
        this.loop = loops.onClient(true).next();
    }

    /** What a look-up found: addresses, or why there are none. */
    interface Callback extends BiConsumer<List<InetSocketAddress>, @Nullable Throwable> {}

    /**
     * Resolves a name for a channel.
     *
     * @param channel the channel that needs it; the callback runs on its event loop
     * @param host a name or an address
     * @param port the port of the results
     * @param callback gets at least one address, or none and the reason
     */
    void resolve(Channel channel, String host, int port, Callback callback) {
        InetAddress literal = literal(host);
        if (literal != null) {
            callback.accept(List.of(new InetSocketAddress(literal, port)), null);
            return;
        }
        resolvers
                .getResolver(loop)
                .resolveAll(InetSocketAddress.createUnresolved(host, port))
                .addListener((Future<List<InetSocketAddress>> found) -> channel.eventLoop()
                        .execute(() -> callback.accept(found.isSuccess() ? found.getNow() : List.of(), found.cause())));
    }

    /** As {@link #resolve}, leaving out what is not IPv4. */
    void resolveIpv4(Channel channel, String host, int port, Callback callback) {
        resolve(channel, host, port, (addresses, failure) -> {
            List<InetSocketAddress> ipv4 = addresses.stream()
                    .filter(address -> address.getAddress() instanceof Inet4Address)
                    .toList();
            callback.accept(ipv4, failure != null || !ipv4.isEmpty() ? failure : new UnknownHostException(host));
        });
    }

    /** The address that a host is written as, or null if it is a name. Looks nothing up. */
    static @Nullable InetAddress literal(String host) {
        byte[] literal = NetUtil.createByteArrayFromIpAddressString(host);
        if (literal == null) {
            return null;
        }
        try {
            return InetAddress.getByAddress(host, literal);
        } catch (UnknownHostException impossible) {
            throw new IllegalStateException("an address of " + literal.length + " bytes", impossible);
        }
    }

    @Override
    public void close() {
        resolvers.close();
    }
}

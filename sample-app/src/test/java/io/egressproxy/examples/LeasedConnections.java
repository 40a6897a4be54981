package io.egressproxy.examples;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyUrl;
import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.proxy.HttpProxyHandler;
import io.netty.handler.proxy.ProxyHandler;
import io.netty.handler.proxy.Socks5ProxyHandler;
import io.netty.resolver.NoopAddressResolverGroup;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Schedulers;

/** Connections of a protocol of one's own on plain Netty, as FIX might be. */
class LeasedConnections {
    private final ProxyInjector proxies;
    private final EventLoopGroup eventLoops;

    LeasedConnections(ProxyInjector proxies, EventLoopGroup eventLoops) {
        this.proxies = proxies;
        this.eventLoops = eventLoops;
    }

    Mono<Channel> connect(String exchange, String host, int port) {
        return proxies.lease(exchange, ConnectionType.WEBSOCKET) // an error if the connection is refused
                .publishOn(Schedulers.boundedElastic()) // looking a name up takes its time
                .flatMap(lease -> Mono.create(connected -> connect(lease, host, port, connected)));
    }

    private void connect(ProxyLease lease, String host, int port, MonoSink<Channel> connected) {
        ProxyHandler proxy = lease.decision() instanceof UseProxy use ? handler(use.proxy()) : null;
        if (proxy == null) {
            lease.close(new Outcome.Cancelled());
            connected.error(new ConnectException("neither direct nor through such a proxy: " + lease.decision()));
            return;
        }
        int timeout = Math.toIntExact(((UseProxy) lease.decision()).timeout().toMillis());
        proxy.setConnectTimeoutMillis(timeout);
        AtomicReference<@Nullable Duration> latency = new AtomicReference<>();
        long start = System.nanoTime();
        ChannelFuture connecting = new Bootstrap()
                .group(eventLoops)
                .channel(NioSocketChannel.class)
                .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, timeout)
                .resolver(NoopAddressResolverGroup.INSTANCE) // the proxy looks the name up, this machine does not
                .handler(proxy)
                .connect(InetSocketAddress.createUnresolved(host, port));
        Channel channel = connecting.channel();
        connected.onCancel(channel::close); // nobody waits any more
        connecting.addListener(tcp -> {
            if (!tcp.isSuccess()) {
                lease.close(new Outcome.Failed(ConnectionStage.TCP, Blame.PROXY, "no connection to the proxy"));
                connected.error(tcp.cause());
            }
        });
        proxy.connectFuture().addListener(tunnel -> {
            if (tunnel.isSuccess()) {
                latency.set(Duration.ofNanos(System.nanoTime() - start));
                connected.success(channel);
            } else { // the next choice goes by it; whose fault it was is not told apart here
                lease.close(new Outcome.Failed(ConnectionStage.HANDSHAKE, Blame.AMBIGUOUS, "no tunnel"));
                connected.error(tunnel.cause());
            }
        });
        channel.closeFuture()
                .addListener(
                        closed -> { // whatever came of it, the lease is given back
                            Duration stood = latency.get();
                            lease.close(stood == null ? new Outcome.Cancelled() : new Outcome.Succeeded(stood));
                        });
    }

    /** Null for schemes that Netty's handlers do not speak. */
    private static @Nullable ProxyHandler handler(ProxyUrl url) {
        InetSocketAddress address = new InetSocketAddress(url.host(), url.port()); // looks the proxy's own name up
        ProxyUrl.Credentials user = url.credentials();
        return switch (url.scheme()) {
            case HTTP ->
                user == null
                        ? new HttpProxyHandler(address)
                        : new HttpProxyHandler(address, user.username(), user.password());
            case SOCKS5 ->
                user == null
                        ? new Socks5ProxyHandler(address)
                        : new Socks5ProxyHandler(address, user.username(), user.password());
            default -> null;
        };
    }
}

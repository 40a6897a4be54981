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
import io.netty.channel.EventLoopGroup;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.proxy.HttpProxyHandler;
import io.netty.handler.proxy.ProxyHandler;
import io.netty.handler.proxy.Socks5ProxyHandler;
import io.netty.resolver.NoopAddressResolverGroup;
import java.net.InetSocketAddress;
import java.time.Duration;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

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
                .flatMap(lease -> Mono.create(connected -> connect(lease, host, port, connected)));
    }

    private void connect(ProxyLease lease, String host, int port, MonoSink<Channel> connected) {
        if (!(lease.decision() instanceof UseProxy use)) {
            lease.close(new Outcome.Cancelled());
            connected.error(new IllegalStateException("this protocol never goes without a proxy"));
            return;
        }
        long start = System.nanoTime();
        ProxyHandler proxy = handler(use.proxy());
        proxy.setConnectTimeoutMillis(use.timeout().toMillis());
        proxy.connectFuture().addListener(tunnel -> {
            Duration latency = Duration.ofNanos(System.nanoTime() - start);
            if (tunnel.isSuccess()) {
                Channel channel = (Channel) tunnel.getNow();
                channel.closeFuture().addListener(closed -> lease.close(new Outcome.Succeeded(latency)));
                lease.established(latency);
                connected.success(channel);
            } else {
                failed(lease, ConnectionStage.HANDSHAKE, connected, tunnel.cause());
            }
        });
        new Bootstrap()
                .group(eventLoops)
                .channel(NioSocketChannel.class)
                .resolver(NoopAddressResolverGroup.INSTANCE) // the proxy looks the name up, this machine does not
                .handler(proxy)
                .connect(InetSocketAddress.createUnresolved(host, port))
                .addListener(tcp -> {
                    if (!tcp.isSuccess()) {
                        failed(lease, ConnectionStage.TCP, connected, tcp.cause());
                    }
                });
    }

    private static void failed(ProxyLease lease, ConnectionStage stage, MonoSink<Channel> connected, Throwable cause) {
        lease.close(new Outcome.Failed(stage, Blame.PROXY, "no tunnel")); // the next choice goes by it
        connected.error(cause);
    }

    private static ProxyHandler handler(ProxyUrl url) {
        InetSocketAddress address = new InetSocketAddress(url.host(), url.port());
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
            default -> throw new IllegalArgumentException("no " + url.scheme() + " here: " + url);
        };
    }
}

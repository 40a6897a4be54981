package io.egressproxy.sample.localproxy;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.socket.ServerSocketChannel;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.net.InetSocketAddress;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.netty.resources.LoopResources;

/** One proxy on a loopback port, which can be stopped and started as often as one likes. Thread-safe. */
final class LocalProxy {

    static final int HANDSHAKE_TIMEOUT_SECONDS = 10;

    private static final Logger log = LoggerFactory.getLogger(LocalProxy.class);

    private final String name;
    private final String scheme;
    private final LoopResources loops;
    private final OutgoingPorts outgoingPorts;
    private final BiConsumer<ChannelPipeline, Tunnels> handshake;
    private int port;
    private @Nullable ChannelGroup channels;
    private volatile boolean frozen;

    private LocalProxy(
            String name,
            String scheme,
            int port,
            LoopResources loops,
            OutgoingPorts outgoingPorts,
            BiConsumer<ChannelPipeline, Tunnels> handshake) {
        this.name = name;
        this.scheme = scheme;
        this.port = port;
        this.loops = loops;
        this.outgoingPorts = outgoingPorts;
        this.handshake = handshake;
    }

    static LocalProxy http(String name, int port, LoopResources loops, OutgoingPorts outgoingPorts) {
        return new LocalProxy(name, "http", port, loops, outgoingPorts, HttpConnectHandshake::install);
    }

    static LocalProxy socks5(
            String name, int port, Credentials credentials, LoopResources loops, OutgoingPorts outgoingPorts) {
        return new LocalProxy(
                name,
                "socks5",
                port,
                loops,
                outgoingPorts,
                (pipeline, tunnels) -> Socks5Handshake.install(pipeline, credentials, tunnels));
    }

    String name() {
        return name;
    }

    /** The proxy as a client would write it, without credentials. */
    synchronized String url() {
        return scheme + "://127.0.0.1:" + port;
    }

    /** The port it listens on; once started, also if it was 0 (any free one), and the same after a restart. */
    synchronized int port() {
        return port;
    }

    synchronized boolean isRunning() {
        return channels != null;
    }

    boolean isFrozen() {
        return frozen;
    }

    /** Stays open to everybody and answers nobody, as a process that hangs. Does nothing if it is stopped. */
    synchronized void freeze() {
        if (channels != null) {
            frozen = true;
            channels.forEach(Gate::turn);
            log.info("Local proxy {} is frozen", name);
        }
    }

    /** Listens, and answers again if it was frozen. Does nothing if it does already. */
    synchronized void start() {
        if (frozen) {
            frozen = false;
            Objects.requireNonNull(channels).forEach(Gate::turn);
            log.info("Local proxy {} goes on", name);
        }
        if (channels != null) {
            return;
        }
        // Stays closed once closed: a connection accepted in the very moment of the stop must not survive it.
        ChannelGroup group = new DefaultChannelGroup(name, GlobalEventExecutor.INSTANCE, true);
        Tunnels tunnels = new Tunnels(this, loops, outgoingPorts, group);
        EventLoopGroup eventLoops = loops.onServer(false);
        ChannelFuture bound = new ServerBootstrap()
                .group(eventLoops)
                .channelFactory(() -> loops.onChannel(ServerSocketChannel.class, eventLoops))
                .option(ChannelOption.SO_REUSEADDR, true)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel client) {
                        group.add(client);
                        client.pipeline().addFirst(new Gate(LocalProxy.this));
                        handshake.accept(client.pipeline(), tunnels);
                    }
                })
                .bind("127.0.0.1", port)
                .awaitUninterruptibly();
        if (!bound.isSuccess()) {
            throw new IllegalStateException(
                    "Local proxy %s cannot listen on port %d; choose another one with %s"
                            .formatted(
                                    name,
                                    port,
                                    scheme.equals("http")
                                            ? "sample.local-proxies.http-port"
                                            : "sample.local-proxies.socks5-port, .second-socks5-port or .leased-socks5-port"),
                    bound.cause());
        }
        group.add(bound.channel());
        port = ((InetSocketAddress) bound.channel().localAddress()).getPort();
        channels = group;
        log.info("Local proxy {} listens on {}", name, url());
    }

    /** Stops listening and closes every connection, both halves of each. Does nothing if it is stopped. */
    synchronized void stop() {
        if (channels == null) {
            return;
        }
        // The group closes its server channels first.
        channels.close().awaitUninterruptibly();
        channels = null;
        frozen = false;
        log.info("Local proxy {} stopped, all its connections are closed", name);
    }
}

package io.egressproxy.sample.localproxy;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.socket.DuplexChannel;
import io.netty.channel.socket.SocketChannel;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import reactor.netty.resources.LoopResources;

/** Opens the second half of a tunnel and joins the halves; common to both kinds of proxy. */
final class Tunnels {

    private static final int CONNECT_TIMEOUT_MILLIS = 5_000;

    private final LocalProxy proxy;
    private final LoopResources loops;
    private final OutgoingPorts outgoingPorts;
    private final ChannelGroup channels;

    Tunnels(LocalProxy proxy, LoopResources loops, OutgoingPorts outgoingPorts, ChannelGroup channels) {
        this.proxy = proxy;
        this.loops = loops;
        this.outgoingPorts = outgoingPorts;
        this.channels = channels;
    }

    /**
     * Connects to the target on the client's event loop. The client is not read from meanwhile, the target not before
     * {@link #join}.
     *
     * @throws UnknownHostException if the proxy does not know the name
     */
    ChannelFuture connect(Channel client, String host, int port) throws UnknownHostException {
        InetSocketAddress address = new InetSocketAddress(LocalNames.resolve(host), port);
        client.config().setAutoRead(false);
        return new Bootstrap()
                .group(client.eventLoop())
                .channelFactory(() -> loops.onChannel(SocketChannel.class, client.eventLoop()))
                .option(ChannelOption.AUTO_READ, false)
                .option(ChannelOption.ALLOW_HALF_CLOSURE, true)
                .option(ChannelOption.TCP_NODELAY, true)
                .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS)
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel target) {
                        channels.add(target);
                        target.pipeline().addFirst(new Gate(proxy));
                    }
                })
                .connect(address)
                .addListener((ChannelFuture connected) -> {
                    if (connected.isSuccess()) {
                        outgoingPorts.opened(proxy.name(), connected.channel());
                    }
                });
    }

    /** Relays both ways from now on. To be called once the client's pipeline is otherwise empty. */
    void join(Channel client, Channel target) {
        client.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
        client.pipeline().addLast(new Relay((DuplexChannel) target));
        target.pipeline().addLast(new Relay((DuplexChannel) client));
        if (!client.isActive()) {
            target.close();
            return;
        }
        target.config().setAutoRead(true);
        client.config().setAutoRead(true);
    }
}

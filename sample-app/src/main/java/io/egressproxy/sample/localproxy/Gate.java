package io.egressproxy.sample.localproxy;

import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;

/**
 * Lets a connection be read from, or not: then it stays open, and whoever is at its other end waits, as for a process that hangs. The first handler
 * of each channel of a local proxy.
 */
final class Gate extends ChannelDuplexHandler {

    private final LocalProxy proxy;
    // on the channel's event loop only
    private boolean wanted;

    Gate(LocalProxy proxy) {
        this.proxy = proxy;
    }

    @Override
    public void read(ChannelHandlerContext context) {
        if (proxy.isFrozen()) {
            wanted = true;
        } else {
            context.read();
        }
    }

    /** To be called whenever the proxy has been frozen, or is not any more. */
    static void turn(Channel channel) {
        channel.eventLoop().execute(() -> {
            Gate gate = channel.pipeline().get(Gate.class);
            if (gate == null) {
                return; // of the socket that listens: a frozen process has its connections accepted by the system
            }
            if (gate.proxy.isFrozen()) {
                gate.wanted |= channel.config().isAutoRead();
                channel.config().setAutoRead(false);
            } else if (gate.wanted) {
                gate.wanted = false;
                channel.config().setAutoRead(true);
                channel.read();
            }
        });
    }
}

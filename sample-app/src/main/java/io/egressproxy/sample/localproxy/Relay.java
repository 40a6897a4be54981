package io.egressproxy.sample.localproxy;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;

/**
 * One direction of a tunnel: what its channel reads is written to the peer.
 *
 * <p>Both channels of a tunnel are on one event loop, so there is nothing to synchronize. Memory stays bounded because
 * a channel is read only while its peer takes what it is given.
 */
final class Relay extends ChannelInboundHandlerAdapter {

    private final DuplexChannel peer;

    Relay(DuplexChannel peer) {
        this.peer = peer;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        // A failed write needs no handling: the peer is closed then, and its own relay closes this side.
        peer.write(message);
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
        peer.flush();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext context) {
        peer.config().setAutoRead(context.channel().isWritable());
        context.fireChannelWritabilityChanged();
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
        if (event instanceof ChannelInputShutdownEvent) {
            DuplexChannel channel = (DuplexChannel) context.channel();
            // One side has said all it had to say, the other may still be answering: pass the end on, no more. The
            // empty buffer is done when everything before it is.
            peer.writeAndFlush(Unpooled.EMPTY_BUFFER)
                    .addListener(flushed -> peer.shutdownOutput().addListener(ended -> {
                        if (channel.isOutputShutdown()) {
                            channel.close();
                            peer.close();
                        }
                    }));
        }
        context.fireUserEventTriggered(event);
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        peer.close();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        // A reset by either end is everyday life for a proxy; channelInactive takes the peer down too.
        context.close();
    }
}

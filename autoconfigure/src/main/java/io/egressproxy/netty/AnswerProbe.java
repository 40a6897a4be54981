package io.egressproxy.netty;

import io.egressproxy.ProxyUrl;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;

/**
 * Looks at the first byte that a proxy answers, before any decoder does. Netty's SOCKS decoders turn whatever they do not
 * understand into an ordinary refusal, so that a web server on the port of a SOCKS proxy would look like a wrong password.
 */
final class AnswerProbe extends ChannelInboundHandlerAdapter {
    private final ProxyUrl.Scheme scheme;
    private boolean answered;
    private boolean foreign;

    AnswerProbe(ProxyUrl.Scheme scheme) {
        this.scheme = scheme;
    }

    /** Whether the proxy has sent anything. */
    boolean answered() {
        return answered;
    }

    /** Whether what it sent is not its protocol. */
    boolean foreign() {
        return foreign;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        if (!answered && message instanceof ByteBuf bytes && bytes.isReadable()) {
            answered = true;
            int first = bytes.getUnsignedByte(bytes.readerIndex());
            foreign = switch (scheme) {
                case HTTP, HTTPS -> first != 'H';
                case SOCKS4, SOCKS4A -> first != 0;
                case SOCKS5 -> first != 5;
            };
        }
        ctx.fireChannelRead(message);
    }
}

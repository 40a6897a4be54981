package io.egressproxy.sample.localproxy;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.socksx.v5.DefaultSocks5CommandResponse;
import io.netty.handler.codec.socksx.v5.DefaultSocks5InitialResponse;
import io.netty.handler.codec.socksx.v5.DefaultSocks5PasswordAuthResponse;
import io.netty.handler.codec.socksx.v5.Socks5AddressType;
import io.netty.handler.codec.socksx.v5.Socks5AuthMethod;
import io.netty.handler.codec.socksx.v5.Socks5CommandRequest;
import io.netty.handler.codec.socksx.v5.Socks5CommandRequestDecoder;
import io.netty.handler.codec.socksx.v5.Socks5CommandStatus;
import io.netty.handler.codec.socksx.v5.Socks5CommandType;
import io.netty.handler.codec.socksx.v5.Socks5InitialRequest;
import io.netty.handler.codec.socksx.v5.Socks5InitialRequestDecoder;
import io.netty.handler.codec.socksx.v5.Socks5Message;
import io.netty.handler.codec.socksx.v5.Socks5PasswordAuthRequest;
import io.netty.handler.codec.socksx.v5.Socks5PasswordAuthRequestDecoder;
import io.netty.handler.codec.socksx.v5.Socks5PasswordAuthStatus;
import io.netty.handler.codec.socksx.v5.Socks5ServerEncoder;
import io.netty.handler.timeout.ReadTimeoutHandler;
import java.net.ConnectException;
import java.net.UnknownHostException;

/** The server's side of a SOCKS5 CONNECT by name (RFC 1928), with user name and password (RFC 1929). */
final class Socks5Handshake extends SimpleChannelInboundHandler<Socks5Message> {

    private final Credentials credentials;
    private final Tunnels tunnels;

    private Socks5Handshake(Credentials credentials, Tunnels tunnels) {
        this.credentials = credentials;
        this.tunnels = tunnels;
    }

    static void install(ChannelPipeline pipeline, Credentials credentials, Tunnels tunnels) {
        pipeline.addLast(
                Socks5ServerEncoder.DEFAULT,
                new Socks5InitialRequestDecoder(),
                new ReadTimeoutHandler(LocalProxy.HANDSHAKE_TIMEOUT_SECONDS),
                new Socks5Handshake(credentials, tunnels));
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, Socks5Message message) {
        if (message.decoderResult().isFailure()) {
            context.close();
        } else if (message instanceof Socks5InitialRequest greeting) {
            greet(context, greeting);
        } else if (message instanceof Socks5PasswordAuthRequest login) {
            authenticate(context, login);
        } else if (message instanceof Socks5CommandRequest command) {
            obey(context, command);
        }
    }

    private static void greet(ChannelHandlerContext context, Socks5InitialRequest greeting) {
        if (greeting.authMethods().contains(Socks5AuthMethod.PASSWORD)) {
            expect(context, Socks5InitialRequestDecoder.class, new Socks5PasswordAuthRequestDecoder());
            context.writeAndFlush(new DefaultSocks5InitialResponse(Socks5AuthMethod.PASSWORD));
        } else {
            end(context, new DefaultSocks5InitialResponse(Socks5AuthMethod.UNACCEPTED));
        }
    }

    private void authenticate(ChannelHandlerContext context, Socks5PasswordAuthRequest login) {
        if (credentials.accept(login.username(), login.password())) {
            expect(context, Socks5PasswordAuthRequestDecoder.class, new Socks5CommandRequestDecoder());
            context.writeAndFlush(new DefaultSocks5PasswordAuthResponse(Socks5PasswordAuthStatus.SUCCESS));
        } else {
            end(context, new DefaultSocks5PasswordAuthResponse(Socks5PasswordAuthStatus.FAILURE));
        }
    }

    private void obey(ChannelHandlerContext context, Socks5CommandRequest command) {
        if (!command.type().equals(Socks5CommandType.CONNECT)) {
            refuse(context, Socks5CommandStatus.COMMAND_UNSUPPORTED);
            return;
        }
        // An address instead of a name means that the client has resolved it, which is what this proxy is here to
        // catch.
        if (!command.dstAddrType().equals(Socks5AddressType.DOMAIN) || LocalNames.isAddress(command.dstAddr())) {
            refuse(context, Socks5CommandStatus.FORBIDDEN);
            return;
        }
        try {
            context.pipeline().remove(ReadTimeoutHandler.class);
            tunnels.connect(context.channel(), command.dstAddr(), command.dstPort())
                    .addListener((ChannelFuture connected) -> {
                        if (connected.isSuccess()) {
                            establish(context, connected.channel());
                        } else {
                            refuse(
                                    context,
                                    connected.cause() instanceof ConnectException
                                            ? Socks5CommandStatus.CONNECTION_REFUSED
                                            : Socks5CommandStatus.FAILURE);
                        }
                    });
        } catch (UnknownHostException unknown) {
            refuse(context, Socks5CommandStatus.HOST_UNREACHABLE);
        }
    }

    private void establish(ChannelHandlerContext context, Channel target) {
        Channel client = context.channel();
        client.writeAndFlush(
                new DefaultSocks5CommandResponse(Socks5CommandStatus.SUCCESS, Socks5AddressType.IPv4, "127.0.0.1", 0));
        ChannelPipeline pipeline = client.pipeline();
        pipeline.remove(this);
        pipeline.remove(Socks5ServerEncoder.class);
        tunnels.join(client, target);
        // Last, so that bytes it has kept go straight into the relay.
        pipeline.remove(Socks5CommandRequestDecoder.class);
    }

    /** The next message's decoder takes the place of the last one's, which hands it the bytes it has not used. */
    private static void expect(
            ChannelHandlerContext context, Class<? extends ChannelHandler> last, ChannelHandler next) {
        context.pipeline().replace(last, null, next);
    }

    private static void refuse(ChannelHandlerContext context, Socks5CommandStatus status) {
        end(context, new DefaultSocks5CommandResponse(status, Socks5AddressType.IPv4, "0.0.0.0", 0));
    }

    private static void end(ChannelHandlerContext context, Socks5Message lastWord) {
        context.channel().config().setAutoRead(false);
        context.writeAndFlush(lastWord).addListener(ChannelFutureListener.CLOSE);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        context.close();
    }
}

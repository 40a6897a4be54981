package io.egressproxy.sample.localproxy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpRequestDecoder;
import io.netty.handler.codec.http.HttpResponseEncoder;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.timeout.ReadTimeoutHandler;
import java.net.UnknownHostException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The server's side of {@code CONNECT host:port}. The proxy forwards nothing else; plain HTTP is tunnelled too. */
final class HttpConnectHandshake extends SimpleChannelInboundHandler<HttpObject> {

    private static final Pattern AUTHORITY = Pattern.compile("\\[?(?<host>[^\\[\\]/@]+?)]?:(?<port>\\d{1,5})");

    private final Tunnels tunnels;

    private HttpConnectHandshake(Tunnels tunnels) {
        this.tunnels = tunnels;
    }

    static void install(ChannelPipeline pipeline, Tunnels tunnels) {
        HttpRequestDecoder decoder = new HttpRequestDecoder();
        // What a hasty client sends right behind its request is the tunnel's and must not be taken for a second
        // request.
        decoder.setSingleDecode(true);
        pipeline.addLast(
                decoder,
                new HttpResponseEncoder(),
                new ReadTimeoutHandler(LocalProxy.HANDSHAKE_TIMEOUT_SECONDS),
                new HttpConnectHandshake(tunnels));
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, HttpObject message) {
        if (!(message instanceof HttpRequest request)) {
            return;
        }
        if (request.decoderResult().isFailure()) {
            refuse(context, HttpResponseStatus.BAD_REQUEST, "This is not HTTP");
            return;
        }
        if (!request.method().equals(HttpMethod.CONNECT)) {
            refuse(context, HttpResponseStatus.METHOD_NOT_ALLOWED, "CONNECT only (with curl: --proxytunnel)");
            return;
        }
        Matcher authority = AUTHORITY.matcher(request.uri());
        if (!authority.matches() || Integer.parseInt(authority.group("port")) > 65_535) {
            refuse(context, HttpResponseStatus.BAD_REQUEST, "CONNECT needs host:port");
            return;
        }
        connect(context, authority.group("host"), Integer.parseInt(authority.group("port")));
    }

    private void connect(ChannelHandlerContext context, String host, int port) {
        if (LocalNames.isAddress(host)) {
            refuse(context, HttpResponseStatus.FORBIDDEN, "Names only, this one was resolved by the client");
            return;
        }
        try {
            context.pipeline().remove(ReadTimeoutHandler.class);
            tunnels.connect(context.channel(), host, port).addListener((ChannelFuture connected) -> {
                if (connected.isSuccess()) {
                    establish(context, connected.channel());
                } else {
                    refuse(context, HttpResponseStatus.BAD_GATEWAY, "No connection to " + host + ":" + port);
                }
            });
        } catch (UnknownHostException unknown) {
            refuse(context, HttpResponseStatus.BAD_GATEWAY, "Unknown host " + host);
        }
    }

    private void establish(ChannelHandlerContext context, Channel target) {
        Channel client = context.channel();
        client.writeAndFlush(new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1, new HttpResponseStatus(200, "Connection established"), Unpooled.EMPTY_BUFFER));
        ChannelPipeline pipeline = client.pipeline();
        pipeline.remove(this);
        pipeline.remove(HttpResponseEncoder.class);
        tunnels.join(client, target);
        // Last, so that bytes it has kept go straight into the relay.
        pipeline.remove(HttpRequestDecoder.class);
    }

    private static void refuse(ChannelHandlerContext context, HttpResponseStatus status, String reason) {
        ByteBuf body = ByteBufUtil.writeUtf8(context.alloc(), reason + "\n");
        DefaultFullHttpResponse response = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, status, body);
        response.headers()
                .set(HttpHeaderNames.CONTENT_TYPE, "text/plain; charset=utf-8")
                .set(HttpHeaderNames.CONTENT_LENGTH, body.readableBytes())
                .set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        if (status.equals(HttpResponseStatus.METHOD_NOT_ALLOWED)) {
            response.headers().set(HttpHeaderNames.ALLOW, HttpMethod.CONNECT);
        }
        context.channel().config().setAutoRead(false);
        context.writeAndFlush(response).addListener(ChannelFutureListener.CLOSE);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        context.close();
    }
}

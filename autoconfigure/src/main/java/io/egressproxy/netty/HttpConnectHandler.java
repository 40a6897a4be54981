package io.egressproxy.netty;

import io.egressproxy.ProxyUrl;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequestEncoder;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.proxy.ProxyConnectException;
import io.netty.handler.proxy.ProxyHandler;
import io.netty.util.NetUtil;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/**
 * Opens a tunnel by HTTP {@code CONNECT} (RFC 9110, section 9.3.6).
 *
 * <p>Netty's own handler waits for the end of the answer's body, so that a 407 without a length on a connection that stays
 * open is only seen as a timeout, takes no success but 200, and puts the status into the text of its exception. This one
 * decides by the status line and keeps status and headers.
 */
final class HttpConnectHandler extends ProxyHandler {
    private static final String ENCODER = "egressProxyConnectEncoder";
    private static final String DECODER = "egressProxyConnectDecoder";

    /** The proxy answered, and not with a tunnel. */
    static final class RefusedException extends ProxyConnectException {
        private final transient HttpResponseStatus status;
        private final transient @Nullable String retryAfter;

        RefusedException(HttpResponseStatus status, HttpHeaders headers) {
            super("CONNECT was answered with " + status.code());
            this.status = status;
            this.retryAfter = headers.get(HttpHeaderNames.RETRY_AFTER);
        }

        HttpResponseStatus status() {
            return status;
        }

        @Nullable
        String retryAfter() {
            return retryAfter;
        }
    }

    /** What came back is no answer to {@code CONNECT}. */
    static final class NotHttpException extends ProxyConnectException {
        NotHttpException() {
            super("CONNECT was answered with something that is not HTTP");
        }
    }

    private final ProxyUrl.@Nullable Credentials credentials;
    private boolean accepted;

    HttpConnectHandler(SocketAddress proxyAddress, ProxyUrl.@Nullable Credentials credentials) {
        super(proxyAddress);
        this.credentials = credentials;
    }

    @Override
    public String protocol() {
        return "http";
    }

    @Override
    public String authScheme() {
        return credentials == null ? "none" : "basic";
    }

    @Override
    protected void addCodec(ChannelHandlerContext ctx) {
        ChannelPipeline pipeline = ctx.pipeline();
        pipeline.addBefore(ctx.name(), DECODER, new ConnectResponseDecoder());
        pipeline.addBefore(ctx.name(), ENCODER, new HttpRequestEncoder());
    }

    @Override
    protected void removeEncoder(ChannelHandlerContext ctx) {
        ctx.pipeline().remove(ENCODER);
    }

    @Override
    protected void removeDecoder(ChannelHandlerContext ctx) {
        ctx.pipeline().remove(DECODER);
    }

    @Override
    protected Object newInitialMessage(ChannelHandlerContext ctx) {
        InetSocketAddress target = destinationAddress();
        String host = target.getHostString();
        String authority = (NetUtil.isValidIpV6Address(host) ? "[" + host + "]" : host) + ":" + target.getPort();
        FullHttpRequest connect = new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.CONNECT, authority);
        connect.headers().set(HttpHeaderNames.HOST, authority);
        if (credentials != null) {
            byte[] userPass = (credentials.username() + ":" + credentials.password()).getBytes(StandardCharsets.UTF_8);
            connect.headers()
                    .set(
                            HttpHeaderNames.PROXY_AUTHORIZATION,
                            "Basic " + Base64.getEncoder().encodeToString(userPass));
        }
        return connect;
    }

    /** {@inheritDoc} The tunnel stands at the end of the answer's head: 2xx to CONNECT has no body. */
    @Override
    protected boolean handleResponse(ChannelHandlerContext ctx, Object message) throws ProxyConnectException {
        if (message instanceof HttpResponse response) {
            if (response.decoderResult().isFailure()) {
                throw new NotHttpException();
            }
            HttpStatusClass statusClass = response.status().codeClass();
            accepted = statusClass == HttpStatusClass.SUCCESS;
            if (!accepted && statusClass != HttpStatusClass.INFORMATIONAL) {
                throw new RefusedException(response.status(), response.headers());
            }
        }
        return accepted && message instanceof LastHttpContent;
    }

    /** Takes no answer to have a body: that of a tunnel is the tunnel, and nobody wants that of a refusal. */
    private static final class ConnectResponseDecoder extends HttpResponseDecoder {
        @Override
        protected boolean isContentAlwaysEmpty(HttpMessage message) {
            return true;
        }
    }
}

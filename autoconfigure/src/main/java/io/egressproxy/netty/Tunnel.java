package io.egressproxy.netty;

import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyUrl;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.proxy.ProxyHandler;
import io.netty.handler.proxy.Socks4ProxyHandler;
import io.netty.handler.proxy.Socks5ProxyHandler;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslHandler;
import java.net.InetSocketAddress;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import org.jspecify.annotations.Nullable;

/** The handlers that speak to the proxy. They stand between the socket and the handler that added them. */
final class Tunnel {
    private static final String TLS = "egressProxyTls";
    private static final String PROBE = "egressProxyAnswerProbe";
    private static final String HANDSHAKE = "egressProxyHandshake";

    private final AnswerProbe probe;

    private Tunnel(AnswerProbe probe) {
        this.probe = probe;
    }

    AnswerProbe probe() {
        return probe;
    }

    /**
     * Adds the handlers before a context's own.
     *
     * @param ctx the context of the handler that will be told by their events
     * @param use the proxy
     * @param proxyAddress where the proxy was found
     * @param tls where the TLS context for an {@code https} proxy comes from
     * @throws SSLException if there is no such context
     */
    static Tunnel install(ChannelHandlerContext ctx, UseProxy use, InetSocketAddress proxyAddress, ProxySslContexts tls)
            throws SSLException {
        ProxyUrl proxy = use.proxy();
        SslHandler sslHandler =
                proxy.scheme() == ProxyUrl.Scheme.HTTPS ? sslHandler(ctx, proxy, tls.get(use.sslBundle())) : null;
        AnswerProbe probe = new AnswerProbe(proxy.scheme());
        ProxyHandler handshake = handshake(proxy, proxyAddress);
        handshake.setConnectTimeoutMillis(0); // one deadline covers the whole attempt, and it is not kept there
        ChannelPipeline pipeline = ctx.pipeline();
        pipeline.addFirst(
                HANDSHAKE, handshake); // nearest to the socket, so that no logger of the client sees credentials
        pipeline.addFirst(PROBE, probe);
        if (sslHandler != null) {
            pipeline.addFirst(TLS, sslHandler);
        }
        return new Tunnel(probe);
    }

    /** The tunnel stands: its own handlers but TLS have nothing more to do. */
    void established(ChannelPipeline pipeline) {
        pipeline.remove(PROBE);
    }

    private static ProxyHandler handshake(ProxyUrl proxy, InetSocketAddress address) {
        ProxyUrl.Credentials credentials = proxy.credentials();
        @Nullable String username = credentials == null ? null : credentials.username();
        @Nullable String password = credentials == null ? null : credentials.password();
        return switch (proxy.scheme()) {
            case HTTP, HTTPS -> new HttpConnectHandler(address, credentials);
            case SOCKS4, SOCKS4A -> new Socks4ProxyHandler(address, username);
            case SOCKS5 -> new Socks5ProxyHandler(address, username, password);
        };
    }

    private static SslHandler sslHandler(ChannelHandlerContext ctx, ProxyUrl proxy, SslContext context) {
        SslHandler handler = context.newHandler(ctx.alloc(), proxy.host(), proxy.port());
        SSLParameters parameters = handler.engine().getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS"); // Netty 4.1 verifies no host name unless told to
        handler.engine().setSSLParameters(parameters);
        handler.setHandshakeTimeoutMillis(0); // as above: one deadline
        return handler;
    }
}

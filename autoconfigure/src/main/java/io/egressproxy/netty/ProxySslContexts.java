package io.egressproxy.netty;

import io.netty.handler.ssl.SslContext;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/** Where the TLS context for the connection to an {@code https} proxy comes from. */
@FunctionalInterface
public interface ProxySslContexts {
    /**
     * The context to use now.
     *
     * @param sslBundle the name of an SSL bundle, or null for the JVM's trust
     * @return a client context without ALPN, kept by the callee: asked for each connection, it must not build one each time
     * @throws SSLException if the bundle does not exist or cannot be used
     */
    SslContext get(@Nullable String sslBundle) throws SSLException;
}

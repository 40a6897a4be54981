package io.egressproxy;

import org.jspecify.annotations.Nullable;

/**
 * Where a connection wants to go.
 *
 * @param exchange the exchange it belongs to, or {@link ExchangeId#UNMATCHED}
 * @param type what the connection is for
 * @param host the target's host name or address as the client gave it, never resolved here; null if it is not known
 * @param port the target's port, 0 if it is not known
 */
public record ProxyTarget(ExchangeId exchange, ConnectionType type, @Nullable String host, int port) {

    /**
     * A target of which only the exchange is known.
     *
     * @param exchange the exchange
     * @param type what the connection is for
     * @return the target, without host and port
     */
    public static ProxyTarget of(ExchangeId exchange, ConnectionType type) {
        return new ProxyTarget(exchange, type, null, 0);
    }

    /** For example {@code exchange 'binance' http to api.binance.com:443}. */
    @Override
    public String toString() {
        String who = "exchange '" + exchange + "' " + type.id();
        return host == null ? who : who + " to " + (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
    }
}

package io.egressproxy;

import java.util.regex.Pattern;
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
    private static final Pattern SHOWABLE = Pattern.compile("[\\p{L}\\p{N}._:%-]{1,255}");

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
        if (host == null) {
            return who;
        }
        // a client may take user:password@host for the host
        String shown = SHOWABLE.matcher(host).matches() ? host : "***";
        return who + " to " + (shown.indexOf(':') >= 0 ? "[" + shown + "]" : shown) + ":" + port;
    }
}

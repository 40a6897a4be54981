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

    /**
     * The host as it may be shown: a client may take {@code user:password@host} for the host.
     *
     * @return the host, {@code ***} if it is no valid name or address, or empty if it is not known
     */
    public String shownHost() {
        return host == null ? "" : SHOWABLE.matcher(host).matches() ? host : "***";
    }

    /** For example {@code exchange 'binance' http to api.binance.com:443}. */
    @Override
    public String toString() {
        String who = "exchange '" + exchange + "' " + type.id();
        if (host == null) {
            return who;
        }
        String shown = shownHost();
        return who + " to " + (shown.indexOf(':') >= 0 ? "[" + shown + "]" : shown) + ":" + port;
    }
}

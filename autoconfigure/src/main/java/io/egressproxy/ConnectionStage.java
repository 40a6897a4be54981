package io.egressproxy;

import java.util.Locale;

/** How far a connection had come. */
public enum ConnectionStage {
    /** A proxy was being chosen. */
    SELECT,
    /** The proxy's name was being resolved, or the TCP connection to it opened. */
    TCP,
    /** TLS with the proxy itself was being negotiated ({@code https} proxies only). */
    TLS,
    /** The proxy was being asked for a tunnel. */
    HANDSHAKE,
    /** The tunnel stood. */
    TUNNEL;

    /**
     * The name used in logs and messages.
     *
     * @return for example {@code handshake}
     */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }
}
